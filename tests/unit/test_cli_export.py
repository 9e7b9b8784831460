"""`rasa-onramp export`: what the store holds, as files that give the same store back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Optional, Tuple

import pytest

from command_line import invoke
from rasa_onramp.dialogue import Action, Corpus, Dialogue, Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.formats import read
from rasa_onramp.formats.sgd import read_sgd
from rasa_onramp.formats.sgd_corpus import as_sgd, write_sgd
from rasa_onramp.store import Intake, dialogues, open_store
from tiny_tracker import CAFE, bookings

#: Our YAML has no empty values, such as a default that an intent of CAFE has.
HERE = replace(
    CAFE,
    name="cafe",
    intents=(
        replace(CAFE.intents[0], optional_slots={"seating": "bar", "guest_name": "dontcare"}),
        CAFE.intents[1],
    ),
)


def domains(*names: str) -> Corpus:
    """Domains with a few bookings each: of all splits, and with everything that a turn can have."""
    schemas = {name: replace(HERE, name=name) for name in names}
    found = []
    for name in names:
        for number, dialogue in enumerate(bookings(3, name)):
            split = (None, "support", "held-out")[number]
            last = replace(
                dialogue.turns[-1],
                parameters={"visit_day": "friday"},
                results=({"visit_day": "friday", "seating": "bar"}, {"seating": "inside"}),
                spans=(Span("visit_day", 5, 10),),
            )
            off = (Turn("user", "é [weather]?"), Turn("system", "I don't know \\."))
            found.append(replace(dialogue, split=split, turns=(*dialogue.turns[:-1], last, *off)))
    return Corpus(schemas, tuple(found))


def stored(corpus: Corpus, how: Optional[Intake] = None) -> None:
    assert invoke("init").code == 0
    with open_store() as store:
        store.dialogues.import_corpus(corpus, how=how or Intake())


def contents() -> Any:
    with open_store() as store:
        return {
            name: (store.dialogues.schema(name), store.dialogues.dialogues(name))
            for name in store.dialogues.domains()
        }


def emptied(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Another store, and a new one."""
    monkeypatch.setenv("RASA_ONRAMP_HOME", str(folder / "other"))
    assert invoke("init").code == 0


def test_yaml_gives_the_same_store_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(domains("cafe", "bar"))
    before = contents()
    out = tmp_path / "deep" / "out"
    done = invoke("export", "--all", "--out", out)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{out}: bar, cafe, 6 dialogues\n"
    assert sorted(path.name for path in out.iterdir()) == ["bar.yml", "cafe.yml"]
    emptied(monkeypatch, tmp_path)
    assert invoke("import", out).code == 0
    assert contents() == before


def test_schema_and_dialogues_are_of_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may import while the store is read."""
    stored(domains("cafe"))
    before, read_dialogues = contents(), dialogues.read_dialogues

    def after_an_import(*given: Any, **more: Any) -> Tuple[Dialogue, ...]:
        monkeypatch.setattr(dialogues, "read_dialogues", read_dialogues)
        schema = replace(HERE, slots=(*HERE.slots, Slot("mood", "How it was")))
        turn = Turn("user", "good", State({"mood": ("good",)}))
        with open_store() as store:
            store.dialogues.import_corpus(
                Corpus({"cafe": schema}, (Dialogue("new", "cafe", (turn,)),))
            )
        return read_dialogues(*given, **more)

    monkeypatch.setattr(dialogues, "read_dialogues", after_an_import)
    assert invoke("export", "cafe", "--out", tmp_path / "cafe.yml").code == 0
    emptied(monkeypatch, tmp_path)
    assert invoke("import", tmp_path / "cafe.yml").code == 0
    assert contents() == before


def test_the_repository_s_own_domains(repository: Path, tmp_path: Path) -> None:
    assert invoke("init").code == 0
    assert invoke("import", repository / "dialogue_data" / "parcel_delivery.yml").code == 0
    out = tmp_path / "parcels.yml"
    assert invoke("export", "parcel_delivery", "--out", out).code == 0
    assert read(out) == read(repository / "dialogue_data" / "parcel_delivery.yml")
    assert "0 dialogues added, 0 replaced" in invoke("import", out).out


def test_sgd_gives_back_what_it_can_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = domains("cafe", "bar")
    stored(corpus)
    out = tmp_path / "sgd"
    assert invoke("export", "cafe", "bar", "--format", "sgd", "--out", out).code == 0
    emptied(monkeypatch, tmp_path)
    assert invoke("import", out).code == 0
    assert contents() == {
        name: (
            as_sgd(corpus.schemas[name]),
            tuple(replace(d, split=None) for d in corpus.dialogues if d.domain == name),
        )
        for name in ("bar", "cafe")
    }
    # what came from SGD's format goes there and back as it is
    before = contents()
    again = tmp_path / "again"
    assert invoke("export", "--all", "--format", "sgd", "--out", again).code == 0
    assert "0 dialogues added, 0 replaced, 6 unchanged" in invoke("import", again).out
    assert contents() == before


def test_a_domain_that_would_track_other_slots_is_refused_as_sgd(tmp_path: Path) -> None:
    """Without intents it tracks all; SGD's format makes an intent of its call."""
    slots = (Slot("day"), Slot("colour"))
    schema = Schema("plain", slots=slots, actions=(Action("find", "", ("day",)),))
    stored(Corpus({"plain": schema}, ()))
    done = invoke("export", "plain", "--format", "sgd", "--out", tmp_path / "out")
    assert done.code == 2 and done.err.count("\n") == 1
    assert "can't say the schema of 'plain'" in done.err and "('colour')" in done.err
    assert not (tmp_path / "out").exists()


def test_as_sgd_says_it() -> None:
    slots = (Slot("day"), Slot("price"))
    schema = Schema(
        "x",
        slots=slots,
        intents=(Intent("book", "Book", ("day",)), Intent("ask", "Ask", ("day",))),
        actions=(
            Action("book", "Reserve", (), ("price",), "https://example.org"),
            Action("find", "Look up", ("day",), ("price",)),
        ),
    )
    found = as_sgd(schema)
    assert found.intents == (*schema.intents, Intent("find", "Look up", ("day",)))
    assert found.actions == (
        Action("book", "Book", ("day",), ("price",)),
        Action("ask", "Ask", ("day",)),
        Action("find", "Look up", ("day",), ("price",)),
    )
    assert as_sgd(found) == found


def test_dialogues_of_one_id_in_several_domains(tmp_path: Path) -> None:
    schemas = {name: as_sgd(replace(HERE, name=name)) for name in "abc"}

    def view(domain: str, text: str) -> Dialogue:
        turns = (Turn("user", text, State()), Turn("system", "ok"))
        return Dialogue("d", domain, turns)

    write_sgd(tmp_path / "out", schemas, [view("a", "hi"), view("b", "ho"), view("c", "hi")])
    found = read_sgd(tmp_path / "out").dialogues
    assert [(d.id, d.domain, d.turns[0].text) for d in found] == [
        *(("d", "a", "hi"), ("d", "c", "hi"), ("b/d", "b", "ho"))
    ]


def test_many_dialogues_make_several_files(tmp_path: Path) -> None:
    corpus = domains("cafe")
    many = tuple(replace(corpus.dialogues[0], id=f"d{n:04}") for n in range(601))
    stored(Corpus(corpus.schemas, many))
    assert invoke("export", "cafe", "--format", "sgd", "--out", tmp_path / "sgd").code == 0
    assert len(list((tmp_path / "sgd").glob("dialogues_*.json"))) == 5
    assert read_sgd(tmp_path / "sgd").dialogues[-1].id == "d0600"


def test_long_dialogues_are_fewer_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = domains("cafe", "cafe_002")
    first = corpus.dialogues[0]
    more = tuple(replace(first, id=f"d{n}", turns=first.turns * 8) for n in range(4))
    stored(Corpus(corpus.schemas, (*corpus.dialogues, *more)))
    before = contents()
    monkeypatch.setattr("rasa_onramp.formats.yaml.LIMIT", 12_000)
    clash = invoke("export", "--all", "--out", tmp_path / "out")
    assert clash.code == 2 and "'cafe_002' and 'cafe' would be one file" in clash.err
    for name in ("cafe", "cafe_002"):
        assert invoke("export", name, "--out", tmp_path / name).code == 0
    assert [path.name for path in (tmp_path / "cafe_002").iterdir()] == ["cafe_002.yml"]
    files = sorted(path.name for path in (tmp_path / "cafe").iterdir())
    assert files == ["cafe_001.yml", "cafe_002.yml", "cafe_003.yml"], files
    one = invoke("export", "cafe", "--out", tmp_path / "one.yml")
    assert one.code == 2
    assert "7 dialogues are too many for one file of 12000 bytes; name a folder inst" in one.err
    emptied(monkeypatch, tmp_path)
    assert invoke("import", tmp_path / "cafe", tmp_path / "cafe_002").code == 0
    assert contents() == before


def test_splits_and_what_waits(tmp_path: Path) -> None:
    corpus = domains("cafe")
    stored(corpus, Intake(lambda dialogue: dialogue.split is None))
    done = invoke("export", "cafe", "--out", tmp_path / "all.yml")
    assert done.out.splitlines()[1] == "cafe: 1 wait for labels and were left out"
    assert [d.split for d in read(tmp_path / "all.yml").dialogues] == ["support", "held-out"]
    invoke("export", "cafe", "--split", "held-out", "--out", tmp_path / "held.yml")
    assert [d.split for d in read(tmp_path / "held.yml").dialogues] == ["held-out"]


def test_each_dialogue_goes_with_one_of_the_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(domains("cafe"))
    before = contents()
    for split, found in (("support", [None, "support"]), ("held-out", ["held-out"])):
        out = tmp_path / f"{split}.yml"
        assert invoke("export", "cafe", "--split", split, "--out", out).code == 0
        assert [dialogue.split for dialogue in read(out).dialogues] == found
    emptied(monkeypatch, tmp_path)
    assert invoke("import", tmp_path / "support.yml", tmp_path / "held-out.yml").code == 0
    assert contents() == before


BEGUN_BY_THE_SYSTEM = (Turn("system", "hello"), Turn("user", "hi", State()))
OVERLAPPING = (
    Turn(
        "user",
        "friday",
        State({"visit_day": ("friday",)}),
        spans=(Span("visit_day", 0, 6), Span("seating", 0, 3)),
    ),
)


@pytest.mark.parametrize(
    ("format", "turns", "saying"),
    [
        ("yaml", BEGUN_BY_THE_SYSTEM, "the first turn is the system's; start with a user turn"),
        ("yaml", OVERLAPPING, "can't be marked in 'friday'; try --format sgd"),
        ("sgd", BEGUN_BY_THE_SYSTEM, "the first turn is the system's"),
    ],
)
def test_what_a_format_cannot_say_is_refused(
    tmp_path: Path, format: str, turns: Tuple[Turn, ...], saying: str
) -> None:
    stored(domains("bar", "cafe"))
    stored(Corpus({"cafe": HERE}, (Dialogue("later", "cafe", turns),)))
    done = invoke("export", "--all", "--format", format, "--out", tmp_path / "deep" / "out")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert saying in done.err
    assert "cafe" in done.err and "dialogue 'later'" in done.err
    # nothing is in the way of another try
    assert not (tmp_path / "deep").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert invoke("export", "bar", "--format", format, "--out", tmp_path / "deep").code == 0


def test_bad_requests(tmp_path: Path) -> None:
    stored(domains("cafe", "bar"))
    there = tmp_path / "there.yml"
    there.write_text("mine", encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "schema.json").touch()
    for arguments, saying in (
        (["--out", tmp_path], "name domains, or use --all"),
        (["cafe"], "--out"),
        (["cafee", "--out", tmp_path / "x"], "did you mean 'cafe'?"),
        (["cafe", "--out", there], "is there already"),
        (["--all", "--out", tmp_path / "x.yml"], "one file for 2 domains"),
        (["cafe", "--out", there / "below"], "can't be written"),
        (["cafe", "--format", "sgd", "--out", tmp_path / "full"], "schema.json already"),
    ):
        done = invoke("export", *arguments)
        assert done.code == 2, done
        assert done.err.count("\n") == 1
        assert saying in done.err
    assert there.read_text(encoding="utf-8") == "mine"


def test_a_name_never_leaves_the_folder(tmp_path: Path) -> None:
    """Names from foreign files hold anything."""
    names = ("../../up", "a b", ".hidden")
    stored(domains(*names))
    out = tmp_path / "a" / "b" / "out"
    done = invoke("export", "a b", "--out", out)
    assert done.code == 2  # our YAML has no such names
    assert "try --format sgd" in done.err
    assert list(tmp_path.glob("*.yml")) == []
    assert invoke("export", "--all", "--format", "sgd", "--out", tmp_path / "sgd").code == 0
    assert set(read_sgd(tmp_path / "sgd").schemas) == set(names)

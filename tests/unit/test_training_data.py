"""training_data/: the domain files are sound, and what is made of them is labelled exactly."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from labelled import JUDGES
from rasa_onramp.dialogue import DONTCARE, Corpus, Dialogue, Turn
from rasa_onramp.errors import FormatError
from rasa_onramp.formats import read
from rasa_onramp.formats.sgd_schema import read_sgd_schemas
from rasa_onramp.metalearning.corpus import tasks_of

FOLDER = Path(__file__).resolve().parents[2] / "training_data"
REPLIES = FOLDER.parent / "plugin" / "rasa_onramp" / "checkpoints" / "replies"
DOMAINS = sorted((FOLDER / "domains").glob("*.yml"))
MANY = 15
SMALL = """
domain: {name: shoe_mender, description: [Mends shoes]}
slots:
  ticket: {description: [Number], value: {code: ["LL-##"]}, ask: ["Number?"], tell: ["it's {}"]}
  sole: {description: [Sole], values: {rubber: [], leather: [real one]}, ask: ["Sole?"], tell: []}
  waxed: {description: [Wax], values: {"True": [i do], "False": [no wax]}, ask: ["Wax?"], tell: []}
  hour: {description: [When], value: time, ask: [], tell: []}
intents:
  mend:
    description: [Mend]
    required: [ticket, sole, hour]
    optional: {waxed: "False"}
    offer: {needs: [sole], slots: [hour], one: ["At {hour}?"], two: ["{hour} or {hour:2}?"]}
    open: [mend my shoes, "new {sole} soles"]
    done: ["Done at {hour}."]
requests:
  hour: {ask: [when], tell: ["At {hour}."]}
"""


def test_replies_know_the_services_that_they_were_trained_on_by_their_own_names() -> None:
    """Not by their paraphrases': "Banks_11" is SGD-X's first wording of "Banks_1"."""
    card = REPLIES / "replies.json"
    found = json.loads(card.read_text(encoding="utf-8"))["training_services"]
    own = {path.stem for path in (FOLDER / "dialogues").glob("*.yml")}
    sgd = [name for name in found if name not in own]
    assert len(sgd) == 26 and all(re.fullmatch(r"[A-Z][A-Za-z]+_\d", name) for name in sgd)


@pytest.fixture(scope="module")
def modules() -> Iterator[Any]:
    """A way to import the scripts, which lie outside the package."""
    before = list(sys.path)
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path[:] = before


@pytest.fixture(scope="module")
def folder(modules: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "out"
    assert (
        modules("generate").main(["--out", str(out), "--dialogues", str(MANY), "--seed", "3"]) == 0
    )
    return out


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    return read(folder, format="sgd")


def said(turns: List[Turn]) -> str:
    return "\n".join(turn.text for turn in turns).lower()


@pytest.mark.parametrize("path", DOMAINS, ids=lambda path: path.stem)
def test_domain_file_is_sound(path: Path, modules: Any) -> None:
    assert modules("domain_file").read_domain(path).name == path.stem


@pytest.mark.parametrize("path", DOMAINS, ids=lambda path: path.stem)
def test_no_domain_is_one_that_we_judge_by(path: Path) -> None:
    text = re.sub("[_-]", " ", path.read_text(encoding="utf-8").lower())
    assert [word for word in JUDGES if word in text] == []


def test_every_domain_has_its_dialogues_and_other_wordings(corpus: Corpus, folder: Path) -> None:
    assert len(corpus.schemas) == len(DOMAINS)
    assert len(corpus.dialogues) == MANY * len(DOMAINS)
    others = [read_sgd_schemas(folder / f"paraphrase_{n}") for n in (1, 2)]
    for task in tasks_of(corpus, others):
        assert len(task.variants) == 2
        assert len(task.alone) == MANY
        for schema, names in task.variants:
            assert len(set(names.slots.values())) == len(schema.slots)


def test_lengths_and_turns(corpus: Corpus) -> None:
    for dialogue in corpus.dialogues:
        speakers = [turn.is_user for turn in dialogue.turns]
        assert 4 <= sum(speakers) <= 16
        assert speakers == [n % 2 == 0 for n in range(len(speakers))]
        assert all(turn.text == turn.text.rstrip() for turn in dialogue.turns)


def test_no_gap_is_left_unfilled(corpus: Corpus) -> None:
    for dialogue in corpus.dialogues:
        for turn in dialogue.turns:
            assert not re.search(r"[{}]", turn.text), dialogue.id


def check_user_turn(dialogue: Dialogue, index: int, corpus: Corpus) -> None:
    turn, schema = dialogue.turns[index], corpus.schemas[dialogue.domain]
    assert turn.state is not None
    assert set(turn.state.values) <= schema.tracked_slots
    so_far = said(list(dialogue.turns[: index + 1]))
    for slot, (value, *_) in turn.state.values.items():
        values = schema.slot(slot).values
        if value == DONTCARE:
            continue
        assert value in values if values else value.lower() in so_far, (dialogue.id, index, slot)
    for span in turn.spans:
        text = turn.text[span.start : span.end].lower()
        assert text == turn.state.values[span.slot][0].lower(), (dialogue.id, index, span)


def test_states_follow_from_what_was_said(corpus: Corpus) -> None:
    for dialogue in corpus.dialogues:
        for index, turn in enumerate(dialogue.turns):
            if turn.is_user and turn.state is not None:
                check_user_turn(dialogue, index, corpus)
            elif turn.is_user:
                assert not turn.spans


def test_free_values_come_with_a_mark(corpus: Corpus) -> None:
    """New free values are marked where the user says them, or where the bot offered them."""
    for dialogue in corpus.dialogues:
        schema = corpus.schemas[dialogue.domain]
        marked, before = set(), {}
        for turn in dialogue.turns:
            marked |= {(s.slot, turn.text[s.start : s.end].lower()) for s in turn.spans}
            if turn.state is None:
                continue
            for slot, values in turn.state.values.items():
                if values == before.get(slot) or schema.slot(slot).categorical:
                    continue
                assert values[0] == DONTCARE or (slot, values[0].lower()) in marked, dialogue.id
            before = dict(turn.state.values)


def test_calls_are_made_with_the_state(corpus: Corpus) -> None:
    calls = 0
    for dialogue in corpus.dialogues:
        known: dict = {}
        for turn in dialogue.turns:
            if turn.state is not None:
                known = {s: v[0] for s, v in turn.state.values.items()}
            if turn.action is not None:
                calls += 1
                assert turn.parameters.items() <= known.items()
    assert calls >= len(corpus.dialogues) / 2


def test_same_seed_same_dialogues(modules: Any, tmp_path: Path) -> None:
    generate = modules("generate")
    domains = generate.read_domains()[:2]
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate.write(tmp_path / name, domains, 3, seed)
    a, b, c = ((tmp_path / name / "dialogues_001.json").read_text("utf-8") for name in "abc")
    assert a == b
    assert a != c
    generate.write(tmp_path / "d", domains, 5, 1)
    more = json.loads((tmp_path / "d" / "dialogues_001.json").read_text("utf-8"))
    assert more[:3] == json.loads(a)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value: time,", "value: tmie,", r"slot 'hour': unknown kind 'tmie'; use one of address, "),
        ('ask: ["Number?"],', "", r"intent 'mend': required slot 'ticket' has no ask; write one"),
        ("done: [", "don: [", r"intent 'mend': 'done' is missing; add it"),
        ("{sole} soles", "{soul} soles", r"intent 'mend', open: unknown slot 'soul'; add it under"),
        (
            "Done at {hour}.",
            "Done at {waxed}.",
            r"done: yes/no slot 'waxed' in .*; say it in",
        ),
        ("it's {}", "it's it", r"slot 'ticket', tell: .* needs a \{\}; put \{\} for the value"),
        ("{hour:2}", "{hour}", r"offer, two: .* has no second option; write \{slot:2\}"),
        ('code: ["LL-##"]', "kode: []", r"slot 'ticket', value: 'code' is missing; add it"),
        ("requests:", "request:", r"file: unknown key 'request'; use one of domain, slots"),
        ("slots:\n", "slots: [\n", r"no YAML: .*; mend its syntax"),
    ],
)
def test_malformed_files_are_refused_in_one_line(
    old: str, new: str, message: str, modules: Any, tmp_path: Path
) -> None:
    path = tmp_path / "shoe_mender.yml"
    path.write_text(SMALL, encoding="utf-8")
    assert modules("domain_file").read_domain(path).name == "shoe_mender"
    assert old in SMALL
    path.write_text(SMALL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(FormatError, match=message) as caught:
        modules("domain_file").read_domain(path)
    assert "\n" not in str(caught.value)


def test_small_domain_makes_dialogues(modules: Any, tmp_path: Path) -> None:
    (tmp_path / "shoe_mender.yml").write_text(SMALL, encoding="utf-8")
    generate = modules("generate")
    generate.write(tmp_path / "out", generate.read_domains(folder=tmp_path), 20, 0)
    assert len(read(tmp_path / "out", format="sgd").dialogues) == 20


def test_command_refuses_a_full_folder_and_unknown_domains(
    modules: Any, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "something").touch()
    assert modules("generate").main(["--out", str(tmp_path)]) == 2
    assert "choose another" in capsys.readouterr().err
    assert modules("generate").main(["--out", str(tmp_path / "x"), "--domains", "nix"]) == 2
    assert "no domain 'nix'" in capsys.readouterr().err

"""`versions` and `remove`: what an operator does with adapter versions and domains."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Optional

import pytest

from command_line import dump, invoke
from rasa_onramp.dialogue import Corpus, Turn
from rasa_onramp.store import Embeddings, Feedback, FeedbackStore, Intake, open_store
from small_bot import BIKES, TABLES, dialogues

NAME = TABLES.name


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two domains, one of which has three versions; its file."""
    monkeypatch.setenv("RASA_ONRAMP_HOME", str(tmp_path / "home"))
    assert invoke("init").code == 0
    with open_store() as opened:
        schemas = {schema.name: schema for schema in (TABLES, BIKES)}
        opened.dialogues.import_corpus(Corpus(schemas, dialogues(TABLES, 3)))
        for number in range(3):
            opened.adapters.add(
                NAME,
                b"weights %d" % number,
                support_digest=f"support {number}",
                checkpoint_digest="checkpoint",
                figures=_figures(0.5 + number / 8, "same" if number else "other"),
                activate=number < 2,
            )
    return tmp_path / "home" / "onramp.db"


def _figures(jga: float, held_out: str) -> dict:
    return {
        "support": 3,
        "held_out": 2,
        "before": {"jga": 0.25, "average_goal_accuracy": 0.5},
        "after": {"jga": jga, "average_goal_accuracy": None},
        "replies": {"before": 2.0, "after": 1.0},
        "held_out_digest": held_out,
    }


def _active() -> Optional[int]:
    with open_store() as opened:
        active = opened.adapters.active(NAME)
    return None if active is None else active.version


def _cells(line: str) -> List[str]:
    return [cell for cell in line.split("  ") if cell.strip()]


def test_the_list_has_figures_and_marks(store: Path) -> None:
    assert invoke("versions", "pin", NAME, "2").code == 0
    lines = invoke("versions", "list", NAME).out.splitlines()
    assert _cells(lines[0])[0] == "version"
    names = [_cells(line)[0] for line in lines[2:]]
    assert names == ["1", "2 (active, pinned)", "3"]
    made = _cells(lines[3])
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC", made[1].strip())
    assert [cell.strip() for cell in made[2:]] == ["3", "2", "0.250", "0.625", "-", "2.72"]
    assert invoke("versions", "unpin", NAME, "2").code == 0
    assert "2 (active)" in invoke("versions", "list", NAME).out
    assert "rasa-onramp adapt bike_repair" in invoke("versions", "list", BIKES.name).out


def test_figures_stand_side_by_side(store: Path) -> None:
    done = invoke("versions", "compare", NAME, "2", "3")
    names = [cell.strip() for cell in _cells(done.out.splitlines()[0])]
    assert names == [NAME, "version 2 (active)", "version 3"]
    (line,) = [line for line in done.out.splitlines() if line.startswith("JGA  ")]
    assert line.split() == ["JGA", "0.625", "0.750"]
    (line,) = [line for line in done.out.splitlines() if line.startswith("last switched to")]
    assert line.endswith("never")
    assert "different held-out" not in done.out
    assert "different held-out" in invoke("versions", "compare", NAME, "1", "2").out


def test_switching_and_going_back(store: Path) -> None:
    assert _active() == 2
    assert invoke("versions", "activate", NAME, "3").out == f"{NAME} runs on version 3\n"
    assert _active() == 3
    assert invoke("versions", "rollback", NAME).out == f"{NAME} runs on version 2\n"
    assert invoke("versions", "rollback", NAME).out == f"{NAME} runs on version 1\n"
    assert _active() == 1
    assert invoke("versions", "activate", NAME, "none").out == f"{NAME} runs on no version\n"
    assert _active() is None


def test_a_bot_that_would_abstain_is_warned_of(store: Path) -> None:
    with open_store() as opened:
        other = {"support_digest": "s", "checkpoint_digest": "another", "figures": {}}
        assert opened.adapters.add(NAME, b"weights", **other) == 4
    for command, now, before in ((["rollback", NAME], 2, 4), (["activate", NAME, "4"], 4, 2)):
        done = invoke("versions", *command)
        assert (done.code, done.out) == (0, f"{NAME} runs on version {now}\n")
        assert done.err == (
            f"version {now} was made from another checkpoint than version {before}: a bot with the "
            f"latter's abstains from {NAME} until it is given the former's\n"
        )
    assert invoke("versions", "activate", NAME, "none").err == ""
    assert invoke("versions", "activate", NAME, "3").err == ""


def test_a_version_that_knows_what_changed_is_named_instead_of_adapting(store: Path) -> None:
    changed = "version 2, support or feedback changed since: "
    assert f"{changed}adapt again" in invoke("domains").out
    with open_store() as opened:
        digest = opened.dialogues.glance(NAME).support_digest
        made = {"support_digest": digest, "checkpoint_digest": "checkpoint", "figures": {}}
        opened.adapters.add(NAME, b"weights", **made, activate=False)
    assert f"{changed}version 4 has that (versions list)\n" in invoke("domains").out


def test_clearing_out_says_first_what_would_go(store: Path) -> None:
    before = dump(store)
    done = invoke("versions", "gc", "--keep", "1", "--dry-run")
    assert done.out == f"{NAME}: would delete version 1\nwould delete 1 in all\n"
    assert dump(store) == before
    done = invoke("versions", "gc", BIKES.name, "--keep", "1")
    assert done.out == "deleted 0 in all\n"
    done = invoke("versions", "gc", "--keep", "1")
    assert done.out == f"{NAME}: deleted version 1\ndeleted 1 in all\n"
    with open_store() as opened:
        assert [info.version for info in opened.adapters.versions(NAME)] == [2, 3]


def test_a_domain_is_removed_if_one_agrees(store: Path) -> None:
    with open_store() as opened:
        opened.feedback.add(Feedback(NAME, Turn("system", "No."), thumb="down"))
    before = dump(store)
    for answer in ("", "n\n", "what\n"):
        done = invoke("remove", NAME, input=answer)
        assert done.code == 1
        what = f"{NAME} with 3 dialogues, 3 adapter versions and 1 feedback"
        assert f"Delete {what}? [y/N]" in done.out
        assert done.err == "rasa-onramp: declined; nothing was changed\n"
        assert dump(store) == before
    assert invoke("remove", NAME, input="y\n").code == 0
    assert invoke("remove", BIKES.name, "--yes").out.startswith("Deleted bike_repair with 0 dial")
    with open_store() as opened:
        assert opened.dialogues.domains() == ()


def test_dialogues_that_wait_are_named_before_they_are_removed(store: Path) -> None:
    with open_store() as opened:
        later = tuple(replace(each, id=f"later {each.id}") for each in dialogues(TABLES, 2))
        opened.dialogues.import_corpus(Corpus({NAME: TABLES}, later), how=Intake(lambda _: True))
    done = invoke("remove", NAME, input="n\n")
    assert f"Delete {NAME} with 3 dialogues, 2 more that wait for labels, 3 adap" in done.out


def test_dialogues_are_removed_one_by_one_if_one_agrees(store: Path) -> None:
    with open_store() as opened:
        first, second, third = (each.id for each in opened.dialogues.dialogues(NAME))
        opened.embeddings.keep({NAME: Embeddings("1" * 64, b"rows")})
        before = dump(store)
        for wrong, saying in ((f"{first}x", f"did you mean '{first}'?"), ("!", "has all ids")):
            done = invoke("remove", NAME, "--dialogue", first, "--dialogue", wrong)
            assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
            assert saying in done.err
        both = ("--dialogue", second, "--dialogue", first, "--dialogue", first)
        done = invoke("remove", NAME, *both, input="n\n")
        assert done.code == 1
        assert f"Delete 2 dialogues of {NAME} ({first}, {second})? [y/N]" in done.out
        assert dump(store) == before
        revision = opened.revision()
        done = invoke("remove", NAME, *both, "--yes")
        assert done.out.splitlines() == [
            f"Deleted 2 dialogues of {NAME} ({first}, {second}).",
            f"{NAME} changed since its version was made; rasa-onramp adapt {NAME} --force",
        ]
        assert [each.id for each in opened.dialogues.dialogues(NAME)] == [third]
        assert opened.dialogues.changed_since(revision) == (NAME,)
        assert len(opened.adapters.versions(NAME)) == 3
        assert opened.embeddings.read([NAME]) == {}
    assert not any(f"'{first}'" in line for line in dump(store))


@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        (["list", "table_bookin"], "did you mean 'table_booking'"),
        (["compare", NAME, "1", "9"], "no adapter version 9; it has 1, 2, 3"),
        (["activate", NAME, "9"], "no adapter version 9; it has 1, 2, 3"),
        (["activate", NAME, "last"], "'last': the number of a version, or none"),
        (["activate", NAME, "0"], "no adapter version 0; it has 1, 2, 3"),
        (["rollback", BIKES.name], "runs on no version"),
        (["pin", NAME, "9"], "no adapter version 9"),
        (["pin", NAME, "two"], "'two'"),
        (["unpin", "zzz", "1"], "no domain 'zzz'"),
        (["gc", "--keep", "0"], "--keep"),
        (["gc"], "--keep"),
        (["gc", NAME, "zzz", "--keep", "1"], "no domain 'zzz'"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    store: Path, arguments: List[Any], saying: str
) -> None:
    before = dump(store)
    done = invoke("versions", *arguments)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert saying in done.err
    assert dump(store) == before


def test_a_domain_that_is_not_there_is_not_removed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = invoke("remove", "zzz", "--yes")
    assert done.code == 2
    assert "no domain 'zzz'" in done.err
    counted = FeedbackStore.count

    def meanwhile(self: FeedbackStore, domain: str) -> Any:
        found = counted(self, domain)
        with open_store() as other:
            other.dialogues.delete_domain(domain)
        return found

    monkeypatch.setattr(FeedbackStore, "count", meanwhile)
    done = invoke("remove", NAME, "--yes")
    assert (done.code, f"no domain '{NAME}'" in done.err) == (2, True)

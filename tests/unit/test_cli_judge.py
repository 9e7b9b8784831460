"""rasa-onramp judge: from a replies file to a page, from picks to a tally."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from command_line import Outcome, dump, invoke
from rasa_onramp.evaluation.judging import pairs_of
from rasa_onramp.formats.replies import read_replies


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store; its file."""
    monkeypatch.setenv("RASA_ONRAMP_HOME", str(tmp_path / "home"))
    assert invoke("init").code == 0
    return tmp_path / "home" / "onramp.db"


@pytest.fixture
def replies(tmp_path: Path) -> Path:
    path = tmp_path / "replies.jsonl"
    lines = [
        {
            "service": "Hotels_4",
            "shots": 5,
            "seed": 0,
            "dialogue": str(number),
            "turn": 1,
            "history": [["user", f"hello {number}"]],
            "reference": "",
            "replies": {
                "adapted": f"one {number}",
                "retrieval": f"two {number}",
                "templates": f"one {number}",
            },
        }
        for number in range(10)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def saved(path: Path, replies: Path, winners: str) -> Path:
    """Picks as the page of adapted, retrieval saves them: winners by name's first letter."""
    found = read_replies(replies)
    pairs = pairs_of(found, ("adapted", "retrieval"), 0)
    sides = []
    for pair, winner in zip(pairs.pairs, winners):
        side = {pair.left[0]: "left", pair.right[0]: "right"}.get(winner, "tie")
        sides.append({"pair": pair.id, "pick": side})
    content: Dict[str, Any] = {"onramp_picks": 1, "replies": found.digest, "page": pairs.page}
    content.update(seed=0, judge="Ann", picks=sides)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def refused(done: Outcome, *saying: str) -> None:
    assert (done.code, done.out) == (2, ""), done
    assert done.err.startswith("rasa-onramp: ")
    assert done.err.count("\n") == 1
    assert [text for text in saying if text not in done.err] == []


def test_from_replies_to_a_tally(store: Path, replies: Path, tmp_path: Path) -> None:
    assert invoke("judge", "tally").out.startswith("no judgements yet; ")
    out = tmp_path / "page.html"
    page = ("judge", "page", "--replies", replies, "--methods", "retrieval, adapted")
    done = invoke(*page, "--pairs", "4", "--out", out)
    assert done.code == 0, done
    assert done.out.startswith(f"Wrote {out}: 4 pairs of 10. Left out: 0 turns")
    assert "Hotels_4" in out.read_text(encoding="utf-8")

    picks = saved(tmp_path / "picks.json", replies, "aaaaaraat")
    add = ("judge", "import", picks, "--replies", replies)
    assert invoke(*add).out == "9 picks by Ann added, 0 already there\n"
    before = dump(store)
    assert invoke(*add).out == "0 picks by Ann added, 9 already there\n"
    assert dump(store) == before
    table = invoke("judge", "tally").out.splitlines()
    assert table[0].split() == ["methods", "wins", "losses", "ties", "share", "of", "wins", "p"]
    assert table[2].split() == ["adapted", "against", "retrieval", "7", "1", "1", "0.875", "0.0703"]

    # More picks of the same person are added; another person's are their own.
    assert invoke(*add[:2], saved(picks, replies, "aaaaaraata"), *add[3:]).out.startswith("1 pick")
    other = saved(picks, replies, "rrrrrrrrrr")
    assert invoke("judge", "import", other, *add[3:], "--judge", " Bo ").code == 0
    assert "8      11     1" in invoke("judge", "tally").out


def test_picks_that_contradict_former_ones_change_nothing(
    store: Path, replies: Path, tmp_path: Path
) -> None:
    add = ("judge", "import", tmp_path / "p.json", "--replies", replies)
    saved(tmp_path / "p.json", replies, "aa")
    assert invoke(*add).code == 0
    before = dump(store)
    saved(tmp_path / "p.json", replies, "raaaa")
    refused(invoke(*add), "'Ann' picked otherwise", "name the person")
    assert dump(store) == before


def test_bad_picks_change_nothing(store: Path, replies: Path, tmp_path: Path) -> None:
    before = dump(store)
    picks = saved(tmp_path / "p.json", replies, "ar")
    add = ("judge", "import", picks, "--replies")
    other = tmp_path / "other.jsonl"
    other.write_bytes(replies.read_bytes().splitlines(keepends=True)[0])
    refused(invoke(*add, other), str(picks), str(other), "--replies")
    refused(invoke(*add, tmp_path / "none.jsonl"), "none.jsonl", "no such file")
    replies.write_bytes(replies.read_bytes() + b"{\n")
    refused(invoke(*add, replies), f"{replies}:11: not valid JSON")
    picks.write_text("picks", encoding="utf-8")
    refused(invoke(*add, replies), f"{picks}:1: not valid JSON")
    assert dump(store) == before


def test_what_makes_no_page_is_named(replies: Path, tmp_path: Path) -> None:
    page = ("judge", "page", "--replies", replies, "--out", tmp_path / "page.html", "--methods")
    refused(invoke(*page, "adapted"), "name two methods", "--help")
    refused(invoke(*page, "adapted,adapted"), "name two methods")
    refused(invoke(*page, "adapted,magic"), "no replies of 'magic'", "'retrieval'")
    refused(invoke(*page, "adapted,templates"), "both answer, and differently; name other methods")
    refused(invoke(*page, "adapted,retrieval", "--pairs", "0"), "--pairs")
    refused(invoke(*page, "adapted,retrieval", "--out", tmp_path / "no" / "x"), "is no folder")
    assert not (tmp_path / "page.html").exists()


def test_without_a_store_nothing_is_read(replies: Path, tmp_path: Path) -> None:
    done = invoke("judge", "import", tmp_path / "none.json", "--replies", replies)
    refused(done, "rasa-onramp init")
    refused(invoke("judge", "tally"), "rasa-onramp init")

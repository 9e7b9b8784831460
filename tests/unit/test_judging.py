"""Judging by hand: the replies file, the page that doesn't tell, what its picks stand for."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import permutations
from pathlib import Path
from typing import Any, Dict, List

import pytest

from rasa_onramp.errors import ConfigError, FormatError
from rasa_onramp.evaluation.judging import judging_page, pairs_of, resolve, sign_test
from rasa_onramp.formats.picks import read_picks
from rasa_onramp.formats.replies import Replies, read_replies

METHODS = ("adapted", "retrieval")
#: All that `evaluate --generator` knows; not imported, because torch would come along.
REPLY_METHODS = (*METHODS, "templates", "zero-shot", "in-context", "finetune", "adapted-alone")
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script> & &amp; <img src=x onerror=alert(1)>",
    "שלום, מה שלומך? 👋🏽",
    "مرحبا \u2028 two\nlines \u2029 @DATA@ ${x} `y` \\ \" '",
)


def line(dialogue: str = "d", turn: int = 3, **changes: Any) -> Dict[str, Any]:
    """A line of a replies file, of two methods that differ."""
    return {
        "service": "Hotels_4",
        "shots": 5,
        "seed": 0,
        "dialogue": dialogue,
        "turn": turn,
        "history": [["user", "hi"], ["system", "hello"], ["user", f"{dialogue} {turn}"]],
        "reference": "the dialogue's own words",
        "replies": {"adapted": f"first {dialogue}", "retrieval": f"second {dialogue}"},
        **changes,
    }


def written(path: Path, *lines: Any) -> Path:
    path.write_text(
        "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines), encoding="utf-8"
    )
    return path


@pytest.fixture
def replies(tmp_path: Path) -> Replies:
    return read_replies(written(tmp_path / "r.jsonl", *(line(f"d{n}") for n in range(40))))


class Scripts(HTMLParser):
    """The scripts of a page as a browser takes it apart, and all its elements' names."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: List[str] = []
        self.scripts: List[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.tags[-1] == "script":
            self.scripts[-1] += data


def data_of(page: str) -> Dict[str, Any]:
    return json.loads(Scripts(page).scripts[0])


# The replies file


def test_a_replies_file_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", line(turn=1, extra=1), line(turn=3))
    path.write_text(path.read_text("utf-8") + "\n", encoding="utf-8")
    found = read_replies(path)
    assert [turn.turn for turn in found.turns] == [1, 3]
    assert found.turns[0].history == (("user", "hi"), ("system", "hello"), ("user", "d 1"))
    assert found.turns[0].replies == {"adapted": "first d", "retrieval": "second d"}
    assert found.turns[0].reference == "the dialogue's own words"
    assert len(found.digest) == 64


def without(key: str) -> Dict[str, Any]:
    return {name: value for name, value in line().items() if name != key}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "not valid JSON at column"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "a line must be an object"),
        (json.dumps(without("turn")), "no 'turn' here; add 'turn', a whole number"),
        (json.dumps(without("replies")), "no 'replies' here"),
        (json.dumps(line(shots=True)), "'shots' must be a whole number"),
        (json.dumps(line(reference=None)), "'reference' must be a text"),
        (json.dumps(line(history=[])), "'history' must end with the user's turn"),
        (json.dumps(line(history=[["system", "a"]])), "'history' must end with the user's turn"),
        (json.dumps(line(history=[["bot", "a"]])), "item 1 of 'history' is by 'bot'; write"),
        (json.dumps(line(history=[["user"]])), "item 1 of 'history' isn't a speaker and a text"),
        (json.dumps(line(history=["user"])), "item 1 of 'history' must be a list"),
        (json.dumps(line(replies={"a": 1})), "the reply of 'a' must be a text"),
        (json.dumps(line(reference="\ud83d")), "an escape that stands for no character"),
        (json.dumps(line("good")), "the same turn as line 2; write the file anew"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, bad: str, message: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("\n" + json.dumps(line("good")) + "\n" + bad + "\n", encoding="utf-8")
    with pytest.raises(FormatError, match=re.escape(message)) as caught:
        read_replies(path)
    assert "\n" not in str(caught.value)
    assert caught.value.line == 3


# Pairs


def test_pairs_follow_from_file_seed_and_methods(replies: Replies) -> None:
    first = pairs_of(replies, METHODS, 0)
    assert pairs_of(replies, ("retrieval", "adapted"), 0) == first
    other = pairs_of(replies, METHODS, 1)
    assert other.page != first.page
    assert {pair.id for pair in other.pairs}.isdisjoint(pair.id for pair in first.pairs)
    assert [p.turn.dialogue for p in other.pairs] != [p.turn.dialogue for p in first.pairs]
    lefts = [pair.left for pair in first.pairs]
    assert 10 < lefts.count("adapted") < 30
    assert all({pair.left, pair.right} == set(METHODS) for pair in first.pairs)
    assert len({pair.id for pair in first.pairs}) == 40


def test_what_isnt_worth_judging_is_left_out(tmp_path: Path) -> None:
    same = {"adapted": "It is \n here. ", "retrieval": "It is here."}
    path = written(
        tmp_path / "r.jsonl",
        line("a"),
        line("a", seed=1),  # another support set, the same replies
        line("b", replies=same),
        line("c", replies={"adapted": "x", "zero-shot": "y"}),
    )
    found = pairs_of(read_replies(path), METHODS, 0)
    assert [pair.turn.dialogue for pair in found.pairs] == ["a"]
    assert (found.equal, found.repeated, found.unanswered) == (1, 1, 1)


def test_a_method_that_isnt_there_is_named(replies: Replies) -> None:
    with pytest.raises(ConfigError, match="no replies of 'adaptd'; did you mean 'adapted'"):
        pairs_of(replies, ("adaptd", "retrieval"), 0)


# The page


def test_the_page_does_not_tell_the_methods(tmp_path: Path) -> None:
    replies = {method: f"text {number}" for number, method in enumerate(REPLY_METHODS)}
    path = written(tmp_path / "adapted.jsonl", *(line(str(n), replies=replies) for n in range(5)))
    found = read_replies(path)
    for methods in permutations(REPLY_METHODS, 2):
        page = judging_page(found, pairs_of(found, methods, 0), 50)
        assert [name for name in REPLY_METHODS if name in page] == []
        assert "the dialogue's own words" not in page
        assert set(data_of(page)["pairs"][0]) == {"id", "service", "history", "left", "right"}


def test_a_page_of_more_pairs_begins_with_those_of_a_smaller_one(replies: Replies) -> None:
    pairs = pairs_of(replies, METHODS, 0)
    small, large = (data_of(judging_page(replies, pairs, n))["pairs"] for n in (5, 50))
    assert (len(small), len(large)) == (5, 40)
    assert large[:5] == small


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_never_become_part_of_the_page(tmp_path: Path, text: str) -> None:
    hostile = line(
        service=text, history=[["user", text]], replies={"adapted": text, "retrieval": "b" + text}
    )
    pages = []
    for name, content in (("hostile", hostile), ("plain", line())):
        found = read_replies(written(tmp_path / name, content))
        pages.append(judging_page(found, pairs_of(found, METHODS, 0), 50))
    assert Scripts(pages[0]).tags == Scripts(pages[1]).tags
    assert Scripts(pages[0]).scripts[1:] == Scripts(pages[1]).scripts[1:]
    (pair,) = data_of(pages[0])["pairs"]
    assert (pair["service"], pair["history"]) == (text, [["user", text]])
    assert {pair["left"], pair["right"]} == {text, "b" + text}


def test_the_page_loads_nothing_and_sets_texts_as_text(replies: Replies) -> None:
    page = judging_page(replies, pairs_of(replies, METHODS, 0), 50)
    assert "default-src 'none'" in page
    for forbidden in ("http://", "https://", "//cdn", "src=", "<link", "@import", "fetch("):
        assert forbidden not in page
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in page
    assert page.count('dir="auto"') + page.count('dir = "auto"') == 4


# Picks


def picks_file(path: Path, made_from: Replies, **changes: Any) -> Path:
    """A picks file of METHODS and seed 0, as the page saves it."""
    pairs = pairs_of(made_from, METHODS, 0)
    content = {
        "onramp_picks": 1,
        "replies": made_from.digest,
        "page": pairs.page,
        "seed": 0,
        "judge": " Ann \n B ",
        "picks": [{"pair": pair.id, "pick": "left"} for pair in pairs.pairs],
        **changes,
    }
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def test_picks_stand_for_methods(tmp_path: Path, replies: Replies) -> None:
    pairs = pairs_of(replies, METHODS, 0)
    found = resolve(read_picks(picks_file(tmp_path / "p.json", replies)), replies)
    assert [pick.pair for pick in found] == [pair.id for pair in pairs.pairs]
    for pick, pair in zip(found, pairs.pairs):
        assert (pick.method_a, pick.method_b, pick.judge) == ("adapted", "retrieval", "Ann B")
        assert pick.service == "Hotels_4"
        assert getattr(pick, pick.winner) == pair.left


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"onramp_picks": 2}, "p.json:2: picks of version '2'; this program knows 1; make"),
        ({"picks": [{"pair": "x", "pick": "up"}]}, "'up' is no pick; write one of left, right"),
        ({"picks": [{"pair": "x"}]}, "no 'pick' here"),
        ({"picks": [{"pair": "x", "pick": "tie"}] * 2}, "a second pick on pair 'x'"),
        ({"picks": {}}, "'picks' must be a list"),
        ({"judge": "x" * 201}, "more than 200 characters"),
        ({"seed": "0"}, "p.json:5: 'seed' must be a whole number"),
        ({"seed": 1}, "isn't one of .*r.jsonl with seed 1; save"),
        ({"page": "0" * 64}, "isn't one of .*r.jsonl with seed 0; save"),
        ({"replies": "0" * 64}, "made from another file than .*r.jsonl .*'000000000000'.*--repl"),
        ({"picks": [{"pair": "x", "pick": "tie"}]}, "no pair 'x' on its page; save"),
    ],
)
def test_bad_picks_are_named(
    tmp_path: Path, replies: Replies, changes: Dict[str, Any], message: str
) -> None:
    path = picks_file(tmp_path / "p.json", replies, **changes)
    with pytest.raises(FormatError, match=message) as caught:
        resolve(read_picks(path), replies)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", '{"onramp": 1}', "null"])
def test_a_file_that_holds_no_picks_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match=r"p\.json.*; "):
        read_picks(path)


# The test


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    # R: binom.test(wins, wins + losses)$p.value
    [(0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (5, 0, 0.0625), (8, 2, 0.109375), (30, 15, 0.0356981)],
)
def test_the_sign_test_is_exact_and_two_sided(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p, abs=1e-6)
    assert sign_test(losses, wins) == sign_test(wins, losses)


def test_the_sign_test_of_many_picks() -> None:
    assert sign_test(5000, 5000) == 1.0
    assert sign_test(3000, 1000) == pytest.approx(0, abs=1e-200)

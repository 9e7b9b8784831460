"""The page for judging by hand, in a real browser."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest

from browser import Browser
from rasa_onramp.evaluation.judging import judging_page, pairs_of, resolve
from rasa_onramp.formats.picks import read_picks
from rasa_onramp.formats.replies import Replies, read_replies

METHODS = ("adapted", "retrieval")
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script> & &amp; <img src=x onerror=alert(1)>",
    "שלום, מה שלומך? 👋🏽",
    "مرحبا \u2028 two\nlines \u2029 @DATA@ ${x} `y` \\ \" '",
)

SHOWN = """
const text = (id) => document.getElementById(id).textContent;
const history = document.getElementById("history");
const buttons = [...document.querySelectorAll("#choices button")];
return {
  count: text("count"), left: text("left"), right: text("right"), notice: text("notice"),
  history: [...history.children].map((said) => [...said.children].map((e) => e.textContent)),
  directions: [...history.children].map((said) => said.children[1].dir),
  pressed: buttons.filter((each) => each.getAttribute("aria-pressed") === "true")
    .map((each) => each.dataset.pick),
};
"""


def replies_of(path: Path, *changes: Dict[str, Any]) -> Replies:
    """A replies file with a turn for each of `changes`."""
    lines: List[str] = []
    for number, change in enumerate(changes):
        turn = {
            "service": "Hotels_4",
            "shots": 5,
            "seed": 0,
            "dialogue": f"d{number}",
            "turn": 3,
            "history": [["user", "hi"], ["system", "hello"], ["user", f"question {number}"]],
            "reference": "the dialogue's own words",
            "replies": {"adapted": f"first {number}", "retrieval": f"second {number}"},
            **change,
        }
        lines.append(json.dumps(turn, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return read_replies(path)


def opened(browser: Browser, path: Path, page: str) -> None:
    path.write_text(page, encoding="utf-8")
    browser.open(path.as_uri())


def reloaded(browser: Browser, count: str) -> bool:
    """Whether the page, opened anew, comes to show a count.

    Chromium hands what a page kept to its next process by two ways that don't wait for each
    other: on a busy machine a page that is opened in the same instant has once missed it.
    """
    for _ in range(3):
        browser.reload()
        if browser.script(SHOWN)["count"] == count:
            return True
        time.sleep(1)
    return False


def test_a_person_picks_saves_and_goes_on_after_closing_the_page(
    browser: Browser, tmp_path: Path
) -> None:
    replies = replies_of(tmp_path / "r.jsonl", *[{}] * 5)
    pairs = pairs_of(replies, METHODS, 0)
    opened(browser, tmp_path / "page.html", judging_page(replies, pairs, 3))
    first = browser.script(SHOWN)
    assert first["count"] == "pair 1 of 3, 0 judged"
    assert first["directions"] == ["auto"] * 3
    browser.press("1")
    browser.press("2")
    assert browser.script(SHOWN)["count"] == "pair 3 of 3, 2 judged"
    browser.click("#back")
    assert browser.script(SHOWN)["pressed"] == ["right"]
    browser.press("0")
    browser.type("#judge", "Ann Ö")
    assert reloaded(browser, "pair 3 of 3, 2 judged")
    browser.press("x")  # means nothing
    assert browser.script(SHOWN)["count"] == "pair 3 of 3, 2 judged"
    browser.click("[data-pick=left]")
    assert browser.script(SHOWN)["notice"] == "All are judged, thank you. Save your picks."
    browser.click("#save")

    path = tmp_path / "picks.json"
    path.write_text(browser.saved(), encoding="utf-8")
    picks = resolve(read_picks(path), replies)
    assert {pick.judge for pick in picks} == {"Ann Ö"}
    sides = ("left", None, "left")
    wanted = [(pair.id, side and getattr(pair, side)) for pair, side in zip(pairs.pairs, sides)]
    chosen = {"method_a": "adapted", "method_b": "retrieval", "tie": None}
    assert [(pick.pair, chosen[pick.winner]) for pick in picks] == wanted


def test_typing_a_name_with_digits_picks_nothing(browser: Browser, tmp_path: Path) -> None:
    replies = replies_of(tmp_path / "r.jsonl", {}, {})
    page = judging_page(replies, pairs_of(replies, METHODS, 0), 2)
    opened(browser, tmp_path / "page.html", page)
    browser.type("#judge", "judge 12")
    assert browser.script(SHOWN)["count"] == "pair 1 of 2, 0 judged"


@pytest.mark.parametrize("text", HOSTILE)
def test_the_page_shows_texts_as_they_are(text: str, browser: Browser, tmp_path: Path) -> None:
    change = {"history": [["user", text]], "replies": {"adapted": text, "retrieval": "b"}}
    replies = replies_of(tmp_path / "r.jsonl", change)
    opened(
        browser,
        tmp_path / "page.html",
        judging_page(replies, pairs_of(replies, METHODS, 0), 50),
    )
    shown = browser.script(SHOWN)
    assert shown["history"] == [["User", text]]
    assert {shown["left"], shown["right"]} == {text, "b"}
    scripts = browser.script("return document.scripts.length + document.images.length")
    assert scripts == 2  # the data and the page's own

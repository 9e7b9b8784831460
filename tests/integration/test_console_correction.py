"""The console page's form for corrections, in a real browser."""

from __future__ import annotations

import json
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any, Iterator

import pytest

from browser import Browser
from servers import LocalServer

PAGE = Path(__file__).resolve().parents[2] / "plugin" / "rasa_onramp" / "console" / "page"
SLOTS = [{"name": name, "description": "", "values": []} for name in ("day", "guest")]
SCHEMA = {"intents": [{"name": "book"}], "slots": SLOTS}
#: A form is shown, and what it sends kept.
_SHOW = """
return (async () => {
  const { correction } = await import("/correction.js");
  window.sent = [];
  const [schema, turn] = %s;
  document.body.replaceChildren(correction(schema, turn, async (body) => sent.push(body)));
})();
"""


@pytest.fixture
def page() -> Iterator[str]:
    class Files(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any):
            super().__init__(*arguments, directory=str(PAGE))

        def log_message(self, *arguments: object) -> None:
            pass

    server = LocalServer(Files)
    yield server.url
    server.close()


def test_only_what_was_changed_is_sent(page: str, browser: Browser) -> None:
    """A field holds other blanks and ends of lines than were said."""
    state = {"active_intent": "book", "values": {"day": ["friday\n"], "guest": [" hana\u00a0"]}}
    turn = {"state": state, "reply": {"text": " Booked:\r\nfriday.\r\n"}}
    browser.open(f"{page}/console.css")  # any of its files; the page itself begins to work
    browser.script(_SHOW % json.dumps([SCHEMA, turn]))
    browser.click(".primary")
    said = browser.until("return document.querySelector('.error').textContent")
    assert said.startswith("Nothing is changed yet")
    assert browser.script("return sent") == []

    browser.type("input[id$='-1']", "hana k. ")
    browser.click(".primary")
    assert browser.until("return sent.length && sent") == [
        {"corrected_state": {"values": {"guest": "hana k."}}}
    ]
    browser.type("textarea", "Booked: friday.")
    browser.click(".primary")
    browser.until("return sent.length === 2")
    assert browser.script("return sent[1].corrected_reply") == "Booked: friday."

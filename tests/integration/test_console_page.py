"""The console page in a real browser, served by a real running bot: a domain from paste to roll
back, adapted and measured by processes that the bot starts.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Iterator

import pytest

from browser import Browser
from rasa_onramp.formats.yaml_write import yaml_text
from rasa_onramp.store import Store, open_store
from rasa_programs import RasaServer
from small_bot import BIKES, dialogues

NAME = BIKES.name
#: Words that a page which reads texts as markup would run.
HOSTILE = "<img src=x onerror=document.title='run'><script>document.title='run'</script>"
#: Imports and checks wait until they are let on.
_SLOW = """
const real = window.fetch;
window.fetch = async (path, ...more) => {
  if (path === "api/import") await new Promise((letOn) => { window.letOn = letOn; });
  return real(path, ...more);
};
"""
#: The first answer on all domains waits until it is let on.
_LATE = """
const real = window.fetch;
window.fetch = async (path, ...more) => {
  const answer = await real(path, ...more);
  if (path.startsWith("api/domains") && !window.letLateOn)
    await new Promise((letOn) => { window.letLateOn = letOn; });
  return answer;
};
"""
BIKE, DORA = "my bike needs a repair, is tuesday possible", "it is dora"


@pytest.fixture
def store(bots: Any) -> Iterator[Store]:
    with open_store(bots.pizzeria.environment["RASA_ONRAMP_DATABASE_URL"]) as store:
        yield store
        if NAME in store.dialogues.domains():  # other tests meet the bot without it
            store.dialogues.delete_domain(NAME)


class Page:
    """What a person does on the page."""

    def __init__(self, browser: Browser, server: RasaServer):
        self.browser = browser
        browser.open(f"{server.url}/webhooks/onramp-console/")
        browser.script("sessionStorage.clear()")  # nobody is signed in
        browser.reload()
        self.see("#sign-in")

    def see(self, selector: str, words: str = "") -> str:
        """Wait until an element shows, with these words in it; its text."""
        return self.browser.until(
            f"const found = [...document.querySelectorAll({json.dumps(selector)})]"
            f".find((each) => each.innerText.includes({json.dumps(words)}));"
            "return found && found.getClientRects().length ? found.innerText || '-' : null;"
        )

    def see_words_only(self, selector: str, words: str) -> None:
        """Wait until these words show; none of them was read as markup."""
        self.see(selector, words)
        made = "return document.querySelectorAll('#view img, #view script').length"
        assert self.browser.script(made) == 0

    def paste(self, text: str) -> None:
        """As from the clipboard: nobody types thousands of letters."""
        self.browser.script(f"document.getElementById('yaml').value = {json.dumps(text)}")
        self.press("#check")

    def press(self, selector: str) -> None:
        element = f"document.querySelector({json.dumps(selector)})"
        self.browser.script(f"{element}.scrollIntoView({{ block: 'center' }})")
        self.browser.click(selector)

    def say(self, text: str) -> None:
        self.browser.type("#message", text)
        self.browser.press("\ue007", "#message")  # Enter

    def tab(self, number: int) -> None:
        self.press(f".tabs a:nth-child({number})")


def test_a_domain_from_paste_to_roll_back(
    bots: Any, servers: Any, store: Store, browser: Browser
) -> None:
    page = Page(browser, servers.pizzeria)

    # signing in
    browser.type("#token", "not-the-token-at-all")
    page.press("#token-form button")
    page.see("#token-error", "doesn't take this token")
    browser.type("#token", bots.pizzeria.environment["RASA_ONRAMP_CONSOLE_TOKEN"])
    page.press("#token-form button")
    page.see("#domains a", "table_booking")
    browser.reload()  # the tab remembers it
    page.see("#domains a", "table_booking")

    # onboarding: first with a mistake, then looked at, then for real
    found = dialogues(BIKES, 7)
    held_out = [dataclasses.replace(each, split="held-out") for each in found[5:]]
    text = yaml_text(BIKES, (*found[:5], *held_out))
    page.press("a[href='#/onboard']")
    page.see("#yaml")
    page.paste(text.replace("intent: repair_bike", "intent: repair", 1))
    assert "unknown intent 'repair'; " in page.see("#view .error", "pasted.yml:")
    chosen = "const it = document.activeElement; return it.id === 'yaml' && it.value.slice("
    marked = browser.until(f"{chosen}it.selectionStart, it.selectionEnd);")
    assert marked.strip() == "intent: repair"
    page.paste(text)
    assert "7 new" in page.see("#found", "This would be imported")
    assert NAME not in store.dialogues.domains()
    page.press("#import")
    page.see("#facts", "5 support dialogues, 2 held out; not adapted")
    assert store.dialogues.schema(NAME) == BIKES

    # an attempt that failed for a passing reason is begun again by whoever asks for it
    store.jobs.enqueue(NAME, asked_by="test")
    lease = store.jobs.claim("a process elsewhere", domains=[NAME])
    assert lease is not None and store.jobs.fail(lease, "no room", again=True)
    browser.reload()
    assert "failed: no room" in page.see("#job", "Adapt tries it again.")
    assert browser.script("return document.querySelector('#job progress')") is None

    # adapting, and the curve: both in processes that the bot starts, one after the other
    page.press("#adapt")
    page.see("#job", "moment")
    page.press("#measure")
    at_work = browser.until(
        "return document.getElementById('facts').innerText.includes('runs on version 1')"
        " && [document.querySelector('#curve progress') !== null]"
    )
    assert at_work == [True]  # nobody waits for the curve to be told
    assert store.adapters.active(NAME) is not None
    page.see("#figures", "the bot runs on it")
    page.see("#curve", "As a table")
    browser.until("return document.querySelectorAll('.dot.jga').length === 4")
    curve = store.curves.get(NAME)
    assert curve is not None
    assert [point["shots"] for point in curve.points] == [0, 1, 2, 5]

    # a chat, the state beside it, an API call that a person answers, and feedback
    page.tab(2)
    page.see("#message")
    page.say(BIKE)
    page.see(".said.bot", "Under which name?")
    assert "tuesday" in page.see("#state", "repair_day")
    page.say(DORA)
    page.see(".call", "open_repair(repair_day = tuesday, owner_name = dora)")
    browser.type(".call textarea", "colour=red")
    page.press("[data-how=rows]")
    page.see(".call .error", "'colour' is no result of this call")
    browser.type(".call textarea", f"ticket_code={HOSTILE}")
    page.press("[data-how=rows]")
    page.see_words_only(".said.bot", f"Your ticket is {HOSTILE}")
    page.see_words_only("#state", HOSTILE)
    page.press(".said.bot:last-child [data-thumb=up]")
    page.see(".said.bot:last-child .judging", "Kept")
    page.press(".said.bot:last-child .correct")
    page.see(".correction textarea")
    browser.type(".correction textarea", f"Booked. {HOSTILE}")
    page.press(".correction .primary")
    browser.until("return document.querySelector('.correction') === null")
    (feedback,) = store.feedback.list(NAME)
    assert (feedback.corrected_reply, feedback.history[-1].text) == (f"Booked. {HOSTILE}", DORA)
    for place, value in enumerate(("monday", "ann")):  # what was corrected before stays so
        page.press(".said.bot:last-child .correct")
        page.see(".correction textarea")
        browser.type(f".correction input[id$='-{place}']", value)
        page.press(".correction .primary")
        browser.until("return document.querySelector('.correction') === null")
    (feedback,) = store.feedback.list(NAME)
    assert feedback.corrected_state is not None and feedback.thumb == "up"
    assert feedback.corrected_state.values == {"repair_day": ("monday",), "owner_name": ("ann",)}
    assert feedback.corrected_reply == f"Booked. {HOSTILE}"

    # versions: rolled back to none, activated again; the bot itself follows at its next message
    page.tab(3)
    page.see("#versions", "active")
    page.press("#no-version")
    page.see("#facts", "not adapted")
    assert store.adapters.active(NAME) is None
    page.press("[aria-label='Activate version 1']")
    page.see("#facts", "changed since that version was made: adapt again")
    for checkpoint in (store.adapters.get(NAME, 1).checkpoint_digest, "another"):
        store.adapters.add(
            *(NAME, b"weights"),
            support_digest=store.support(NAME).digest,
            checkpoint_digest=checkpoint,
            figures={},
            activate=False,
        )
    browser.reload()
    page.see("#facts", "changed since that version was made: version 2 has that, see Versions")
    page.press("[aria-label='Activate version 3']")
    page.see("#view .error", "Version 3 was made from another checkpoint than version 1: a bot")
    page.press("#rollback")
    page.see("#facts", "runs on version 1")
    assert servers.pizzeria.say("of-the-bot", BIKE) == ["Under which name?"]
    assert servers.pizzeria.understood("of-the-bot")["adapter"] == 1
    page.tab(4)
    page.see_words_only("#feedback", f"Booked. {HOSTILE}")
    page.press("#feedback button")
    page.see("#feedback", "None yet")

    # nothing was loaded from elsewhere
    loaded = browser.script("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert all(each.startswith(servers.pizzeria.url) for each in loaded)

    # what didn't change is left alone while somebody may be using it
    listed = f"document.querySelector(\"#domains a[href$='/{NAME}']\").innerText"
    browser.until(f"return {listed}.endsWith('version 1')")  # as it is without the feedback
    browser.script("performance.clearResourceTimings()")
    browser.script("document.querySelector('#domains a').id = 'used'")
    asked = "performance.getEntriesByType('resource').map((e) => e.name)"
    browser.until(f"return {asked}.filter((name) => name.includes('api/domains')).length > 1")
    page.see("#used")

    # nothing of it is there for who signs in next
    page.press("#sign-out")
    page.see("#sign-in")
    assert browser.script("return sessionStorage.length") == 0
    assert "tuesday" not in browser.script("return document.body.textContent")
    browser.type("#token", bots.pizzeria.environment["RASA_ONRAMP_CONSOLE_TOKEN"])
    page.press("#token-form button")
    page.see("#domains a", NAME)
    browser.script(f"location.hash = '#/domain/{NAME}/chat'")
    page.see("#said", "Every message is taken to be this domain's.")
    assert browser.script("return document.querySelectorAll('.said').length") == 0
    page.press("#sign-out")
    page.see("#sign-in")


def test_only_what_was_seen_is_imported(
    bots: Any, servers: Any, store: Store, browser: Browser, tmp_path: Path
) -> None:
    page = Page(browser, servers.pizzeria)
    browser.type("#token", bots.pizzeria.environment["RASA_ONRAMP_CONSOLE_TOKEN"])
    page.press("#token-form button")
    page.see("#domains a", "table_booking")
    page.press("a[href='#/onboard']")
    page.see("#picker")

    # a file of another encoding is refused, and taken once it is mended
    path = tmp_path / "cafe.yml"
    path.write_bytes("name: café\n".encode("latin-1"))
    browser.press(str(path), "#picker")
    page.see("#view .error", "cafe.yml isn't UTF-8; save it as UTF-8")
    assert browser.script("return document.getElementById('files').children.length") == 0
    path.write_text("name: café\n", encoding="utf-8")
    browser.press(str(path), "#picker")
    page.see("#files", "cafe.yml")
    page.press("#files button")

    # what is said of a text that was changed meanwhile is said of another
    text = yaml_text(BIKES, dialogues(BIKES, 2))
    browser.script(_SLOW)
    for each in (text, text.replace("intent: repair_bike", "intent: repair", 1)):
        page.paste(each)
        browser.until("return !!window.letOn")
        browser.press("#", "#yaml")  # a comment
        browser.script("window.letOn(); window.letOn = null")
        browser.until("return !document.getElementById('check').disabled")
        assert browser.script("return document.getElementById('found').children.length") == 0
        assert browser.script("return document.querySelector('#view .error').innerText") == ""

    # and what was seen is what is imported, whatever became of the text
    page.paste(text)
    browser.until("return !!window.letOn")
    browser.script("window.letOn()")
    page.see("#found", "This would be imported")
    browser.script("window.letOn = null; document.getElementById('yaml').value = 'nothing'")
    browser.script(_LATE)
    browser.until("return !!window.letLateOn")
    page.press("#import")
    browser.until("return !!window.letOn")
    browser.script("window.letOn()")
    page.see("#facts", "2 support dialogues")
    assert store.dialogues.schema(NAME) == BIKES

    # an answer from before the import comes too late to be shown
    page.see("#domains a", NAME)
    browser.script("window.letLateOn(); return new Promise((done) => setTimeout(done, 300))")
    assert NAME in browser.script("return document.getElementById('domains').innerText")


def test_it_fits_a_narrow_screen(servers: Any, bots: Any, browser: Browser) -> None:
    page = Page(browser, servers.pizzeria)
    browser.narrow(360, 740)
    try:
        browser.type("#token", bots.pizzeria.environment["RASA_ONRAMP_CONSOLE_TOKEN"])
        page.press("#token-form button")
        page.see("#adapt")
        for number, sign in ((2, "#message"), (3, "#versions"), (4, "#feedback")):
            page.tab(number)
            page.see(sign)
            assert browser.script("return document.documentElement.scrollWidth") == 360
    finally:
        browser.narrow(0, 0)
        browser.script("sessionStorage.clear()")

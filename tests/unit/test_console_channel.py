"""The console's requests in a real Sanic server, with a real engine and store."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from typing import Any, Dict, Iterator, Optional, Tuple, Type

import pytest

pytest.importorskip("rasa")

import requests
from rasa.shared.exceptions import InvalidConfigException

from channel_server import ChannelServer, runtime_on
from rasa_onramp.components import host
from rasa_onramp.components.console import MOST_BYTES, ConsoleInput
from rasa_onramp.components.tokens import Token
from rasa_onramp.console import Console, api
from rasa_onramp.console.chats import Chats, Heard
from rasa_onramp.console.helper import Helper, Surroundings
from rasa_onramp.console.uploads import MOST_BYTES as MOST_UPLOADED
from rasa_onramp.dialogue import Corpus, State, Turn
from rasa_onramp.errors import (
    CheckpointError,
    ConfigError,
    StoreBusy,
    StoreError,
    StoreReadOnly,
    StoreUnavailable,
)
from rasa_onramp.formats.yaml_write import yaml_text
from rasa_onramp.refusals import Refused
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.store import Store, open_store
from servers import wait_for
from small_bot import BIKES, TABLES, dialogues, small_tracker

TOKEN = "a-token-of-16-characters-or-more"
NAME = TABLES.name
FRIDAY = "can i book a table on friday"
HANA = "it is hana"
NOTHING = "is it raining"
READS = ("status", "domains", "domain", "progress")
DOES = (
    *("import", "adapt", "curve", "versions", "chat", "message", "answer"),
    *("feedback", "feedback/remove"),
)


class World:
    """A running server; what it is made of, and ways to ask it."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.store: Store = engine.store
        # what adapts is started in tests/integration
        self._server = ChannelServer([ConsoleInput(Token(TOKEN), adapt_here=False)])
        self.url = f"{self._server.url}/webhooks/onramp-console"
        self.close = self._server.close

    def asked(
        self, method: str, path: str, token: Optional[str] = f"Bearer {TOKEN}", **more: Any
    ) -> Tuple[int, Any]:
        headers = {} if token is None else {"Authorization": token}
        url = f"{self.url}/api/{path}"
        answer = requests.request(method, url, headers=headers, timeout=60, **more)
        return answer.status_code, answer.json()

    def get(self, path: str, **query: str) -> Tuple[int, Any]:
        return self.asked("GET", path, params=query)

    def post(self, path: str, **body: Any) -> Tuple[int, Any]:
        return self.asked("POST", path, json=body)

    def done(self, path: str, **body: Any) -> Any:
        """What a request that must work answers."""
        code, answer = self.post(path, **body)
        assert code == 200, answer
        return answer

    def chat(self, domain: Optional[str] = NAME) -> str:
        return self.done("chat", domain=domain)["chat"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    path = tmp_path_factory.mktemp("console") / "onramp.db"
    with open_store(f"sqlite:///{path}") as store:
        store.upgrade()
        support = dialogues(TABLES, 7)
        held_out = [dataclasses.replace(each, split="held-out") for each in support[5:]]
        store.dialogues.import_corpus(Corpus({NAME: TABLES}, (*support[:5], *held_out)))
        tracker = dataclasses.replace(small_tracker(), digest="small")
        with runtime_on(store, tracker) as runtime:
            made = World(runtime.engine())
            yield made
            made.close()


def bikes(count: int = 2) -> Dict[str, str]:
    return {"name": "bikes.yml", "text": yaml_text(BIKES, dialogues(BIKES, count))}


# the page


@pytest.mark.parametrize("name", ["", "main.js", "console.css", "icon.svg"])
def test_the_page_needs_no_token_and_allows_nothing_but_its_own_files(
    world: World, name: str
) -> None:
    answer = requests.get(f"{world.url}/{name}", timeout=60)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in " ".join(policy)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script>" not in answer.text
    assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in answer.text


def test_without_its_last_slash_the_page_is_found_too(world: World) -> None:
    answer = requests.get(world.url, timeout=60)
    assert (answer.url, answer.status_code) == (f"{world.url}/", 200)
    assert answer.history[0].headers["Location"] == "onramp-console/"


@pytest.mark.parametrize(
    "path", ["../api.py", "..%2fapi.py", "%2e%2e/api.py", "page/main.js", "__init__.py"]
)
def test_no_other_file_is_served(world: World, path: str) -> None:
    request = requests.Request("GET", world.url).prepare()
    request.url = f"{world.url}/{path}"
    with requests.Session() as session:
        assert session.send(request, timeout=60).status_code == 404


# tokens and bodies


@pytest.mark.parametrize("token", [None, "", TOKEN, f"Bearer {TOKEN}x", f"Basic {TOKEN}"])
def test_without_the_token_nothing_is_said_or_done(world: World, token: Optional[str]) -> None:
    wanted = (401, {"error": "wrong or no token; send `Authorization: Bearer TOKEN`"})
    for path in READS:
        assert world.asked("GET", path, token, params={"domain": NAME}) == wanted
    for path in DOES:
        assert world.asked("POST", path, token, json={"domain": NAME, "do": "activate"}) == wanted
    assert world.store.jobs.of(NAME) == ()


@pytest.mark.parametrize("path", DOES)
def test_a_body_that_is_none(world: World, path: str) -> None:
    for data in (b"", b"{", b"\xff", b"[" * 50_000):
        code, answer = world.asked("POST", path, data=data)
        assert (code, answer["error"]) == (400, "the body isn't JSON; send an object")
    code, answer = world.asked("POST", path, json=[])
    assert (code, answer["error"]) == (400, "the body isn't a JSON object; send one")
    code, answer = world.post(path, nonsense=1)
    assert (code, "there is no key 'nonsense'; the keys are" in answer["error"]) == (400, True)


@pytest.mark.parametrize("path", ["adapt", "import"])
def test_a_body_that_is_too_long_is_not_read(world: World, path: str) -> None:
    most = MOST_UPLOADED if path == "import" else MOST_BYTES
    try:
        code, answer = world.asked("POST", path, data=b" " * (most + 2**20))
    except requests.ConnectionError:  # the server hung up before all of it was sent
        code, answer = 413, {"error": "longer"}
    assert (code, "longer" in answer["error"]) == (413, True)
    assert world.get("status")[0] == 200  # it goes on


@pytest.mark.parametrize("bad", ["a\0b", "a table \ud83d"])
def test_texts_that_cannot_be_stored_or_read(world: World, bad: str) -> None:
    chat = world.chat()
    world.done("message", chat=chat, text=FRIDAY)
    world.done("message", chat=chat, text=HANA)
    rows = json.dumps([{"table_code": bad}])
    for path, body in (
        ("message", {"chat": chat, "text": bad}),
        ("answer", {"chat": chat, "how": "rows", "rows": f"table_code={bad}"}),
        ("answer", {"chat": chat, "how": "rows", "rows": rows}),
        ("feedback", {"chat": chat, "reply": 0, "corrected_reply": bad}),
        ("feedback", {"chat": chat, "reply": 0, "corrected_state": {"values": {"visit_day": bad}}}),
        ("feedback/remove", {"domain": NAME, "id": bad}),
        ("versions", {"domain": bad, "do": "rollback"}),
        ("chat", {"domain": bad}),
        ("adapt", {"domain": bad}),
    ):
        code, answer = world.post(path, **body)
        assert (code, "; remove it" in answer["error"]) == (400, True), (path, answer)
    assert world.get("domain", domain="a\0b")[0] == 400
    assert world.store.feedback.list(NAME) == ()
    assert world.done("answer", chat=chat, how="failed")["turn"]["action"] == "reserve_table"


# domains


def test_domains_are_shown_at_a_glance_and_whole(world: World) -> None:
    code, answer = world.get("domains")
    (found,) = answer["domains"]
    assert code == 200
    assert (found["name"], found["support"], found["held_out"]) == (NAME, 5, 2)
    code, whole = world.get("domain", domain=NAME)
    assert code == 200
    assert [slot["name"] for slot in whole["slots"]] == ["visit_day", "guest_name"]
    assert [intent["name"] for intent in whole["intents"]] == ["book_table"]
    assert (whole["curve"], whole["measuring"], whole["remade"]) == (None, False, None)


@pytest.mark.parametrize("path", ["domain", "progress"])
def test_a_domain_that_is_not_there(world: World, path: str) -> None:
    code, answer = world.get(path, domain="nowhere")
    assert (code, "'nowhere'" in answer["error"]) == (404, True)
    assert world.get(path)[0] == 400
    assert world.get(path, domain=NAME, more="x")[0] == 400


@pytest.mark.parametrize("path", ["domain", "progress"])
def test_a_domain_that_is_deleted_while_it_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    world.done("import", files=[bikes()])
    summary = world.store.dialogues.summary

    def late(names: Any = None) -> Any:
        world.store.dialogues.delete_domain(BIKES.name)
        return summary(names)

    monkeypatch.setattr(world.store.dialogues, "summary", late)
    code, answer = world.get(path, domain=BIKES.name)
    assert (code, f"no domain '{BIKES.name}'" in answer["error"]) == (404, True)


# importing


def test_an_import_is_looked_at_before_it_is_done(world: World) -> None:
    before = world.store.revision()
    shown = world.done("import", files=[bikes()], dry_run=True)
    (found,) = shown["domains"]
    assert (found["name"], found["support"], found["held_out"]) == (BIKES.name, 2, 0)
    assert (shown["imported"], shown["added"]) == (False, 2)
    assert (world.store.dialogues.domains(), world.store.revision()) == ((NAME,), before)

    done = world.done("import", files=[bikes()])
    assert (done["imported"], done["added"], done["unchanged"]) == (True, 2, 0)
    assert world.done("import", files=[bikes(3)], dry_run=True)["unchanged"] == 2
    assert world.store.dialogues.dialogues(BIKES.name) == dialogues(BIKES, 2)
    world.store.dialogues.delete_domain(BIKES.name)


def test_an_import_says_what_waits_and_what_is_missing(world: World) -> None:
    found = dialogues(BIKES, 1)[0]
    bare = dataclasses.replace(
        found,
        id="bare",
        turns=(Turn("user", "my bike broke", State()), Turn("system", "Which day?")),
    )
    silent = dataclasses.replace(
        found,
        turns=tuple(
            dataclasses.replace(turn, action=None, parameters={}, results=())
            for turn in found.turns
        ),
    )
    file = {"name": "bikes.yml", "text": yaml_text(BIKES, (bare, silent))}
    shown = world.done("import", files=[file])
    assert [(each["support"], each["waiting"]) for each in shown["domains"]] == [(1, 1)]
    (warning,) = shown["warnings"]
    assert "no support dialogue here calls open_repair" in warning
    assert world.store.dialogues.glance(BIKES.name).n_waiting == 1
    world.store.dialogues.delete_domain(BIKES.name)


def test_a_malformed_file_is_one_line_with_its_line_and_imports_nothing(world: World) -> None:
    bad = bikes()
    bad["text"] = bad["text"].replace("intent: repair_bike", "intent: repair_bikes", 1)
    number = bad["text"].splitlines().index("        intent: repair_bikes") + 1
    good = {"name": "tables.yml", "text": yaml_text(TABLES, dialogues(TABLES, 30))}
    code, answer = world.post("import", files=[good, bad])
    assert (code, answer["line"]) == (400, number)
    assert answer["error"].startswith(f"bikes.yml:{number}: unknown intent 'repair_bikes'; ")
    assert len(world.store.dialogues.dialogues(NAME)) == 7


def test_a_schema_that_dialogues_of_the_store_contradict(world: World) -> None:
    fewer = dataclasses.replace(TABLES, slots=TABLES.slots[:2], actions=())
    file = {"name": "tables.yml", "text": yaml_text(fewer, ())}
    code, answer = world.post("import", files=[file])
    assert (code, "lacks the" in answer["error"]) == (400, True)


def test_one_import_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on = threading.Event(), threading.Event()
    real = world.store.dialogues.import_corpus

    def slow(*arguments: Any, **more: Any) -> Any:
        began.set()
        assert go_on.wait(30)
        return real(*arguments, **more)

    monkeypatch.setattr(world.store.dialogues, "import_corpus", slow)
    first = threading.Thread(target=world.post, args=("import",), kwargs={"files": [bikes()]})
    first.start()
    assert began.wait(30)
    code, answer = world.post("import", files=[bikes()], dry_run=True)
    go_on.set()
    first.join(30)
    assert (code, "another import is under way" in answer["error"]) == (409, True)
    world.store.dialogues.delete_domain(BIKES.name)


# adapting and measuring


def test_adapting_is_a_job_for_whoever_comes_first(world: World) -> None:
    job = world.done("adapt", domain=NAME)["job"]
    assert (job["state"], job["error"]) == ("queued", None)
    assert world.done("adapt", domain=NAME)["job"]["number"] == job["number"]
    lease = world.store.jobs.claim("a worker")
    assert lease is not None
    world.store.jobs.beat(lease, step=3, total=8, loss=0.5)
    _, progress = world.get("progress", domain=NAME)
    assert (progress["job"]["step"], progress["job"]["total"]) == (3, 8)
    assert world.get("domains")[1]["domains"][0]["job"]["state"] == "running"
    world.store.jobs.cancel(NAME)
    assert world.get("progress", domain=NAME)[1]["job"]["error"] == "cancelled"
    assert world.post("adapt", domain="nowhere")[0] == 404


def test_a_job_whose_process_died_is_begun_anew_when_it_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def begin() -> Surroundings:
        begun.append(1)
        raise ConfigError("nothing is adapted here; it is only begun")

    monkeypatch.setattr(api, "_HEAD_START", 0.0)
    helper = Helper(begin)
    console = Console(lambda: world.engine, helper)
    jobs, name = world.store.jobs, f"adapting {NAME}"
    jobs.enqueue(NAME, asked_by="test")
    lease = jobs.claim("a process that lives", seconds=60)
    assert lease is not None
    assert console.adapt({"domain": NAME})["job"]["lapsed"] is False
    wait_for(lambda: not helper.busy(name))
    assert begun == []
    jobs.release(lease)
    assert jobs.claim("a process that died", seconds=0) is not None
    found = console.adapt({"domain": NAME})["job"]
    assert (found["state"], found["lapsed"]) == ("queued", False)
    wait_for(lambda: not helper.busy(name))
    assert begun == [1]
    world.store.jobs.cancel(NAME)


def test_where_the_store_is_no_failed_work_tells(world: World) -> None:
    where = "the store at postgresql://onramp:***@db.internal/onramp can't be reached (no route)"

    def away() -> Surroundings:
        raise StoreUnavailable(where)

    helper = Helper(away)
    helper.ask(f"adapting {NAME}", "worker")
    wait_for(lambda: not helper.busy(f"adapting {NAME}"))
    jobs = world.store.jobs
    jobs.enqueue(NAME, asked_by="test")
    lease = jobs.claim("a worker")
    assert lease is not None
    jobs.fail(lease, where)
    found = Console(lambda: world.engine, helper).progress({"domain": NAME})
    said = "the store can't be reached or used; "
    assert found["job_problem"] == f"{said}see the bot's log"
    assert found["job"]["error"] == f"{said}`rasa-onramp jobs list` says more"
    assert "db.internal" not in str(found)
    helper.close()


def test_a_bot_that_may_not_measure_names_the_command(world: World) -> None:
    code, answer = world.post("curve", domain=NAME)
    assert (code, f"rasa-onramp curve {NAME}" in answer["error"]) == (409, True)


def test_what_was_all_learned_from_has_nothing_to_be_measured_on(world: World) -> None:
    def never() -> Surroundings:
        raise AssertionError("something was begun")

    world.done("import", files=[bikes()])
    console = Console(lambda: world.engine, Helper(never))
    with pytest.raises(Refused, match="has no held-out dialogues") as caught:
        console.measure_curve({"domain": BIKES.name})
    assert caught.value.status == 409
    world.store.dialogues.delete_domain(BIKES.name)


# versions


def test_versions_are_switched_pinned_and_rolled_back(world: World) -> None:
    for jga in (0.5, 0.6):
        world.store.adapters.add(
            NAME,
            b"weights",
            support_digest="s",
            checkpoint_digest="c",
            figures={"before": {"jga": 0.4}, "after": {"jga": jga}},
        )

    def told(do: str, **more: Any) -> Any:
        found = world.done("versions", domain=NAME, do=do, **more)["versions"]
        return [(each["version"], each["active"], each["pinned"]) for each in found]

    assert told("rollback") == [(1, True, False), (2, False, False)]
    assert told("activate", version=2) == [(1, False, False), (2, True, False)]
    assert told("pin", version=2) == [(1, False, False), (2, True, True)]
    assert told("unpin", version=2)[1] == (2, True, False)
    _, whole = world.get("domain", domain=NAME)
    assert [each["figures"]["after"]["jga"] for each in whole["versions"]] == [0.5, 0.6]
    world.store.adapters.add(
        NAME, b"w", support_digest="s", checkpoint_digest="d", figures={}, activate=False
    )
    digest = world.store.dialogues.glance(NAME).support_digest
    world.store.adapters.add(
        NAME, b"w", support_digest=digest, checkpoint_digest="c", figures={}, activate=False
    )
    assert world.get("domain", domain=NAME)[1]["remade"] == 4
    switched = world.done("versions", domain=NAME, do="activate", version=3)
    assert "version 3 was made from another checkpoint than version 2" in switched["warning"]
    assert world.done("versions", domain=NAME, do="unpin", version=3)["warning"] is None
    assert told("activate", version=None) == [(n, False, False) for n in (1, 2, 3, 4)]
    assert world.post("versions", domain=NAME, do="rollback")[0] == 404
    assert world.post("versions", domain=NAME, do="activate", version=9)[0] == 404


@pytest.mark.parametrize(
    ("body", "saying"),
    [
        ({"do": "pin"}, "'domain' is missing"),
        ({"domain": NAME, "do": "pin"}, "'version' is missing"),
        ({"domain": NAME, "do": "drop", "version": 1}, "one of activate, rollback, pin, unpin"),
        ({"domain": NAME, "do": "pin", "version": "1"}, "'version' isn't a whole number"),
        ({"domain": NAME, "do": "pin", "version": True}, "'version' isn't a whole number"),
        (
            {"domain": NAME, "do": "pin", "version": 10**30},
            "'version' is a number that no",
        ),
        ({"domain": " ", "do": "pin"}, "'domain' is empty"),
        ({"domain": 3, "do": "pin"}, "'domain' isn't text"),
    ],
)
def test_bad_requests_about_versions(world: World, body: Dict[str, Any], saying: str) -> None:
    code, answer = world.post("versions", **body)
    assert (code, saying in answer["error"]) == (400, True)


# chatting


def test_a_chat_tracks_asks_for_the_call_and_answers(world: World) -> None:
    chat = world.chat()
    first = world.done("message", chat=chat, text=FRIDAY)["turn"]
    assert (first["domain"], first["state"]["values"]) == (NAME, {"visit_day": ["friday"]})
    assert (first["state"]["active_intent"], first["changes"]) == ("book_table", ["visit_day"])
    assert first["reply"]["text"] == "Under which name?"

    asked = world.done("message", chat=chat, text=HANA)
    assert asked["turn"] is None
    assert asked["call"] == {
        "domain": NAME,
        "action": "reserve_table",
        "parameters": {"visit_day": "friday", "guest_name": "hana"},
        "result_slots": ["table_code"],
    }
    code, answer = world.post("answer", chat=chat, how="rows", rows="colour=red")
    assert (code, "'colour' is no result of this call" in answer["error"]) == (400, True)
    last = world.done("answer", chat=chat, how="rows", rows="table_code=t99")["turn"]
    assert last["reply"]["text"] == "Your table is booked for friday under hana, the code is t99."
    assert (last["action"], last["results"]) == ("reserve_table", [{"table_code": "t99"}])
    assert world.post("answer", chat=chat, how="rows", rows="")[0] == 409


def test_a_call_is_answered_from_a_support_dialogue_or_fails(world: World) -> None:
    for how, words in (("sample", "the code is t"), ("failed", "Sorry, that didn't work")):
        chat = world.chat()
        world.done("message", chat=chat, text=FRIDAY)
        world.done("message", chat=chat, text=HANA)
        assert words in world.done("answer", chat=chat, how=how)["turn"]["reply"]["text"]
    chat = world.chat()
    world.done("message", chat=chat, text=FRIDAY)
    world.done("message", chat=chat, text=HANA)
    assert "rows, sample, failed" in world.post("answer", chat=chat, how="magic")[1]["error"]
    # another message takes the place of the one that waits
    again = world.done("message", chat=chat, text="it is bruno")
    assert again["call"]["parameters"]["guest_name"] == "bruno"


def test_a_call_that_the_schema_has_no_more_is_asked_for_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = world.chat()
    world.done("message", chat=chat, text=FRIDAY)
    fewer = dataclasses.replace(TABLES, actions=())
    monkeypatch.setattr(world.store.dialogues, "schema", lambda domain: fewer)
    call = world.done("message", chat=chat, text=HANA)["call"]
    assert (call["action"], call["result_slots"]) == ("reserve_table", [])
    code, answer = world.post("answer", chat=chat, how="rows", rows="")
    assert (code, "has no reserve_table any more" in answer["error"]) == (409, True)
    assert world.done("answer", chat=chat, how="failed")["turn"]["action"] == "reserve_table"


def test_chats_know_nothing_of_one_another(world: World) -> None:
    one, other = world.chat(), world.chat()
    world.done("message", chat=one, text=FRIDAY)
    turn = world.done("message", chat=other, text=HANA)["turn"]
    assert "visit_day" not in turn["state"]["values"]


def test_without_a_domain_messages_are_routed(world: World) -> None:
    chat = world.chat(None)
    assert world.done("message", chat=chat, text=FRIDAY)["turn"]["domain"] == NAME
    nothing = world.done("message", chat=world.chat(None), text="qwertz uiop")["turn"]
    assert (nothing["domain"], nothing["reply"]) == (None, None)
    assert list(nothing["scores"]) == [NAME]


def test_chats_that_are_not_there(world: World) -> None:
    assert world.post("chat", domain="nowhere")[0] == 404
    for path, body in (("message", {"text": "hi"}), ("feedback", {"reply": 0, "thumb": "up"})):
        code, answer = world.post(path, chat="gone", **body)
        assert (code, "begin a new one" in answer["error"]) == (404, True)


def test_a_chat_has_an_end(world: World) -> None:
    chat = Chats().begin(NAME)
    for _ in range(199):
        chat.session.hear("hm", NAME, None)
        chat.session.say(Turn("system", "Hm?"), NAME)
    assert isinstance(chat.say(world.engine, FRIDAY), Heard)
    with pytest.raises(Refused, match="begin a new one") as caught:
        chat.say(world.engine, HANA)
    assert (len(chat.session.turns), caught.value.status) == (400, 409)


def test_the_last_hundred_chats_are_kept() -> None:
    chats = Chats()
    first, *others = (chats.begin(None) for _ in range(101))
    assert [chats.get(each.id) for each in others] == others
    with pytest.raises(Refused, match="isn't kept any more"):
        chats.get(first.id)


# feedback


def test_feedback_is_kept_with_all_that_led_to_the_reply(world: World) -> None:
    chat = world.chat()
    world.done("message", chat=chat, text=FRIDAY)
    world.done("message", chat=chat, text=HANA)
    number = world.done("answer", chat=chat, how="sample")["turn"]["reply"]["number"]
    kept = world.done(
        "feedback",
        chat=chat,
        reply=number,
        thumb="up",
        corrected_reply="Booked!",
        corrected_state={"values": {"guest_name": "hannah"}},
    )
    (found,) = world.store.feedback.list(NAME)
    assert kept == {"id": found.id, "domain": NAME}
    assert [turn.text for turn in found.history] == [FRIDAY, "Under which name?", HANA]
    assert (found.conversation, found.thumb) == (f"console-{chat}", "up")
    assert (found.reply.action, found.corrected_reply) == ("reserve_table", "Booked!")
    assert found.template.count("{") == 3
    state = found.corrected_state
    assert state is not None
    assert state.values == {"visit_day": ("friday",), "guest_name": ("hannah",)}
    shown = world.get("domain", domain=NAME)[1]["feedback"]
    assert [each["corrected_reply"] for each in shown] == ["Booked!"]
    world.done("feedback/remove", domain=NAME, id=found.id)
    assert world.store.feedback.list(NAME) == ()
    assert world.post("feedback/remove", domain=NAME, id=found.id)[0] == 404


def test_feedback_waits_a_moment_only_for_a_long_import(world: World) -> None:
    chat = world.chat()
    number = world.done("message", chat=chat, text=FRIDAY)["turn"]["reply"]["number"]
    given = {"chat": chat, "reply": number, "thumb": "down"}
    kept = world.done("feedback", **given)
    began = time.monotonic()
    with world.store._database.writing():
        for path, body in (("feedback", given), ("feedback/remove", kept)):
            code, answer = world.post(path, **body)
            assert (code, "another process is writing" in answer["error"]) == (503, True)
    assert time.monotonic() - began < 30
    world.done("feedback/remove", **kept)


def test_a_correction_after_a_message_about_nothing_keeps_what_was_known(world: World) -> None:
    chat = world.chat()
    world.done("message", chat=chat, text=FRIDAY)
    world.done("message", chat=chat, text=HANA)
    world.done("answer", chat=chat, how="rows", rows="table_code=t99")
    turn = world.done("message", chat=chat, text=NOTHING)["turn"]
    assert (turn["domain"], turn["in_scope"]) == (NAME, False)
    changed = {"values": {"guest_name": "hannah"}}
    number = turn["reply"]["number"]
    kept = world.done("feedback", chat=chat, reply=number, corrected_state=changed)
    (found,) = world.store.feedback.list(NAME)
    assert found.history[-1].state is None
    assert found.corrected_state == State(
        {"visit_day": ("friday",), "guest_name": ("hannah",)}, "book_table"
    )
    world.done("feedback/remove", **kept)


@pytest.mark.parametrize(
    ("body", "code", "saying"),
    [
        ({"reply": 0}, 400, "says nothing"),
        ({"reply": 1, "thumb": "up"}, 404, "this chat has no reply 1"),
        ({"reply": -1, "thumb": "up"}, 404, "this chat has no reply -1"),
        ({"reply": 0, "thumb": "sideways"}, 400, "up, down"),
        ({"reply": 0, "corrected_reply": " "}, 400, "empty correction"),
        ({"reply": 0, "corrected_state": {"slots": {}}}, 400, "'corrected_state' isn't an object"),
        ({"reply": 0, "corrected_state": {"values": {"a": "b"}}}, 400, "has a slot 'a'"),
    ],
)
def test_feedback_that_cannot_be_taken(
    world: World, body: Dict[str, Any], code: int, saying: str
) -> None:
    chat = world.chat()
    world.done("message", chat=chat, text=FRIDAY)
    found, answer = world.post("feedback", chat=chat, **body)
    assert (found, saying in answer["error"]) == (code, True), answer
    assert world.store.feedback.list(NAME) == ()


# what goes wrong elsewhere


def test_without_a_model_of_ours_it_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_current", [])
    code, answer = world.get("domains")
    assert (code, answer["error"]) == (503, "no model with us is loaded; load one")


def test_a_store_that_is_away_is_no_secret(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store("sqlite:////nowhere/s3cret.db") as away:
        monkeypatch.setattr(world.engine, "store", away)
        code, answer = world.get("domains")
    assert code == 503
    assert answer["error"] == (
        "the store can't be reached or used; try again later, or see the bot's log"
    )


def test_while_the_store_is_down_nobody_asks_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.engine.reach, "_down", "it was away a moment ago")
    monkeypatch.setattr(world.store, "revision", lambda: pytest.fail("it was asked"))
    code, answer = world.get("domains")
    assert (code, answer["error"].startswith("the store can't be reached")) == (503, True)


@pytest.mark.parametrize(
    ("error", "saying"),
    [
        (StoreBusy, "another process is writing to the store; try again when it is done"),
        (StoreReadOnly, "this bot may only read the store; see its log"),
        (StoreError, "the store can't be reached or used; try again later, or see the bot's log"),
    ],
)
def test_what_is_wrong_with_a_store_that_cannot_be_written_to(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Type[StoreError], saying: str
) -> None:
    def refuses(*_: Any, **__: Any) -> Any:
        raise error("the store at sqlite:///s3cret.db refuses")

    monkeypatch.setattr(world.store.jobs, "enqueue", refuses)
    assert world.post("adapt", domain=NAME) == (503, {"error": saying})


def test_what_the_bot_lacks_is_no_fault_of_the_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*arguments: Any) -> Any:
        raise CheckpointError("the adapter is damaged; adapt it anew")

    monkeypatch.setattr(world.store, "revision", damaged)
    code, answer = world.get("domains")
    assert (code, answer) == (503, {"error": "the adapter is damaged; adapt it anew"})


def test_an_error_that_nobody_thought_of_says_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> Any:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(world.store, "revision", broken)
    code, answer = world.get("domains")
    assert (code, answer["error"]) == (500, "that failed unexpectedly; see the bot's log")


@pytest.mark.parametrize(
    ("credentials", "saying"),
    [
        (None, "give it token_env"),
        ({"adapt_here": True}, "give it token_env"),
        ({"token_env": "MY_TOKEN", "adapt_here": "no"}, "adapt_here is 'no'; make it true or"),
        ({"token_env": "MY_TOKEN", "url": "x"}, "give it token_env"),
        ({"token_env": "SHORT"}, "holds no token of 16 characters"),
    ],
)
def test_a_channel_that_is_set_up_wrongly_is_refused(
    credentials: Any, saying: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    monkeypatch.setenv("SHORT", "s3cret")
    with pytest.raises(InvalidConfigException, match=saying) as caught:
        ConsoleInput.from_credentials(credentials)
    assert "s3cret" not in str(caught.value)


def test_rasa_finds_the_channel_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    from rasa.core.run import _create_single_channel

    monkeypatch.setenv("MY_TOKEN", TOKEN)
    path = "rasa_onramp.components.console.ConsoleInput"
    channel = _create_single_channel(path, {"token_env": "MY_TOKEN", "adapt_here": False})
    assert isinstance(channel, ConsoleInput)
    assert channel.url_prefix() == "onramp-console"

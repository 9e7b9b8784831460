"""The feedback channel in a real Sanic server, with a real tracker store and a real engine."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import pytest

pytest.importorskip("rasa")

import requests
from rasa.core.tracker_store import InMemoryTrackerStore
from rasa.shared.core.events import ActionExecuted, BotUttered, Restarted, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException

from channel_server import ChannelServer, runtime_on
from rasa_onramp.components import host
from rasa_onramp.components.feedback import MOST_BYTES, FeedbackInput
from rasa_onramp.components.payload import payload_of, reply_metadata
from rasa_onramp.components.tokens import Token
from rasa_onramp.dialogue import State
from rasa_onramp.rasa_names import KEY
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.runtime.session import Session
from rasa_onramp.store import Feedback, open_store
from servers import wait_for
from small_bot import TABLES, corpus_of, small_tracker

TOKEN = "a-token-of-16-characters-or-more"
NAME = TABLES.name
FRIDAY = "can i book a table on friday"
HANA = "it is hana"
NOTHING = "is it raining"


class World:
    """A running server; what it is made of, and ways to talk to it."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self._server = ChannelServer([FeedbackInput(Token(TOKEN))])
        self.close = self._server.close

    def talk(self, sender: str, *texts: str, then: Sequence[Any] = ()) -> List[str]:
        """A conversation as a running bot leaves it in its tracker store; the replies."""
        session, said = Session(), []
        tracker = DialogueStateTracker(sender, [])
        for text in texts:
            understood = self.engine.understand(session, text)
            payload = payload_of(understood, session)
            tracker.update(UserUttered(text, {"name": "onramp"}, parse_data={KEY: payload}))
            rows = [{"table_code": "t99"}] if understood.action else None
            reply = self.engine.reply(session, text, understood, rows)
            turn = self.engine.system_turn(reply, understood, rows)
            session.hear(text, NAME, understood.state)
            session.say(turn, NAME)
            tracker.update(ActionExecuted("utter_onramp"))
            metadata = reply_metadata(turn, NAME, reply)
            tracker.update(BotUttered(turn.text, metadata={KEY: metadata}))
            said.append(turn.text)
        for event in then:
            tracker.update(event)
        self._server.save(tracker)
        return said

    def post(
        self, body: Any = None, token: Optional[str] = f"Bearer {TOKEN}", **more: Any
    ) -> Tuple[int, Dict[str, Any]]:
        headers = {} if token is None else {"Authorization": token}
        if body is not None:
            more["json"] = body
        url = f"{self._server.url}/webhooks/onramp/feedback"
        answer = requests.post(url, headers=headers, timeout=60, **more)
        return answer.status_code, answer.json()

    def feedback(self) -> Tuple[Feedback, ...]:
        return self.engine.store.feedback.list(NAME)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    path = tmp_path_factory.mktemp("feedback") / "onramp.db"
    with open_store(f"sqlite:///{path}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        tracker = dataclasses.replace(small_tracker(), digest="small")
        with runtime_on(store, tracker) as runtime:
            made = World(runtime.engine())
            yield made
            made.close()


@pytest.fixture(autouse=True)
def no_feedback(world: World) -> None:
    for each in world.feedback():
        world.engine.store.feedback.remove(NAME, each.id)


def test_a_reply_is_corrected_with_all_that_led_to_it(world: World) -> None:
    replies = world.talk("ann", FRIDAY, HANA)
    code, answer = world.post(
        {
            "conversation": "ann",
            "thumb": "down",
            "corrected_reply": "Done, hana: friday, code t99.",
            "corrected_state": {"values": {"visit_day": ["saturday", "sat"]}},
        }
    )
    (found,) = world.feedback()
    assert (code, answer) == (200, {"id": found.id, "domain": NAME})
    assert (found.conversation, found.thumb) == ("ann", "down")
    assert found.corrected_reply == "Done, hana: friday, code t99."
    assert [turn.text for turn in found.history] == [FRIDAY, replies[0], HANA]
    states = [turn.state.values for turn in found.history if turn.state is not None]
    assert states[0] == {"visit_day": ("friday",)}
    assert states[1] == {"visit_day": ("friday",), "guest_name": ("hana",)}
    assert found.corrected_state is not None
    assert found.corrected_state.values == {
        "visit_day": ("saturday", "sat"),
        "guest_name": ("hana",),
    }
    assert found.corrected_state.active_intent == "book_table"
    assert (found.reply.text, found.reply.action) == (replies[1], "reserve_table")
    assert found.reply.results == ({"table_code": "t99"},)
    assert found.template.count("{") == 3


def test_a_correction_after_a_message_about_nothing_keeps_what_was_known(world: World) -> None:
    world.talk("ann", FRIDAY, HANA, NOTHING)
    changed = {"values": {"guest_name": "hannah"}}
    assert world.post({"conversation": "ann", "corrected_state": changed})[0] == 200
    (found,) = world.feedback()
    assert found.history[-1].state is None
    assert found.corrected_state == State(
        {"visit_day": ("friday",), "guest_name": ("hannah",)}, "book_table"
    )


def test_what_was_voted_down_is_not_said_at_the_next_message(world: World) -> None:
    (before,) = world.talk("bo", FRIDAY)
    assert world.post({"conversation": "bo", "thumb": "down"})[0] == 200
    (after,) = world.talk("cleo", FRIDAY)
    assert after != before
    assert world.post({"conversation": "bo", "thumb": "up"})[0] == 200
    assert world.talk("dora", FRIDAY) == [before]


def test_an_earlier_reply_is_named_by_its_text(world: World) -> None:
    replies = world.talk("ann", FRIDAY, HANA)
    body = {"conversation": "ann", "thumb": "up", "reply": f" {replies[0]} "}
    assert world.post(body)[0] == 200
    (found,) = world.feedback()
    assert (found.reply.text, len(found.history)) == (replies[0], 1)


@pytest.mark.parametrize(
    ("conversation", "reply"), [("nobody", None), ("ann", "never said"), ("over", None)]
)
def test_only_what_was_said_can_be_spoken_of(
    world: World, conversation: str, reply: Optional[str]
) -> None:
    world.talk("ann", FRIDAY)
    world.talk("over", FRIDAY, then=[Restarted()])
    said = {"conversation": conversation, "thumb": "down", "reply": reply}
    code, answer = world.post(said)
    assert code == 404
    assert "of ours since its session began" in answer["error"]
    assert world.feedback() == ()


def test_replies_of_the_bots_own_are_not_ours_to_correct(world: World) -> None:
    world.talk("ann", then=[UserUttered("hello"), BotUttered("Hello!")])
    assert world.post({"conversation": "ann", "thumb": "down"})[0] == 404


@pytest.mark.parametrize(
    "token", [None, "", TOKEN, "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xe9"]
)
def test_without_the_token_nothing_is_taken(world: World, token: Optional[str]) -> None:
    world.talk("ann", FRIDAY)
    code, answer = world.post({"conversation": "ann", "thumb": "down"}, token)
    assert code == 401
    assert answer == {"error": "wrong or no token; send `Authorization: Bearer TOKEN`"}
    assert world.feedback() == ()


@pytest.mark.parametrize(
    ("body", "saying"),
    [
        ([], "isn't a JSON object"),
        ({}, "'conversation' is missing"),
        ({"thumb": "up"}, "'conversation' is missing"),
        ({"conversation": 3, "thumb": "up"}, "'conversation' isn't text"),
        ({"conversation": "ann"}, "it says nothing; give one of thumb, corrected_reply"),
        ({"conversation": "ann", "thumb": "sideways"}, "'sideways'; make it one of up, down"),
        ({"conversation": "ann", "thumb": ["up"]}, "'thumb' isn't text"),
        ({"conversation": "ann", "thumbs": "up"}, "there is no key 'thumbs'"),
        ({"conversation": "ann", "corrected_reply": " "}, "empty correction"),
        ({"conversation": "ann", "corrected_reply": "a\0b"}, "NUL"),
        ({"conversation": "ann", "corrected_reply": "\ud83d"}, "surrogate"),
        ({"conversation": "ann", "corrected_state": "x"}, "'corrected_state' isn't an object"),
        ({"conversation": "ann", "corrected_state": {}}, "'corrected_state' isn't an object"),
        ({"conversation": "ann", "corrected_state": {"slots": {}}}, "'corrected_state' isn't an"),
        ({"conversation": "ann", "corrected_state": {"values": []}}, "aren't an object of slots"),
        ({"conversation": "ann", "corrected_state": {"values": {"a": 1}}}, "value of 'a' that is"),
        ({"conversation": "ann", "corrected_state": {"values": {"a": "b"}}}, "a slot 'a'; it may"),
        ({"conversation": "ann", "corrected_state": {"active_intent": 3}}, "neither text nor null"),
        ({"conversation": "ann", "corrected_state": {"active_intent": "x"}}, "the intent 'x'; na"),
        ({"conversation": "ann", "corrected_state": {"requested_slots": "x"}}, "list of texts"),
    ],
)
def test_bad_input_is_one_line_and_stores_nothing(world: World, body: Any, saying: str) -> None:
    world.talk("ann", FRIDAY)
    code, answer = world.post(body)
    assert (code, list(answer)) == (400, ["error"])
    assert saying in answer["error"]
    assert "\n" not in answer["error"]
    assert world.feedback() == ()


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 50_000, b"nul"])
def test_a_body_that_is_not_json(world: World, data: bytes) -> None:
    code, answer = world.post(data=data)
    assert (code, answer) == (400, {"error": "the body isn't JSON; send an object"})


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_not_read(world: World, chunked: bool) -> None:
    sent = []

    def parts() -> Iterator[bytes]:
        for number in range(2000):
            sent.append(number)
            yield b" " * MOST_BYTES

    try:
        code, answer = world.post(data=parts() if chunked else b" " * (MOST_BYTES + 1))
    except requests.ConnectionError:  # the server hung up before all of it was sent
        code, answer = 413, {"error": "longer"}
    assert (code, "longer" in answer["error"]) == (413, True)
    assert len(sent) < 2000
    assert world.post({"conversation": "nobody", "thumb": "up"})[0] == 404  # it goes on


def test_without_a_model_of_ours_it_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_current", [])
    code, answer = world.post({"conversation": "ann", "thumb": "up"})
    assert (code, answer) == (503, {"error": "no model with us is loaded; load one"})


def test_a_store_that_is_away_is_no_secret(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.talk("ann", FRIDAY)
    with open_store("sqlite:////nowhere/s3cret.db") as away:
        monkeypatch.setattr(world.engine, "reach", Reach(away, retry_after=1000.0))
        for _ in range(2):  # the second isn't even tried
            code, answer = world.post({"conversation": "ann", "thumb": "up"})
            assert (code, answer["error"].startswith("the store can't be reached")) == (503, True)
            assert "s3cret" not in str(answer)


def test_while_the_store_is_down_nobody_asks_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.talk("ann", FRIDAY)
    monkeypatch.setattr(world.engine.reach, "_down", "it was away a moment ago")
    assert world.post({"conversation": "ann", "thumb": "up"})[0] == 503
    assert world.feedback() == ()


def test_conversations_that_cannot_be_read_are_not_said_to_be_none(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who gives feedback tries again after 503, and not after 404."""
    world.talk("ann", FRIDAY)
    said = {"conversation": "ann", "thumb": "up"}
    with monkeypatch.context() as away:
        away.setattr(InMemoryTrackerStore, "retrieve", _refused)
        code, answer = world.post(said)
        assert (code, "conversations can't be read" in answer["error"]) == (503, True)
    assert "Rasa's tracker store failed with ConnectionError" in caplog.text
    assert "s3cret" not in caplog.text
    assert world.post(said)[0] == 200


async def _refused(*_: Any) -> None:
    raise ConnectionError("refused at s3cret:5432")


def test_nobody_waits_long_for_another_process_that_writes(
    world: World,
) -> None:
    world.talk("ann", FRIDAY)
    with closing(sqlite3.connect(world.engine.store.name, isolation_level=None)) as importing:
        importing.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        code, answer = world.post({"conversation": "ann", "thumb": "up"})
        assert time.monotonic() - began < 20
        importing.execute("ROLLBACK")
    assert (code, answer) == (
        503,
        {"error": "another process is writing to the store; try again when it is done"},
    )
    assert not world.engine.reach.down  # messages go on
    assert world.post({"conversation": "ann", "thumb": "up"})[0] == 200


def test_a_store_that_hangs_holds_few_threads_and_none_of_the_messages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.talk("ann", FRIDAY)
    thawed, waiting = threading.Event(), []

    def hangs(*_: Any, **__: Any) -> str:
        waiting.append(threading.current_thread())
        assert thawed.wait(60)
        return "an id"

    monkeypatch.setattr(world.engine.store.feedback, "add", hangs)
    said = {"conversation": "ann", "thumb": "up"}
    with ThreadPoolExecutor(30) as people:
        posts = [people.submit(world.post, said) for _ in range(30)]
        wait_for(lambda: sum(post.done() for post in posts) >= 30 - 2 - 16)
        assert all(post.result()[0] == 503 for post in posts if post.done())
        assert len(waiting) == 2 and all(thread.daemon for thread in waiting)
        thawed.set()
    codes = [post.result()[0] for post in posts]
    assert (codes.count(200), codes.count(503)) == (18, 12)


@pytest.mark.parametrize(
    ("credentials", "saying"),
    [
        (None, "give it token_env"),
        ({}, "give it token_env"),
        ({"token_env": "not a name"}, "give it token_env"),
        ({"token": TOKEN}, "give it token_env"),
        ({"token_env": "MY_TOKEN", "url": "x"}, "give it token_env"),
        ({"token_env": "s3cret" + "0" * 58}, "give it token_env"),
        ({"token_env": "MY_TOKEN"}, "variable MY_TOKEN holds no token of 16 characters"),
        ({"token_env": "SHORT"}, "variable SHORT holds no token of 16 characters"),
        ({"token_env": "ECHOED"}, "variable ECHOED holds a token with a blank, a line's end or"),
        ({"token_env": "ACCENTS"}, "variable ACCENTS holds a token with a blank, a line's end or"),
    ],
)
def test_a_channel_without_a_token_is_refused(
    credentials: Any, saying: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_TOKEN", raising=False)
    monkeypatch.setenv("SHORT", "s3cret")
    monkeypatch.setenv("ECHOED", f"{TOKEN}\n")
    monkeypatch.setenv("ACCENTS", f"{TOKEN}-s3cr\xe9t")
    with pytest.raises(InvalidConfigException, match=saying) as caught:
        FeedbackInput.from_credentials(credentials)
    assert TOKEN not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_rasa_finds_the_channel_by_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    from rasa.core.run import _create_single_channel

    monkeypatch.setenv("MY_TOKEN", TOKEN)
    path = "rasa_onramp.components.feedback.FeedbackInput"
    channel = _create_single_channel(path, {"token_env": "MY_TOKEN"})
    assert isinstance(channel, FeedbackInput)
    assert channel.url_prefix() == "onramp"

"""What of Rasa's tracker counts as said and known."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

import pytest

pytest.importorskip("rasa")

from rasa.core.actions.action import ActionSessionStart
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActionReverted,
    ActiveLoop,
    AllSlotsReset,
    BotUttered,
    Event,
    FollowupAction,
    LegacyForm,
    Restarted,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.slots import AnySlot
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message

from channel_server import runtime_on
from rasa_onramp.actions.calls import as_rows
from rasa_onramp.components.events import applied, call_results, last_message
from rasa_onramp.components.host import current_runtime
from rasa_onramp.components.payload import abstention, payload_of, results_of
from rasa_onramp.components.response_generator import OnrampResponseGenerator
from rasa_onramp.components.sessions import (
    exchanged,
    reply_in,
    session_before_message,
    session_of,
)
from rasa_onramp.components.state_tracker import OnrampStateTracker
from rasa_onramp.dialogue import Span, State, Turn
from rasa_onramp.errors import StoreUnavailable
from rasa_onramp.generator import Reply
from rasa_onramp.generator.situation import situate
from rasa_onramp.rasa_names import KEY, REPLY, RESULTS
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.router import Route
from rasa_onramp.runtime.session import Session
from rasa_onramp.runtime.understanding import Understanding
from rasa_onramp.store import open_store
from small_bot import TABLES, corpus_of, small_tracker

NAME = TABLES.name


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        with runtime_on(store, dataclasses.replace(small_tracker(), digest="small")) as runtime:
            yield runtime.engine()


def say(engine: Engine, tracker: DialogueStateTracker, text: str) -> None:
    """A message as the tracker and the policy leave it."""
    session = session_of(tracker, engine)
    payload = payload_of(engine.understand(session, text), session)
    tracker.update(UserUttered(text, {"name": "onramp"}, parse_data={KEY: payload}))
    if payload["domain"] is not None:
        tracker.update(SlotSet(KEY, payload))


def test_what_rasa_carries_over_into_a_new_session_is_not_known_in_it(engine: Engine) -> None:
    tracker = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    say(engine, tracker, "can i book a table on friday")
    assert session_of(tracker, engine).states[NAME].values == {"visit_day": ("friday",)}

    domain = Domain.empty()
    assert domain.session_config.carry_over_slots  # which is Rasa's default
    for event in asyncio.run(ActionSessionStart().run(None, None, tracker, domain)):
        tracker.update(event)
    assert tracker.get_slot(KEY) is not None
    assert session_of(tracker, engine).states == {}
    say(engine, tracker, "qwertz uiop")  # nor after a message that isn't ours
    assert session_of(tracker, engine).states == {}
    say(engine, tracker, "table for two on monday please")
    assert session_before_message(tracker, engine).states == {}
    assert "friday" not in str(session_of(tracker, engine).states[NAME])


def test_an_outage_ends_no_domains_conversation(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = OnrampStateTracker(None, None)  # type: ignore[arg-type]

    def hear(tracker: DialogueStateTracker, text: str) -> Any:
        message = Message({TEXT: text})
        component.process([message], tracker, current_runtime())
        heard = {KEY: message.get(KEY)}
        tracker.update(UserUttered(text, {"name": "nlu_fallback"}, parse_data=heard))
        return message.get(KEY)

    def is_away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("the store is away")

    sorry = ("Sorry, I can't help with that.", "Anything else?")
    tracker = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    say(engine, tracker, "can i book a table on friday")
    answer(tracker, "Under which name?")
    with monkeypatch.context() as away:
        away.setattr(engine, "understand", is_away)
        for _ in range(2):
            assert hear(tracker, "it is hana")["reason"] == "unavailable"
            for text in sorry:
                answer(tracker, text, None)
    session = session_of(tracker, engine)
    assert session.domain == NAME
    assert session.states[NAME].values == {"visit_day": ("friday",)}
    # what was said meanwhile is no more than said
    history = session.history(NAME)
    assert history[-2:] == (Turn("user", "it is hana"), Turn("system", " ".join(sorry)))
    found = hear(tracker, "it is hana")
    assert (found["domain"], found["reason"]) == (NAME, "context")
    # what a button has the bot say ends it, as ever; and none begins in an outage
    other = DialogueStateTracker("bob", [])
    with monkeypatch.context() as away:
        away.setattr(engine, "understand", is_away)
        hear(other, "it is hana")
        answer(other, sorry[0], None)
        hear(tracker, "it is hana")
        tracker.update(UserUttered("/opening_hours", {"name": "opening_hours"}))
        answer(tracker, "We are open from 9 to 5.", None)
    assert session_of(tracker, engine).domain is None is session_of(other, engine).domain


def answer(tracker: DialogueStateTracker, text: str, domain: Optional[str] = NAME) -> None:
    metadata = {} if domain is None else {KEY: {"domain": domain}}
    tracker.update(BotUttered(text, metadata=metadata))


@pytest.mark.parametrize(
    "other",
    [
        UserUttered("/opening_hours", {"name": "opening_hours"}),
        UserUttered("EXTERNAL: paid", {"name": "paid"}, metadata={"is_external": True}),
    ],
)
def test_what_a_button_or_a_reminder_has_the_bot_say_ends_the_domain(
    engine: Engine, other: UserUttered
) -> None:
    tracker = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    say(engine, tracker, "can i book a table on friday")
    answer(tracker, "For how many?")
    tracker.update(other)
    assert session_of(tracker, engine).domain == NAME  # nothing was said to it, nor by the bot
    assert last_message(tracker) is None
    assert exchanged(tracker) == [("can i book a table on friday", "For how many?")]
    answer(tracker, "We are open from 9 to 5.", None)
    answer(tracker, "Anything else?", None)
    session = session_of(tracker, engine)
    assert session.domain is None
    assert session.states[NAME].values == {"visit_day": ("friday",)}
    assert [said.turn.speaker for said in session.turns] == ["user", "system"]
    assert session.interrupted is None  # it was asked something else
    # what the bot says beside our reply to a message doesn't end it
    say(engine, tracker, "can i book a table on friday")
    answer(tracker, "For how many?")
    answer(tracker, "We are open from 9 to 5.", None)
    assert session_of(tracker, engine).domain == NAME


def test_a_text_that_only_looks_like_a_command_is_said(engine: Engine) -> None:
    tracker = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    say(engine, tracker, "can i book a table on friday")
    answer(tracker, "Under which name?")
    say(engine, tracker, "/hana/ i am")  # which Rasa leaves our payload on
    message = last_message(tracker)
    assert message is not None and message.parse_data[KEY]["domain"] == NAME
    answer(tracker, "For how many?")
    session = session_of(tracker, engine)
    assert session.domain == NAME
    assert [turn.text for turn in session.history(NAME)][-2] == "/hana/ i am"


def test_a_picture_that_answers_a_button_ends_the_domain(engine: Engine) -> None:
    tracker = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    picture = BotUttered(None, {"image": "https://example.com/hours.png"})
    tracker.update(UserUttered("/hours", {"name": "hours"}))
    tracker.update(picture)  # nobody had said anything
    say(engine, tracker, "can i book a table on friday")
    tracker.update(picture)
    answer(tracker, "For how many?")
    tracker.update(picture)  # beside our reply it ends nothing
    assert session_of(tracker, engine).domain == NAME
    tracker.update(UserUttered("/hours", {"name": "hours"}))
    tracker.update(picture)
    session = session_of(tracker, engine)
    assert session.domain is None and len(session.turns) == 2
    assert session.states[NAME].values == {"visit_day": ("friday",)}
    assert session.interrupted == (NAME, "For how many?")


def test_a_domains_question_waits_while_the_bot_answers_once(engine: Engine) -> None:
    tracker = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    say(engine, tracker, "can i book a table on friday")
    answer(tracker, "For how many?")
    button = DialogueStateTracker.from_events("bob", [*tracker.events])
    button.update(UserUttered("/opening_hours", {"name": "opening_hours"}))
    answer(button, "We are open from 9 to 5.", None)
    answer(button, "On Sundays, too.", None)
    assert session_of(button, engine).interrupted == (NAME, "For how many?")
    for waits in (True, False):
        payload = abstention("bot")
        tracker.update(UserUttered("menu?", {"name": "menu"}, parse_data={KEY: payload}))
        tracker.update(BotUttered(None, {"image": "https://example.com/hours.png"}))
        assert (session_of(tracker, engine).interrupted is not None) is waits


def test_a_goodbye_is_known_from_the_tracker(engine: Engine) -> None:
    slots = [AnySlot(name, mappings=[{"type": "custom"}]) for name in (KEY, RESULTS)]
    tracker = DialogueStateTracker("ann", slots)
    called(tracker, engine)
    generator = OnrampResponseGenerator()
    for text in ("it is hana", "thanks, that is all"):
        if text != "it is hana":
            say(engine, tracker, text)
        session = session_of(tracker, engine)
        tested = DialogueStateTracker.from_events("bob", [*tracker.events])
        said = asyncio.run(generator.generate(REPLY, tracker, "rest"))
        assert said is not None
        tracker.update(BotUttered(said["text"], metadata={KEY: said[KEY]}))
    session = session_of(tracker, engine)
    assert (said["text"], session.domain, session.left) == ("You're welcome!", None, NAME)
    # `rasa test` keeps no metadata
    heard = [event for event in tested.events if isinstance(event, UserUttered)]
    heard[-1].parse_data.pop(KEY)
    tested.update(ActionExecuted(REPLY))
    assert session_of(tested, engine).left == NAME


def test_a_reply_after_a_form_tells_what_the_call_before_it_found(engine: Engine) -> None:
    slots = [AnySlot(name, mappings=[{"type": "custom"}]) for name in (KEY, RESULTS, "seats")]
    tracker = DialogueStateTracker("ann", slots)
    say(engine, tracker, "can i book a table on friday")
    answer(tracker, "Under which name?")
    tracker.update(ActionExecuted("action_listen"))
    say(engine, tracker, "it is hana")
    for event in (
        *(ActionExecuted("action_onramp_call"), SlotSet(RESULTS, [{"table_code": "t99"}])),
        *(FollowupAction("seats_form"), ActionExecuted("seats_form"), ActiveLoop("seats_form")),
        *(ActionExecuted("action_listen"), UserUttered("by the window", {"name": "inform"})),
        *(ActionExecuted("seats_form"), SlotSet("seats", "window"), ActiveLoop(None)),
        ActionExecuted(REPLY),
    ):
        tracker.update(event)
    said = asyncio.run(OnrampResponseGenerator().generate(REPLY, tracker, "rest"))
    assert said is not None
    assert said["text"] == "Your table is booked for friday under hana, the code is t99."


@pytest.mark.parametrize("reset", [AllSlotsReset(), SlotSet(KEY, None)])
def test_what_the_bot_forgets_is_forgotten(engine: Engine, reset: Event) -> None:
    tracker = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    say(engine, tracker, "can i book a table on friday")
    tracker.update(reset)
    assert session_of(tracker, engine).states == {}
    say(engine, tracker, "can i book a table on monday")
    assert session_of(tracker, engine).states[NAME].values == {"visit_day": ("monday",)}


def test_what_a_call_answered_is_forgotten_too(engine: Engine) -> None:
    tracker = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    say(engine, tracker, "can i book a table on friday")
    told = {"action": "reserve_table", "results": [{"table_code": "t99"}], "spans": []}
    booked = "Your table is booked for friday."
    tracker.update(BotUttered(booked, metadata={KEY: {"domain": NAME, **told}}))
    assert session_of(tracker, engine).results[NAME] == ({"table_code": "t99"},)
    tracker.update(AllSlotsReset())
    session = session_of(tracker, engine)
    assert session.results == {} and session.domain == NAME
    asked, answered = session.history(NAME)
    assert (asked.text, asked.state) == ("can i book a table on friday", None)
    assert (answered.text, answered.action, answered.results) == (booked, None, ())
    rows = situate(TABLES, [*session.history(NAME), Turn("user", "which code?")], State()).rows
    assert rows == () == session.since_forgotten(NAME)
    # what is said next is known, and nothing of what was said before in the same breath
    tracker.update(BotUttered("Anything else?", metadata={KEY: {"domain": NAME}}))
    say(engine, tracker, "can i book a table on monday")
    tracker.update(BotUttered("Under which name?", metadata={KEY: {"domain": NAME}}))
    said = session_of(tracker, engine).since_forgotten(NAME)
    assert [turn.text for turn in said[1:]] == ["can i book a table on monday", "Under which name?"]
    assert said[0].text.endswith("Anything else?") and said[0].results == ()
    assert said[1].state is not None and said[1].state.active_intent == "book_table"
    replied = reply_in(tracker, engine)
    assert replied is not None and replied.history == said[:2]


def booked(day: str) -> BotUttered:
    """A reply that tells of a table on this day."""
    call = {"action": "reserve_table", "parameters": {"visit_day": day, "guest_name": "hana"}}
    told = {"domain": NAME, **call, "results": [{"table_code": "t99"}]}
    return BotUttered("It is booked.", metadata={KEY: told})


@pytest.mark.parametrize(("day", "rows"), [("friday", ({"table_code": "t99"},)), ("monday", ())])
def test_a_failed_call_leaves_no_rows_of_the_same_call_with_other_parameters(
    engine: Engine, day: str, rows: Any
) -> None:
    slots = [AnySlot(name, mappings=[{"type": "custom"}]) for name in (KEY, RESULTS)]
    tracker = DialogueStateTracker("ann", slots)
    say(engine, tracker, "can i book a table on friday")
    tracker.update(booked(day))
    parameters = {"visit_day": "friday", "guest_name": "hana"}
    wanted = Understanding(Route(NAME), action="reserve_table", parameters=parameters)
    payload = payload_of(wanted, Session())
    for event in (
        UserUttered("for hana on friday", {"name": "onramp"}, parse_data={KEY: payload}),
        *(ActionExecuted("action_onramp_call"), SlotSet(RESULTS, {"error": "no answer"})),
        ActionExecuted(REPLY),
    ):
        tracker.update(event)
    responses = {REPLY: [{"text": "That didn't work."}]}
    generator = OnrampResponseGenerator(domain=Domain.from_dict({"responses": responses}))
    said = asyncio.run(generator.generate(REPLY, tracker, "rest"))
    assert said is not None and said["text"] == "That didn't work."
    told = said[KEY]
    assert told["failed"] == {"action": "reserve_table", "parameters": parameters}
    assert (told["action"], told["results"]) == (None, [])
    tracker.update(BotUttered(said["text"], metadata={KEY: told}))
    session = session_of(tracker, engine)
    assert session.results.get(NAME, ()) == rows
    assert situate(TABLES, [*session.history(NAME), Turn("user", "?")], State()).rows == rows


def called(tracker: DialogueStateTracker, engine: Engine) -> Mapping[str, str]:
    """A table is booked in the conversation, and nothing said of it yet; the call's parameters."""
    say(engine, tracker, "can i book a table on friday")
    answer(tracker, "Under which name?")
    parameters = {"visit_day": "friday", "guest_name": "hana"}
    state = State({"visit_day": ("friday",), "guest_name": ("hana",)}, "book_table")
    wanted = Understanding(Route(NAME), state, action="reserve_table", parameters=parameters)
    payload = payload_of(wanted, session_of(tracker, engine))
    for event in (
        UserUttered("it is hana", {"name": "onramp"}, parse_data={KEY: payload}),
        *(ActionExecuted("action_onramp_call"), SlotSet(RESULTS, [{"table_code": "t99"}])),
        ActionExecuted(REPLY),
    ):
        tracker.update(event)
    return parameters


def test_a_call_that_succeeded_is_known_though_no_reply_could_be_made(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = [AnySlot(name, mappings=[{"type": "custom"}]) for name in (KEY, RESULTS)]
    tracker = DialogueStateTracker("ann", slots)
    parameters = called(tracker, engine)

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(engine, "reply", fails)
    responses = {REPLY: [{"text": "Sorry."}]}
    generator = OnrampResponseGenerator(domain=Domain.from_dict({"responses": responses}))
    said = asyncio.run(generator.generate(REPLY, tracker, "rest"))
    assert said is not None and said["text"] == "Sorry."
    assert said[KEY]["because"] == "unavailable"
    tracker.update(BotUttered(said["text"], metadata={KEY: said[KEY]}))
    session = session_of(tracker, engine)
    assert session.domain == NAME and session.results[NAME] == ({"table_code": "t99"},)
    assert session.calls[NAME][1:] == ("reserve_table", parameters)


def test_where_writing_a_reply_fails_a_support_reply_is_said(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slots = [AnySlot(name, mappings=[{"type": "custom"}]) for name in (KEY, RESULTS)]
    tracker = DialogueStateTracker("ann", slots)
    called(tracker, engine)

    class Fails:
        def generator(self, domain: Any) -> Any:
            raise RuntimeError("no room")

    monkeypatch.setattr(engine, "writer", Fails())
    said = asyncio.run(OnrampResponseGenerator().generate(REPLY, tracker, "rest"))
    assert said is not None
    assert said["text"] == "Your table is booked for friday under hana, the code is t99."
    assert (said[KEY]["because"], said[KEY]["action"]) == ("unwritten", "reserve_table")
    assert "RuntimeError: no room" in caplog.text


def test_a_value_of_an_earlier_call_that_a_reply_tells_is_marked(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    say(engine, tracker, "can i book a table on friday")
    tracker.update(booked("friday"))
    say(engine, tracker, "can i book a table on friday")
    reply = Reply("Its code is t99.", "", "a", 1.0)
    monkeypatch.setattr(engine, "reply", lambda *_, **__: reply)
    said = asyncio.run(OnrampResponseGenerator().generate(REPLY, tracker, "rest"))
    assert said is not None and said[KEY]["spans"] == [["table_code", 12, 15]]
    # and in `rasa test`, where nobody has spoken
    bare = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    say(engine, bare, "can i book a table on friday")
    bare.update(booked("friday"))
    bare.update(UserUttered("can i book a table on friday", {"name": "onramp"}))
    bare.update(ActionExecuted(REPLY))
    assert session_of(bare, engine).turns[-1].turn.spans == (Span("table_code", 12, 15),)


def test_half_a_character_keeps_nobody_from_being_understood(engine: Engine) -> None:
    """Web clients cut texts in the midst of an emoji, and JSON can say so."""
    tracker = DialogueStateTracker("ann", [AnySlot(KEY, mappings=[{"type": "custom"}])])
    half = "can i book a table on friday \ud83d"
    message = Message({TEXT: half})
    component = OnrampStateTracker(None, None)  # type: ignore[arg-type]
    component.process([message], tracker, current_runtime())
    assert message.get(KEY)["domain"] == NAME
    tracker.update(UserUttered(half, {"name": "onramp"}, parse_data={KEY: message.get(KEY)}))
    known = {"domain": NAME, "action": "reserve_table", "results": [{"table_code": "t9\ud83d"}]}
    tracker.update(BotUttered("You said t9\ud83d", metadata={KEY: known}))
    session = session_of(tracker, engine)
    assert [said.turn.text[-1] for said in session.turns] == ["?", "?"]
    assert session.results == {NAME: ({"table_code": "t9?"},)}
    outcome = engine.turn(session, "it is hana", lambda *_: as_rows([{"table_code": "t8\ud83d"}]))
    assert outcome.understanding.domain == NAME
    assert outcome.reply is not None and "t8?" in outcome.reply.text


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        ({"action": "find", "rows": [{"status": "here"}]}, ({"status": "here"},)),
        ({"action": "find", "error": "no answer within 5 s"}, None),
        ({"error": "no answer"}, None),
        ({"action": "find", "rows": None}, None),
        ({"rows": []}, ()),
        # a row of a bot's own action, whose domain has a slot called `error`
        ({"error": "E42", "mend": "restart"}, ({"error": "E42", "mend": "restart"},)),
        ([{"error": "E42"}], ({"error": "E42"},)),
        ({"status": "here", "at": None}, ({"status": "here"},)),
        # nothing, in whatever words
        *((nothing, ()) for nothing in ({}, [{}], [{"status": None}], [{"with": []}])),
        ({"rows": [{}, {"status": "here"}]}, ({"status": "here"},)),
        # what a bot's own action set as it came
        ([{"with": ["wifi", "pool", None], "stars": 4}], ({"with": "wifi, pool", "stars": "4"},)),
        (
            [{"with \ud83d": "half \ud83d", "near": ["\udc00", 1]}],
            ({"with ?": "half ?", "near": "?, 1"},),
        ),
        ([{"n": n} for n in range(60)], tuple({"n": str(n)} for n in range(50))),
        ("nothing", None),
        (None, None),
    ],
)
def test_results_are_rows_or_a_failed_call(value: Any, rows: Any) -> None:
    assert results_of(value) == rows


def test_a_list_in_a_result_slot_is_said_as_one() -> None:
    ran = [ActionExecuted("find"), SlotSet("with", ["wifi", "pool"]), SlotSet("near", [])]
    assert call_results(ran, "find", ("with", "near")) == ({"with": "wifi, pool"},)
    assert call_results([ran[0], ran[2]], "find", ("with", "near")) == ()


def test_what_counts_is_what_rasa_says_counts() -> None:
    draw = random.Random(0)
    said = [
        *(ActionExecuted("action_listen"), UserUttered("hm"), ActionExecuted("trip_form")),
        *(ActionExecuted("utter_greet"), BotUttered("hello"), SlotSet("city", "paris")),
        *(AllSlotsReset(), FollowupAction("trip_form"), ActionExecutionRejected("trip_form")),
    ]
    begins = [Restarted(), SessionStarted()]
    undone = [ActionReverted(), UserUtteranceReverted()]
    loops = [ActiveLoop("trip_form"), LegacyForm("trip_form"), ActiveLoop(None)]
    for more in ([], begins, [*begins, *undone], [*begins, *loops], [*begins, *undone, *loops]):
        for _ in range(400):
            weights = [*[4] * len(said), *[1] * len(more)]
            tracker = DialogueStateTracker("ann", [])
            tracker.events.extend(draw.choices([*said, *more], weights, k=draw.randrange(25)))
            wanted = [id(event) for event in tracker.applied_events()]
            assert [id(event) for event in applied(tracker)] == wanted

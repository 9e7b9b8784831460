"""The engine without Rasa: a real store, the real sentence encoder, a small trained tracker."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
import threading
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple

import pytest

from rasa_onramp.dialogue import (
    DONTCARE,
    Action,
    Corpus,
    Dialogue,
    Intent,
    Schema,
    Slot,
    Span,
    State,
    Turn,
)
from rasa_onramp.errors import CheckpointError, NotFound, StoreUnavailable
from rasa_onramp.formats import read
from rasa_onramp.generator import Reply, RetrievalGenerator
from rasa_onramp.generator.situation import Situation, situate
from rasa_onramp.onboarding import adapt
from rasa_onramp.runtime.adapter_cache import AdapterCache
from rasa_onramp.runtime.conversation import FAILED, Engine, EngineSettings
from rasa_onramp.runtime.reach import Reach
from rasa_onramp.runtime.resuming import Guess
from rasa_onramp.runtime.router import Route
from rasa_onramp.runtime.session import (
    LONGEST,
    Session,
    span_from_json,
    span_to_json,
    state_from_json,
)
from rasa_onramp.runtime.stated import system_turn
from rasa_onramp.runtime.understanding import Understanding, understood_as, with_call
from rasa_onramp.store import Feedback, Store, open_store
from rasa_onramp.store.serialise import state_to_json
from rasa_onramp.tracker.answers import TurnPrediction
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.sentences import cached_sentences
from servers import wait_for
from small_bot import BIKES, TABLES, corpus_of, dialogues, small_tracker

Rows = Optional[Sequence[Mapping[str, str]]]


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    return dataclasses.replace(small_tracker(), digest="small")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        store.dialogues.import_corpus(corpus_of(TABLES))
        yield store


@pytest.fixture
def engine(store: Store, tracker: StateTracker) -> Engine:
    return Engine(store, tracker, cached_sentences(), EngineSettings(cache_mb=2, retry_after=0.1))


class Api:
    """Answers calls with `rows`, and remembers them."""

    def __init__(self, rows: Rows):
        self.rows = rows
        self.calls: List[Tuple[str, str, Mapping[str, str], Optional[str]]] = []

    def __call__(self, *call: Any) -> Rows:
        self.calls.append(call)
        return self.rows


def test_a_conversation_is_routed_tracked_called_and_answered(engine: Engine) -> None:
    session, api = Session(), Api([{"table_code": "t99"}])
    first = engine.turn(session, "can i book a table on friday", api)
    assert first.understanding.domain == "table_booking"
    assert first.understanding.state.values == {"visit_day": ("friday",)}
    assert first.understanding.spans == (Span("visit_day", 22, 28),)
    assert first.reply is not None
    assert first.reply.text == "Under which name?"
    assert api.calls == []

    second = engine.turn(session, "it is hana", api)
    parameters = {"visit_day": "friday", "guest_name": "hana"}
    assert api.calls == [("table_booking", "reserve_table", parameters, None)]
    assert second.results == ({"table_code": "t99"},)
    assert second.reply is not None
    assert second.reply.text == "Your table is booked for friday under hana, the code is t99."
    said = session.turns[-1].turn
    assert (said.action, said.results) == ("reserve_table", ({"table_code": "t99"},))
    stated = {span.slot: said.text[span.start : span.end] for span in said.spans}
    assert stated == {"visit_day": "friday", "guest_name": "hana", "table_code": "t99"}

    third = engine.turn(session, "thanks, that is all", api)
    assert third.understanding.domain == "table_booking"
    assert third.understanding.action is None
    assert third.reply is not None
    assert third.reply.text == "You're welcome!"


@pytest.fixture(scope="module")
def shipped() -> StateTracker:
    """The tracker that ships: it was trained to read past what is said in between."""
    return load_tracker()


def answered(session: Session, text: str, reply: str) -> None:
    """A message that is the host bot's, and what that said."""
    session.hear(text, None, None)
    session.say(Turn("system", reply), None, elsewhere=True)


def test_what_the_bot_answers_in_between_doesnt_end_a_domains_question(
    store: Store, shipped: StateTracker
) -> None:
    engine, session = Engine(store, shipped, cached_sentences()), Session()
    engine.turn(session, "can i book a table on friday")
    answered(session, "when are you open?", "From noon.")
    assert session.domain is None
    found = engine.understand(session, "it is hana")
    assert (found.domain, found.route.reason) == ("table_booking", "context")
    assert found.state.values == {"visit_day": ("friday",), "guest_name": ("hana",)}
    # what tells the domain nothing is the bot's, as before
    assert engine.understand(session, "thanks, that is all").route.reason == "none"


def test_a_domain_that_asks_nothing_any_more_is_not_gone_back_to(
    store: Store, shipped: StateTracker
) -> None:
    engine, began = Engine(store, shipped, cached_sentences()), Session()
    engine.turn(began, "can i book a table on friday")
    asked, long_ago, done = (copy.deepcopy(began) for _ in range(3))
    answered(asked, "the pizza was cold", "Sorry! Who may we call back?")
    assert engine.understand(asked, "it is hana").domain is None  # an answer to the bot
    for _ in range(2):
        answered(long_ago, "when are you open?", "From noon.")
    assert engine.understand(long_ago, "it is hana").domain is None
    engine.turn(done, "it is hana")
    answered(done, "when are you open?", "From noon.")
    assert engine.understand(done, "it is emil").domain is None


COLOURS = ("red", "green", "blue")
LOST = Schema(
    "lost_property",
    "Look for what was left behind in the cloakroom",
    slots=(
        Slot("item_colour", "Colour of what was lost", COLOURS),
        Slot("found", "Whether it was found", ("True", "False")),
    ),
    intents=(Intent("find_item", "Look for a lost coat or umbrella", ("item_colour",)),),
    actions=(Action("look", "Look for it", ("item_colour",), ("found",)),),
)


def lost(colour: str, answer: str = "We have found it, it is at the desk.") -> Dialogue:
    """A dialogue about a lost umbrella of that colour."""
    text = f"i lost my {colour} umbrella in the cloakroom"
    begin = text.index(colour)
    mark = Span("item_colour", begin, begin + len(colour))
    state = State({"item_colour": (colour,)}, "find_item")
    found = {"parameters": {"item_colour": colour}, "results": ({"found": "True"},)}
    turns = (
        Turn("user", text, state=state, spans=(mark,)),
        Turn("system", answer, action="look", **found),
        Turn("user", "oh good, thanks", state=state),
        Turn("system", "You're welcome!"),
    )
    return Dialogue(f"lost-{colour}", LOST.name, turns, "support")


@pytest.fixture
def desks(store: Store, shipped: StateTracker, repository: Path) -> Engine:
    """Of two of the example domains."""
    store.dialogues.delete_domain("table_booking")
    for name in ("parcel_delivery", "clinic_appointments"):
        store.dialogues.import_corpus(read(repository / "dialogue_data" / f"{name}.yml"))
    engine = Engine(store, shipped, cached_sentences())
    engine.catalogue.live(patient=True)
    return engine


CLINIC, PARCELS = "clinic_appointments", "parcel_delivery"
#: What was said to the clinic, what each message told it, and what it answered.
TALK: Tuple[Tuple[str, Mapping[str, str], str], ...] = (
    (
        "Hello, I'd like someone to look at a mole on my back, so dermatology I guess?",
        {"department": "dermatology"},
        "Certainly. Which day would you like?",
    ),
    (
        "the 16th, in the morning",
        {"appointment_day": "the 16th", "part_of_day": "morning"},
        "For the 16th I have 11:40 with Dr Osei. Would you like that?",
    ),
    (
        "yes, that one please",
        {"appointment_time": "11:40", "doctor": "Dr Osei"},
        "May I have the patient's full name?",
    ),
    ("It's me, Helen Marsh", {"patient_name": "Helen Marsh"}, ""),
)


def asked(question: str) -> Session:
    """A conversation in which the clinic knows all that it requires, and asks."""
    session, values = Session(), {}
    for text, told, reply in TALK:
        values.update({slot: (value,) for slot, value in told.items()})
        session.hear(text, CLINIC, State(dict(values), "book_appointment"))
        session.say(Turn("system", reply or question), CLINIC)
    return session


CONFIRM = "So that is Helen Marsh, dermatology, the 16th at 11:40 with Dr Osei. Shall I book it?"


def test_an_aside_at_a_confirmation_doesnt_end_it(desks: Engine) -> None:
    session = asked(CONFIRM)
    answered(session, "are you a bot?", "I am a bot, powered by Rasa.")
    found = desks.understand(session, "yes, book it")
    assert (found.domain, found.action, dict(found.changes)) == (CLINIC, "book_time", {})
    assert desks.understand(session, "Thanks, that is all").route.reason == "none"
    optional = asked("Will you need an interpreter?")
    answered(optional, "are you a bot?", "I am a bot, powered by Rasa.")
    found = desks.understand(optional, "yes, we need a turkish interpreter")
    assert (found.domain, found.changes["interpreter"]) == (CLINIC, ("True",))
    # what is booked isn't booked again
    session = asked(CONFIRM)
    session.hear("yes", CLINIC, session.states[CLINIC])
    booked = Turn("system", "That's booked. Can I help with anything else?", action="book_time")
    session.say(booked, CLINIC)
    answered(session, "are you a bot?", "I am a bot, powered by Rasa.")
    assert desks.understand(session, "yes, book it").domain is None


def test_what_may_be_said_to_another_domains_answer_makes_no_call() -> None:
    call, news = Understanding(Route(CLINIC), action="book_time"), {"doctor": ("Dr Osei",)}
    alone, claimed = (Guess(CLINIC, Route(CLINIC), nobodys) for nobodys in (True, False))
    assert alone.holds(call) and not claimed.holds(call)  # "ok"
    assert claimed.holds(dataclasses.replace(call, changes=news))


def parted() -> Session:
    """A conversation in which the parcels' desk has said goodbye."""
    session, state = Session(), State({"tracking_number": ("RX4821",)}, "track_parcel")
    session.hear("where is my parcel RX4821?", PARCELS, state)
    rows = ({"status": "at the depot", "expected_day": "tomorrow"},)
    session.say(Turn("system", "At the depot.", action="find_parcel", results=rows), PARCELS)
    session.hear("thanks, that's all", PARCELS, state)
    session.say(Turn("system", "Thank you and goodbye!"), PARCELS, ends=True)
    return session


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("eye test", CLINIC),
        ("where is my other parcel?", PARCELS),
        ("actually can it come on friday", PARCELS),
        ("and the expected day?", PARCELS),
        ("thanks bye", PARCELS),
        ("tell me a joke", None),
    ],
)
def test_after_its_goodbye_a_domain_gets_what_is_no_others(
    desks: Engine, text: str, domain: Optional[str]
) -> None:
    session = parted()
    assert (session.domain, session.left) == (None, PARCELS)
    assert desks.understand(session, text).domain == domain


def test_a_goodbye_is_known_in_a_turn(engine: Engine) -> None:
    session = Session()
    engine.turn(session, "can i book a table on friday")
    engine.turn(session, "it is hana", Api([{"table_code": "t99"}]))
    assert (session.domain, session.left) == ("table_booking", None)
    engine.turn(session, "thanks, that is all")
    assert (session.domain, session.left) == (None, "table_booking")
    session.say(Turn("system", "By the way, we are hiring."), None)  # beside it
    assert (session.domain, session.left) == (None, "table_booking")
    session.say(Turn("system", "We close soon."), None, elsewhere=True)
    assert session.domain is None is session.left


def test_what_a_button_has_the_bot_say_doesnt_end_a_domains_question(
    store: Store, shipped: StateTracker
) -> None:
    engine, began = Engine(store, shipped, cached_sentences()), Session()
    engine.turn(began, "can i book a table on friday")
    for says, domain in (("From noon.", "table_booking"), ("Who may we call?", None)):
        session = copy.deepcopy(began)
        session.say(Turn("system", says), None, elsewhere=True)
        assert session.domain is None
        assert engine.understand(session, "it is hana").domain == domain
    began.leave()  # a picture
    assert engine.understand(began, "it is hana").domain == "table_booking"


@pytest.mark.parametrize(
    ("answer", "domain"),
    [
        ("We have found it, it is at the desk.", "table_booking"),
        ("We have found it. Who are you?", "lost_property"),  # this is answered
    ],
)
def test_another_domains_answer_in_between_doesnt_end_a_domains_question(
    store: Store, shipped: StateTracker, answer: str, domain: str
) -> None:
    umbrellas = tuple(lost(colour, answer) for colour in COLOURS)
    store.dialogues.import_corpus(Corpus({LOST.name: LOST}, umbrellas))
    engine, session = Engine(store, shipped, cached_sentences()), Session()
    engine.turn(session, "can i book a table on friday")
    between = engine.turn(
        session, "i lost my red umbrella in the cloakroom", Api([{"found": "True"}])
    )
    assert between.understanding.domain == "lost_property"
    assert between.reply is not None and between.reply.text == answer
    found = engine.understand(session, "it is hana")
    assert (found.domain, found.route.reason) == (domain, "context")
    if domain == "table_booking":
        assert found.state.values == {"visit_day": ("friday",), "guest_name": ("hana",)}
    # what tells the first domain nothing stays with the second
    assert engine.understand(session, "thanks a lot").domain == "lost_property"


def test_what_is_said_in_between_ends_no_intent(engine: Engine) -> None:
    domain = engine.catalogue.domains()["table_booking"]
    before = State({"visit_day": ("friday",), "guest_name": ("hana",)}, "book_table")
    nothing = TurnPrediction(dataclasses.replace(before, active_intent=None))
    route = Route("table_booking")
    kept = understood_as(nothing, route, domain, before, False, 0.5)
    assert (kept.state, kept.idle) == (before, True)
    # what is done may end
    assert understood_as(nothing, route, domain, before, True, 0.5).state == nothing.state
    # but a search is no end of what lacks a value
    lacking = dataclasses.replace(before, values={"visit_day": ("friday",)})
    aside = TurnPrediction(dataclasses.replace(lacking, active_intent=None))
    assert understood_as(aside, route, domain, lacking, True, 0.5).state == lacking
    news = TurnPrediction(nothing.state, changes={"visit_day": ("friday",)})
    told = understood_as(news, route, domain, before, False, 0.5)
    assert (told.state, told.idle) == (nothing.state, False)


def test_what_a_call_was_made_for_is_settled_until_something_is_new() -> None:
    session, state = Session(), State({"day": ("friday",)}, "book")
    assert not session.settled("d")
    session.hear("book friday", "d", state)
    assert not session.settled("d")
    session.say(Turn("system", "Done.", action="save"), "d")
    assert session.settled("d") and not session.settled("other")
    session.hear("thanks", "d", state)
    assert session.settled("d")
    for day, intent in (("monday", "book"), ("friday", "cancel")):
        later = copy.deepcopy(session)
        later.hear("and", "d", State({"day": (day,)}, intent))
        assert not later.settled("d")


def test_of_a_long_message_no_more_is_kept_than_counts(engine: Engine) -> None:
    session = Session()
    engine.turn(session, "x" * (3 * LONGEST))
    engine.turn(session, "can i book a table on friday" + " please" * LONGEST)
    assert [len(s.turn.text) for s in session.turns if s.turn.is_user] == [LONGEST] * 2


def test_a_reply_is_made_of_so_much_of_a_conversation(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its beginning stays where it is for a while: a language model reads on where it left off."""
    asked: List[Sequence[Turn]] = []

    def reply(self: RetrievalGenerator, turns: Sequence[Turn], *_: Any) -> Reply:
        asked.append(turns)
        return Reply("Fine.", "Fine.", "a", 1.0)

    monkeypatch.setattr(RetrievalGenerator, "reply", reply)
    session = Session()
    for number in range(60):
        engine.turn(session, f"can i book a table on friday {number}")
    assert [len(turns) for turns in asked[:3]] == [1, 3, 5]
    assert max(map(len, asked)) == 59 and min(map(len, asked[40:])) == 41
    begins = [turns[0].text for turns in asked]
    assert len(set(begins)) == 4 and begins == sorted(begins, key=begins.index)


def test_a_domain_begins_with_nothing_known(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the host bot's greeting, too: what the first message sets is news."""
    asked: List[Situation] = []

    def reply(self: RetrievalGenerator, *turn: Any) -> Reply:
        asked.append(situate(TABLES, *turn))
        return Reply("Fine.", "Fine.", "a", 1.0)

    monkeypatch.setattr(RetrievalGenerator, "reply", reply)
    session = Session()
    engine.catalogue.live()
    session.hear("hello", None, None)
    session.say(Turn("system", "Hi, what can I do?"), None)
    text, state = "as soon as you can, please", State({"visit_day": ("today",)}, "book_table")
    understood = Understanding(Route("table_booking"), state=state)
    engine.reply(session, text, understood)
    session.hear(text, "table_booking", state)
    engine.reply(session, "hm", understood)
    assert [now.newly_set for now in asked] == [{"visit_day"}, frozenset()]


def test_two_conversations_share_nothing(engine: Engine) -> None:
    one, other = Session(), Session()
    engine.turn(one, "can i book a table on friday")
    engine.turn(other, "i need a table for dinner on monday")
    assert engine.turn(one, "it is hana").understanding.state.values["visit_day"] == ("friday",)
    assert other.states["table_booking"].values == {"visit_day": ("monday",)}


def test_understanding_leaves_the_session_as_it_is(engine: Engine) -> None:
    session = Session()
    engine.understand(session, "can i book a table on friday")
    assert session == Session()


def test_a_failed_call_is_admitted_and_leaves_no_results(engine: Engine) -> None:
    session = Session()
    engine.turn(session, "can i book a table on friday")
    failed = engine.turn(session, "it is hana", Api(None))
    assert failed.results is None
    assert failed.reply is not None
    assert failed.reply.text == FAILED
    assert session.turns[-1].turn.action is None
    assert "table_booking" not in session.results


@pytest.mark.parametrize(("day", "rows"), [("friday", ({"table_code": "t99"},)), ("monday", ())])
def test_a_failed_call_leaves_no_rows_of_the_same_call_with_other_parameters(
    engine: Engine, day: str, rows: Tuple[Mapping[str, str], ...]
) -> None:
    session = Session()
    engine.turn(session, "can i book a table on friday")
    engine.turn(session, "it is hana", Api([{"table_code": "t99"}]))
    said = session.turns[-1]
    booked = {"visit_day": day, "guest_name": "hana"}
    told = dataclasses.replace(said.turn, parameters=booked)
    session.turns[-1] = dataclasses.replace(said, turn=told)
    place, action, _ = session.calls["table_booking"]
    session.calls["table_booking"] = (place, action, booked)
    engine.turn(session, "can i book a table on monday")
    failed = engine.turn(session, "it is hana", Api(None))
    assert failed.understanding.parameters == {"visit_day": "friday", "guest_name": "hana"}
    assert failed.reply is not None and failed.reply.text == FAILED
    assert session.results.get("table_booking", ()) == rows
    assert session.history("table_booking")[3] == dataclasses.replace(told, results=rows)


def test_a_value_of_an_earlier_call_that_a_reply_tells_is_marked(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session()
    engine.turn(session, "can i book a table on friday")
    engine.turn(session, "it is hana", Api([{"table_code": "t99"}]))
    told = Reply("The code is t99.", "", "a", 1.0, because="no_model")
    monkeypatch.setattr(RetrievalGenerator, "reply", lambda *_: told)
    assert engine.turn(session, "thanks, that is all").reply == told
    assert session.turns[-1].turn.spans == (Span("table_code", 12, 15),)


def test_where_writing_fails_a_support_reply_is_said(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails:
        def generator(self, domain: Any) -> Any:
            raise RuntimeError("no room")

    plain = engine.turn(Session(), "can i book a table on friday").reply
    monkeypatch.setattr(engine, "writer", Fails())
    reply = engine.turn(Session(), "can i book a table on friday").reply
    assert plain is not None and reply is not None
    assert (plain.because, reply.because) == ("no_model", "unwritten")
    assert reply.text == plain.text and "RuntimeError: no room" in caplog.text


def test_a_failed_booking_leaves_the_rows_of_the_search_before_it() -> None:
    rows = ({"table_code": "t17"},)
    session = Session()
    session.hear("what is free", "d", State())
    found = Turn("system", "T17 is.", action="find", parameters={"day": "friday"}, results=rows)
    session.say(found, "d")
    session.say(Turn("system", "And a bike.", action="find", results=({"bike": "b"},)), "other")
    before = list(session.turns)
    for domain, action in (("d", "book"), ("another", "find")):
        session.fail(domain, action, {"day": "monday"})
        assert session.turns == before and session.results["d"] == rows


def test_a_failed_call_is_set_beside_the_last_one_whatever_came_between() -> None:
    session = Session()
    session.hear("what is free", "d", State())
    rows = ({"table_code": "t17"},)
    session.say(
        Turn("system", "T17.", action="find", parameters={"day": "friday"}, results=rows), "d"
    )
    session.leave()
    session.say(Turn("system", "Our menu."), None, elsewhere=True)
    assert session.domain is None
    session.hear("and on monday", "d", State())
    session.fail("d", "find", {"day": "monday"})
    assert session.results == {}
    assert [said.turn.results for said in session.turns if not said.turn.is_user] == [()]


def test_a_value_of_the_state_is_marked_before_that_of_an_earlier_call() -> None:
    understood = Understanding(Route("d"), State({"guests": ("4",)}))
    turn = system_turn(
        Reply("For 4, at T17?", "", "a", 1.0), understood, known=({"rating": "4", "table": "T17"},)
    )
    assert turn.spans == (Span("guests", 4, 5), Span("table", 10, 13))


def test_no_call_without_its_required_slots(engine: Engine, store: Store) -> None:
    (action,) = TABLES.actions
    strict = dataclasses.replace(action, required_slots=("visit_day", "guest_name", "table_code"))
    schema = dataclasses.replace(TABLES, actions=(strict,))
    store.dialogues.import_corpus(Corpus({schema.name: schema}, dialogues(TABLES, 5)))
    session, api = Session(), Api([{"table_code": "t99"}])
    engine.turn(session, "can i book a table on friday", api)
    outcome = engine.turn(session, "it is hana", api)
    assert set(outcome.understanding.state.values) == {"visit_day", "guest_name"}
    assert outcome.understanding.action is None
    assert api.calls == []


def test_a_call_takes_what_its_intent_offers_though_no_support_dialogue_gave_it(
    engine: Engine, store: Store
) -> None:
    """In SGD's format one entry is the intent and the action."""
    (intent,), (action,) = TABLES.intents, TABLES.actions
    one = dataclasses.replace(intent, name=action.name, optional_slots={"guests": DONTCARE})
    slots = (*TABLES.slots, Slot("guests", "How many they are"))
    schema = dataclasses.replace(TABLES, slots=slots, intents=(one,))
    store.dialogues.import_corpus(Corpus({schema.name: schema}, dialogues(schema, 5)))
    values = {"visit_day": "friday", "guest_name": "hana", "guests": "four", "table_code": "t17"}
    found = TurnPrediction(
        State({slot: (value,) for slot, value in values.items()}),
        action=action.name,
        action_confidence=1.0,
    )
    domain = engine.catalogue.domains()[schema.name]
    called = with_call(Understanding(Route(schema.name)), domain, found, 0.5).parameters
    assert called == {"visit_day": "friday", "guest_name": "hana", "guests": "four"}


def test_out_of_scope_is_answered_by_nobody(engine: Engine) -> None:
    session = Session()
    outcome = engine.turn(session, "what will the weather be like tomorrow in Lisbon")
    assert outcome.understanding.domain is None
    assert outcome.reply is None
    assert session.domain is None
    assert [said.turn.text for said in session.turns] == [
        "what will the weather be like tomorrow in Lisbon"
    ]


def test_an_imported_domain_is_live_at_the_next_message(engine: Engine, store: Store) -> None:
    text = "my bike needs a repair, is tuesday possible"
    assert engine.turn(Session(), text).understanding.domain is None
    store.dialogues.import_corpus(corpus_of(BIKES))
    outcome = engine.turn(Session(), text)
    assert outcome.understanding.domain == "bike_repair"
    assert outcome.understanding.state.values == {"repair_day": ("tuesday",)}
    assert outcome.reply is not None
    assert outcome.reply.text == "Under which name?"
    store.dialogues.delete_domain("bike_repair")
    assert engine.turn(Session(), text).understanding.domain is None


def test_both_domains_keep_their_states(engine: Engine, store: Store) -> None:
    store.dialogues.import_corpus(corpus_of(BIKES))
    session = Session()
    engine.turn(session, "can i book a table on friday")
    engine.turn(session, "my bike needs a repair, is tuesday possible")
    assert session.domain == "bike_repair"
    assert "repair_day" in session.states["bike_repair"].values
    assert session.states["table_booking"].values == {"visit_day": ("friday",)}
    history = session.history("bike_repair")
    assert [turn.state is not None for turn in history if turn.is_user] == [False, True]


def test_a_new_adapter_version_is_used_and_domains_that_stay_are_not_read_again(
    engine: Engine, store: Store, tracker: StateTracker
) -> None:
    store.dialogues.import_corpus(corpus_of(BIKES))
    session = Session()
    assert engine.turn(session, "can i book a table on friday").understanding.version is None
    before = dict(engine.catalogue.domains())
    report = adapt(store, tracker, "table_booking", steps=1)
    outcome = engine.turn(Session(), "can i book a table on friday")
    assert outcome.understanding.version == report.version == 1
    after = engine.catalogue.domains()
    assert after["bike_repair"] is before["bike_repair"]
    assert after["table_booking"].index is before["table_booking"].index
    assert engine.catalogue.domains() is after


def test_dialogues_of_no_split_are_support_and_their_changes_are_seen(
    engine: Engine, store: Store
) -> None:
    corpus = corpus_of(BIKES)
    loose = tuple(dataclasses.replace(d, split=None) for d in corpus.dialogues)
    store.dialogues.import_corpus(Corpus(corpus.schemas, loose))
    first = engine.catalogue.domains()["bike_repair"]
    session = Session()
    outcome = engine.turn(session, "flat tyre on my bike, can i come on tuesday")
    assert outcome.reply is not None
    assert outcome.reply.text == "Under which name?"
    changed = tuple(
        dataclasses.replace(
            d,
            turns=tuple(
                dataclasses.replace(t, text="Whose bike is it?") if "Under" in t.text else t
                for t in d.turns
            ),
        )
        for d in loose
    )
    store.dialogues.import_corpus(Corpus(corpus.schemas, changed))
    assert engine.catalogue.domains()["bike_repair"].content != first.content
    outcome = engine.turn(Session(), "flat tyre on my bike, can i come on tuesday")
    assert outcome.reply is not None
    assert outcome.reply.text == "Whose bike is it?"


def test_feedback_is_heeded_at_the_next_message(engine: Engine, store: Store) -> None:
    text, usual = "can i book a table on friday", "Under which name?"
    first = engine.turn(Session(), text)
    assert first.reply is not None
    assert first.reply.text == usual
    history = (Turn("user", text, first.understanding.state),)
    down = Feedback("table_booking", Turn("system", usual), history, thumb="down")
    store.feedback.add(down)
    second = engine.turn(Session(), text)
    assert second.reply is not None
    assert second.reply.source == "schema"  # none but the usual reply would do
    better = dataclasses.replace(down, corrected_reply="Friday. For whom?", template=usual)
    store.feedback.add(better)
    third = engine.turn(Session(), text)
    assert third.reply is not None
    assert (third.reply.text, third.reply.source) == (
        "Friday. For whom?",
        f"feedback-{better.id}#1",
    )
    other_day = engine.turn(Session(), "can i book a table on monday")
    assert other_day.reply is not None
    assert other_day.reply.text == "Monday. For whom?"
    store.feedback.remove("table_booking", better.id)
    assert engine.turn(Session(), text).reply == first.reply


def test_a_domain_whose_adapter_is_for_another_checkpoint_is_not_tracked(
    engine: Engine, store: Store, tracker: StateTracker
) -> None:
    adapt(store, dataclasses.replace(tracker, digest="another"), "table_booking", steps=1)
    session = Session()
    for _ in range(2):
        with pytest.raises(CheckpointError, match="adapter 1 is for another checkpoint; run `rasa"):
            engine.turn(session, "can i book a table on friday")
        assert session == Session()
    adapt(store, tracker, "table_booking", steps=1)
    assert engine.turn(session, "can i book a table on friday").understanding.version == 2


def add_no_weights(store: Store, checkpoint: str) -> None:
    """An active version that can't be read, said to be for a checkpoint of that digest."""
    store.adapters.add(
        *("table_booking", b"no weights"),
        support_digest="any",
        checkpoint_digest=checkpoint,
        figures={},
    )


def test_a_domain_whose_adapter_is_damaged_is_not_tracked(
    engine: Engine, store: Store, tracker: StateTracker
) -> None:
    add_no_weights(store, tracker.digest)
    with pytest.raises(
        CheckpointError, match=r"table_booking: adapter .* `rasa-onramp adapt table_"
    ):
        engine.turn(Session(), "can i book a table on friday")
    store.adapters.activate("table_booking", None)
    assert engine.turn(Session(), "can i book a table on friday").understanding.version is None


def test_why_an_adapter_cannot_be_used_is_remembered(
    engine: Engine, store: Store, tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_no_weights(store, "another")
    for _ in range(2):
        with pytest.raises(CheckpointError, match="adapter 1 is for another checkpoint; run `rasa"):
            engine.turn(Session(), "can i book a table on friday")
        monkeypatch.setattr(store.adapters, "get", None)  # the second time it isn't asked


def test_an_adapter_that_cannot_be_read_is_not_read_again(
    engine: Engine, store: Store, tracker: StateTracker
) -> None:
    add_no_weights(store, tracker.digest)
    for _ in range(2):
        with pytest.raises(CheckpointError):
            engine.turn(Session(), "can i book a table on friday")
    assert len(engine.adapters._unusable) == 1


def test_few_domains_are_kept_in_memory(engine: Engine, store: Store) -> None:
    for number in range(4):
        name = f"bike_repair_{number}"
        schema = dataclasses.replace(BIKES, name=name)
        found = tuple(dataclasses.replace(d, domain=name) for d in dialogues(BIKES, 2))
        store.dialogues.import_corpus(Corpus({name: schema}, found))
    live = list(engine.catalogue.domains().values())

    def read_with(limit: int) -> AdapterCache:
        cache = AdapterCache(Reach(store), engine.tracker, limit)
        for each in live:
            cache.get(each.schema, each.content, each.version, each.digest)
        return cache

    everything = read_with(2**30).kept
    assert len(everything) == len(live) == 5
    some = read_with(everything.bytes // 2).kept
    assert 1 <= len(some) < 5 and some.bytes <= everything.bytes // 2
    assert len(read_with(1).kept) == 1  # what is used now stays


def test_a_store_that_is_down_is_an_error_and_comes_back_by_itself(
    tmp_path: Path, tracker: StateTracker
) -> None:
    path, ready = tmp_path / "later.db", tmp_path / "ready.db"
    with open_store(f"sqlite:///{ready}") as other:
        other.upgrade()
        other.dialogues.import_corpus(corpus_of(TABLES))
    with open_store(f"sqlite:///{path}") as store:
        engine = Engine(store, tracker, cached_sentences(), EngineSettings(retry_after=1000.0))
        session = Session()
        with pytest.raises(StoreUnavailable):
            engine.turn(session, "can i book a table on friday")
        assert session == Session()
        shutil.copy(ready, path)
        with pytest.raises(StoreUnavailable):  # not asked again so soon
            engine.turn(session, "can i book a table on friday")
        assert not engine.catalogue.ready
        assert engine.reach._is_back()  # as the thread that looks for it would find
        wait_for(lambda: engine.catalogue.ready)  # before any message asks for it
        assert list(engine.catalogue.last) == ["table_booking"]
        outcome = engine.turn(session, "can i book a table on friday")
        assert outcome.understanding.domain == "table_booking"


def test_a_reply_for_a_domain_that_is_gone(engine: Engine, store: Store) -> None:
    session = Session()
    understood = engine.understand(session, "can i book a table on friday")
    store.dialogues.delete_domain("table_booking")
    engine.catalogue.domains()
    with pytest.raises(NotFound, match="no domain 'table_booking' is live"):
        engine.reply(session, "can i book a table on friday", understood)


def test_threads_may_talk_at_once(engine: Engine, store: Store) -> None:
    found: List[Optional[str]] = []

    def talk() -> None:
        session = Session()
        engine.turn(session, "can i book a table on friday")
        outcome = engine.turn(session, "it is hana")
        found.append(outcome.understanding.state.values.get("guest_name", ("",))[0])

    threads = [threading.Thread(target=talk) for _ in range(4)]
    for thread in threads:
        thread.start()
    store.dialogues.import_corpus(corpus_of(BIKES))
    for thread in threads:
        thread.join()
    assert found == ["hana"] * 4


def test_utterances_in_a_row_are_one_turn() -> None:
    session = Session()
    session.hear("hi", "d", State())
    session.say(Turn("system", "One moment."), None)
    spans = (Span("code", 5, 8),)
    session.say(Turn("system", "Code t17.", action="find", results=({"a": "b"},), spans=spans), "d")
    assert len(session.turns) == 2
    said = session.turns[-1].turn
    assert said.text == "One moment. Code t17."
    assert [said.text[s.start : s.end] for s in said.spans] == ["t17"]
    assert (session.domain, session.results) == ("d", {"d": ({"a": "b"},)})
    session.hear("ok", None, None)
    assert session.domain is None


def test_states_and_spans_survive_json() -> None:
    state = State({"day": ("friday", "the 5th"), "any": ("dontcare",)}, "book", ("code",))
    assert state_from_json(json.loads(json.dumps(state_to_json(state)))) == state
    assert state_from_json({"values": {"day": [], "x": "abc"}}) == State()
    assert span_from_json(json.loads(json.dumps(span_to_json(Span("day", 3, 7))))) == Span(
        "day", 3, 7
    )
    for junk in (None, [], {"values": 3}, {"values": {"a": 3}}, "x"):
        with pytest.raises(ValueError, match="not a dialogue state"):
            state_from_json(junk)
    for junk in (None, 3, ["day", 1], ["day", "x", 2]):
        with pytest.raises(ValueError, match=r"."):
            span_from_json(junk)

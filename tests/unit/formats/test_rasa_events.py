"""Rows of Rasa's tracker store: what they mean, and what is said about wrong ones.

tests/integration/test_rasa_tracker_store.py has Rasa itself write them.
"""

from __future__ import annotations

import json
from typing import Any, List, Optional, Tuple

import pytest

from rasa_onramp.dialogue import (
    DONTCARE,
    Action,
    Dialogue,
    Intent,
    Schema,
    Slot,
    Span,
    State,
    Turn,
)
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.rasa_events import Row, read_conversation
from rasa_onramp.formats.rasa_parts import value_text
from rasa_onramp.formats.yaml import parse_yaml, yaml_file

TAXI = Schema(
    "taxi",
    slots=(
        Slot("place"),
        Slot("size", "", ("small", "large")),
        Slot("shared", "", ("True", "False")),
        Slot("price"),
    ),
    intents=(Intent("book", "", ("place",), {"size": DONTCARE, "shared": "False"}),),
    actions=(Action("send", "", ("place",), ("price",)),),
)

#: What stands for the sender "ann" in ids.
ANN = "49915e"
LISTEN = ("action", {"name": "action_listen"})


def user(text: Optional[str], intent: Optional[str] = None, *entities: Any, **more: Any) -> Any:
    parsed = {"intent": {"name": intent}, "entities": list(entities)}
    return "user", {"text": text, "parse_data": parsed, **more}


def entity(name: str, value: Any, start: int, end: int, **more: Any) -> Any:
    return {"entity": name, "value": value, "start": start, "end": end, **more}


def slot(name: str, value: Any) -> Any:
    return "slot", {"name": name, "value": value}


def action(name: str) -> Any:
    return "action", {"name": name}


def bot(text: Optional[str], *buttons: Any, **more: Any) -> Any:
    return "bot", {"text": text, "data": {"buttons": list(buttons), **more}}


def rows(*events: Tuple[str, Any]) -> List[Row]:
    return [
        (number, kind, data if isinstance(data, (str, type(None))) else json.dumps(data))
        for number, (kind, data) in enumerate(events, start=1)
    ]


def dialogues(*events: Tuple[str, Any]) -> List[Dialogue]:
    return list(read_conversation("ann", rows(*events), TAXI, "rasa.db"))


def turns(*events: Tuple[str, Any]) -> Tuple[Turn, ...]:
    (found,) = dialogues(*events)
    return found.turns


def states(*events: Tuple[str, Any]) -> List[Optional[State]]:
    return [turn.state for turn in turns(*events) if turn.is_user]


def test_a_conversation() -> None:
    (found,) = dialogues(
        action("action_session_start"),
        ("session_started", {}),
        LISTEN,
        user("a taxi to Leeds", "book", entity("place", "Leeds", 10, 15)),
        slot("place", "Leeds"),
        slot("requested_slot", "size"),
        action("utter_ask_size"),
        bot("Which size?"),
        LISTEN,
        user("LARGE", "inform"),
        slot("size", "Large"),
        action("action_send"),
        bot("One moment."),
        slot("price", 7.0),
        bot("It costs 7 pounds."),
        LISTEN,
    )
    place = {"place": ("Leeds",)}
    assert found == Dialogue(
        f"{ANN}/2",  # the row where its session starts
        "taxi",
        (
            Turn("user", "a taxi to Leeds", State(place, "book"), spans=(Span("place", 10, 15),)),
            Turn("system", "Which size?"),
            Turn("user", "LARGE", State({**place, "size": ("large",)}, "book")),
            Turn(
                "system",
                "One moment. It costs 7 pounds.",
                action="send",
                parameters={"place": "Leeds", "size": "large"},
                results=({"price": "7"},),
            ),
        ),
    )


def test_what_comes_after_a_message_without_words_changes_no_turn_before_it() -> None:
    """A trigger, and what an action emptied before it: neither is of the message before."""
    found = turns(
        user("to Leeds", "book", entity("place", "Leeds", 3, 8)),
        slot("place", "Leeds"),
        action("action_done"),
        slot("place", None),
        bot("Booked."),
        user(None, "cancel", entity("size", "small", 0, 0)),
        slot("size", "small"),
        bot("Still there?"),
    )
    assert [turn.state for turn in found if turn.is_user] == [State({"place": ("Leeds",)}, "book")]


def test_sessions_and_restarts_begin_anew() -> None:
    first, second, third = dialogues(
        ("session_started", {}),
        user("to Leeds", "book"),
        slot("place", "Leeds"),
        bot("Fine."),
        action("action_session_start"),
        ("session_started", {}),
        slot("size", "small"),  # carried over
        user("another one", "book"),
        bot("Where to?"),
        user("/restart", "restart"),
        action("action_restart"),
        ("restart", {}),
        user("hello", "book"),
    )
    assert (first.id, second.id, third.id) == (f"{ANN}/1", f"{ANN}/6", f"{ANN}/13")
    assert first.turns[0].state == State({"place": ("Leeds",)}, "book")
    assert second.turns == (
        Turn("user", "another one", State({"size": ("small",)}, "book")),
        Turn("system", "Where to?"),
    )
    assert third.turns == (Turn("user", "hello", State({}, "book")),)


def test_what_rasa_takes_back_is_left_out() -> None:
    found = turns(
        LISTEN,
        user("to Leeds", "book"),
        slot("place", "Leeds"),
        action("utter_ok"),
        bot("ok"),
        LISTEN,
        user("mumble", "nlu_fallback"),
        slot("place", "mumble"),
        action("action_default_fallback"),
        bot("Pardon?"),
        ("rewind", {}),
        LISTEN,
        user("thanks", "thank"),
        action("utter_welcome"),
        bot("Welcome!"),
        action("utter_twice"),
        bot("Welcome!"),
        ("undo", {}),
    )
    place = State({"place": ("Leeds",)}, "book")
    assert found == (
        Turn("user", "to Leeds", place),
        Turn("system", "ok"),
        Turn("user", "thanks", place),
        Turn("system", "Welcome!"),
    )
    assert dialogues(user("a"), ("rewind", {}), ("undo", {})) == []


def test_a_button_says_its_title() -> None:
    payload = '/inform{"size": "small"}'
    size = {"entity": "size", "value": "small"}
    found = turns(
        user("a taxi", "book"),
        bot("Which?", {"title": "The small one", "payload": payload}, {"title": "no payload"}),
        user(payload, "inform", size),
        slot("size", "small"),
        bot("And?"),
        user('/inform{"size": "large"}', "inform", {"entity": "size", "value": "large"}),
        slot("size", "large"),
        bot("And?"),
        user("/say_good_bye", "say_good_bye"),
    )
    assert [turn.text for turn in found if turn.is_user] == [
        *("a taxi", "The small one", "large", "say good bye")
    ]
    assert found[2].spans == (Span("size", 4, 9),)
    assert found[4].spans == (Span("size", 0, 5),)
    assert found[4].state == State({"size": ("large",)}, "book")


def test_messages_and_replies_without_words() -> None:
    found = turns(
        bot("Welcome!"),
        user("hi", "book"),
        bot(None, attachment={"type": "image"}),
        bot("  "),
        user(None),
        user("EXTERNAL: remind", "remind", metadata={"is_external": True}),
        user("to Leeds"),
        slot("place", "Leeds"),
    )
    assert found == (Turn("user", "hi to Leeds", State({"place": ("Leeds",)}, "book")),)


def test_slots_of_every_kind() -> None:
    found = states(
        user("a", "book"),
        slot("place", ["Leeds", 5, None]),
        slot("shared", False),
        slot("size", DONTCARE),
        slot("price", "no action was called"),
        slot("mood", {"not": "ours"}),
        bot("ok"),
        user("b"),
        slot("place", None),
        bot("ok"),
        user("c"),
        slot("place", ""),
        slot("size", "small"),
        action("action_done"),
        ("reset_slots", {}),
        bot("done"),
        user("d"),
        ("reset_slots", {}),
    )
    values = {"shared": ("False",), "size": (DONTCARE,)}
    assert found == [
        State({"place": ("Leeds, 5",), **values}, "book"),
        State(values, "book"),
        # an action empties slots for what comes next
        State({"shared": ("False",), "size": ("small",)}, "book"),
        State({}, "book"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4111111111111111, "4111111111111111"),
        (-12345678901234567890, "-12345678901234567890"),
        (4111111111111111.0, "4111111111111111"),
        (2.0, "2"),
        (0.1 + 0.2, "0.3"),
        (2.0**60, "1.15292150460685e+18"),
        (-0.0, "0"),
        (True, "true"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_are_written_out(value: Any, text: str) -> None:
    assert value_text(value, "place") == text


def test_entities_set_what_rasa_does_not() -> None:
    first, second = turns(
        user(
            "from York to Leeds, large",
            "book",
            entity("city", "York", 5, 9, role="origin"),
            entity("city", "Leeds", 13, 18, role="place"),
            entity("place", "Lee", 13, 16),  # what is marked already isn't marked again
            entity("size", "large", 20, 25),
            entity("size", "large", 90, 95),
        ),
        slot("place", "LEEDS"),
        bot("ok"),
    )
    assert first.state == State({"size": ("large",), "place": ("LEEDS",)}, "book")
    assert first.spans == (Span("place", 13, 18), Span("size", 20, 25))
    assert second == Turn("system", "ok")


def test_a_conversation_about_something_else_has_no_states() -> None:
    assert states(user("hi", "greet"), slot("mood", "fine"), bot("hello"), user("bye")) == [
        *(None, None)
    ]


def test_the_last_call_of_a_turn_counts_and_silent_ones_do_not() -> None:
    found = turns(
        user("to Leeds", "book"),
        slot("place", "Leeds"),
        action("send"),
        slot("price", "5"),
        action("action_send"),
        bot("None left."),
        user("bye"),
        action("send"),
        slot("price", "9"),
    )
    assert found[1] == Turn("system", "None left.", action="send", parameters={"place": "Leeds"})
    assert len(found) == 3


def tracked(text: str, domain: Optional[str], state: Any = None, **more: Any) -> Any:
    """A message that rasa-onramp took for a domain's."""
    payload = {"domain": domain, "state": state, **more}
    parsed = {"intent": {"name": "onramp"}, "entities": [], "onramp": payload}
    return "user", {"text": text, "parse_data": parsed}


def test_a_bot_that_has_rasa_onramp_says_it_itself() -> None:
    state = {
        "values": {"place": ["Leeds", "leeds"], "gone": ["x"]},
        "active_intent": "book",
        "requested_slots": ["price", "gone"],
    }
    metadata = {
        "domain": "taxi",
        "action": "send",
        "parameters": {"place": "Leeds"},
        "results": [{"price": "5"}, {"price": "7", "gone": "x"}],
        "spans": [["price", 0, 1], ["price", 90, 95], ["gone", 0, 1]],
    }
    found = turns(
        tracked("hello", None, scores={"taxi": 0.1}),
        slot("onramp", {"domain": None}),
        bot("Hi!"),
        tracked("to Leeds", "taxi", state, spans=[["place", 3, 8]]),
        slot("place", "Leeds"),
        action("action_send"),
        bot("Hm."),
        ("bot", {"text": "5 or 7?", "data": {}, "metadata": {"onramp": metadata}}),
        tracked("will it rain?", "taxi", state, in_scope=False),
        bot("Who knows."),
        tracked("two tickets", "cinema", {"values": {"film": ["x"]}}),
        ("bot", {"text": "ok", "metadata": {"onramp": {"domain": "cinema", "action": "x"}}}),
        tracked("any size", "taxi", {**state, "values": {"size": ["dontcare"]}}),
    )
    values = {"place": ("Leeds", "leeds")}
    assert found == (
        Turn("user", "hello"),
        Turn("system", "Hi!"),
        Turn("user", "to Leeds", State(values, "book", ("price",)), spans=(Span("place", 3, 8),)),
        Turn(
            "system",
            "Hm. 5 or 7?",
            action="send",
            parameters={"place": "Leeds"},
            results=({"price": "5"}, {"price": "7"}),
            spans=(Span("price", 4, 5),),
        ),
        Turn("user", "will it rain?"),
        Turn("system", "Who knows."),
        Turn("user", "two tickets"),
        Turn("system", "ok"),
        Turn("user", "any size", State({"size": (DONTCARE,)}, "book", ("price",))),
    )


@pytest.mark.parametrize("reason", ["form", "command", "unavailable"])
def test_what_rasa_onramp_did_not_judge_is_the_bots(reason: str) -> None:
    def of(**parsed: Any) -> Tuple[Turn, ...]:
        kind, message = user("to Leeds", "inform", entity("place", "Leeds", 3, 8))
        message["parse_data"].update(parsed)
        return turns(
            (kind, message),
            slot("place", "Leeds"),
            action("action_send"),
            slot("price", "X7"),
            bot("Booked X7."),
        )

    found = of(onramp={"domain": None, "reason": reason, "confidence": 0.0, "state": None})
    assert found == of()
    assert found == (
        Turn("user", "to Leeds", State({"place": ("Leeds",)}), spans=(Span("place", 3, 8),)),
        Turn(
            "system",
            "Booked X7.",
            action="send",
            parameters={"place": "Leeds"},
            results=({"price": "X7"},),
        ),
    )
    judged = {"domain": None, "reason": "none", "state": None, "states": {}}
    assert of(onramp={**judged, "scores": {"cinema": 0.2}}) == found  # imported afterwards
    elsewhere = (Turn("user", "to Leeds"), Turn("system", "Booked X7."))
    assert of(onramp={**judged, "scores": {"cinema": 0.2, "taxi": 0.1}}) == elsewhere
    assert of(onramp={**judged, "scores": {}, "states": {"taxi": {"values": {}}}}) == elsewhere


def test_a_text_that_only_looks_like_a_buttons_payload_is_said() -> None:
    """Rasa goes on with the text where the bot has no such intent."""

    def said(event: Any) -> str:
        return turns(event)[0].text

    assert said(user("/var/log", "book")) == said(user("/var/log")) == "/var/log"
    assert said(user("/see_log@1.0{}", "see_log")) == "see log"
    kind, message = user("/var/log", "book")
    message["parse_data"]["onramp"] = {"domain": None, "scores": {"taxi": 0.1}}
    assert turns((kind, message)) == (Turn("user", "/var/log"),)


def test_blanks_at_a_values_edges_are_not_its_own() -> None:
    (found,) = dialogues(
        user(
            "a small taxi to Leeds now",
            "book",
            entity("size", " small ", 1, 8),
            entity("place", " Leeds", 15, 21),
            entity("price", " ", 21, 22),
        ),
        slot("place", "Leeds "),
        bot("Fine."),
    )
    asked = found.turns[0]
    assert asked.spans == (Span("size", 2, 7), Span("place", 16, 21))
    assert asked.state == State({"size": ("small",), "place": ("Leeds",)}, "book")
    written = yaml_file(TAXI, [found]).decode("utf-8")
    assert parse_yaml(written, "taxi.yml").dialogues == (found,)
    pressed = turns(user('/inform{"place": " York "}', "inform", entity("place", " York ", 8, 25)))
    assert (pressed[0].text, pressed[0].spans) == ("York", (Span("place", 0, 4),))


BAD = [
    (("user", None), "the user event holds no data"),
    (("slot", "{oops"), "the slot event's data isn't valid JSON"),
    (("slot", "[]"), "the slot event's data is no JSON object"),
    (("slot", {"value": 1}), "no 'name' here"),
    (("slot", '{"name": "place", "value": "\\u0000"}'), "isn't valid JSON"),
    (slot("size", "tiny"), "'tiny' is not among the values listed for 'size'"),
    (slot("place", {"a": 1}), "which no text stands for"),
    (user(7), "'text' must be a text"),  # type: ignore[arg-type]
    (user("x", None, 3), "an entity must be an object"),
    (user("x", None, {"value": 1}), "no 'entity' here"),
    (("user", {"text": "x", "parse_data": []}), "'parse_data' must be an object"),
    (("bot", {"text": "x", "data": "y"}), "'data' must be an object"),
]


@pytest.mark.parametrize(("event", "saying"), BAD)
def test_bad_rows_are_named(event: Any, saying: str) -> None:
    events = [user("fine", "book"), bot("ok"), event, user("more")]
    with pytest.raises(FormatError) as caught:
        dialogues(*events)
    message = str(caught.value)
    assert message.startswith("rasa.db: row 3 of table events: ")
    assert saying in message
    assert "--skip-bad" in message
    assert "\n" not in message


def test_bad_sessions_can_be_left_out() -> None:
    start = ("session_started", {})
    found = rows(
        *(start, user("a", "book")), *(start, ("slot", "{oops")), *(start, user("c", "book"))
    )
    told: List[FormatError] = []
    kept = list(read_conversation("ann", found, TAXI, "rasa.db", told.append))
    assert [dialogue.id for dialogue in kept] == [f"{ANN}/1", f"{ANN}/5"]
    assert [str(problem).split(";")[0] for problem in told] == [
        "rasa.db: row 4 of table events: the slot event's data isn't valid JSON"
    ]


def test_conversations_of_two_bots_go_by_their_prefixes() -> None:
    found = rows(("session_started", {}), user("a", "book"))
    ids = [d.id for d in read_conversation("ann", found, TAXI, "rasa.db", prefix="staging/")]
    assert ids == [f"staging/{ANN}/1"]


def test_no_id_tells_the_senders() -> None:
    """Ids go into other people's conversations, as the sources of replies."""
    found = rows(("session_started", {}), user("a", "book"))
    number = "+4915112345678"
    (first,), (again,) = (list(read_conversation(number, found, TAXI, "rasa.db")) for _ in "ab")
    assert first == again
    assert "15112345678" not in first.id
    assert len(first.id) == len("123456/1")
    # one that was imported when ids did tell them isn't taken for another
    (kept,) = read_conversation(number, found, TAXI, "rasa.db", known={f"{number}/1"})
    assert kept.id == f"{number}/1"


def test_one_session_at_a_time_is_read() -> None:
    """However long the conversation."""
    read: List[int] = []

    def stream():
        for number in range(1, 10**6):
            read.append(number)
            yield (
                number,
                *(("session_started", "{}") if number % 10 == 1 else ("bot", '{"text": "x"}')),
            )
            if number % 10 == 2:
                yield number, "user", '{"text": "hi"}'

    found = read_conversation("ann", stream(), TAXI, "rasa.db")
    assert next(found).id == f"{ANN}/1"
    assert len(read) == 11

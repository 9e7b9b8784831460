"""Dialogues made from corrections."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Optional, Sequence, Tuple

import torch

from rasa_onramp.dialogue import Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.generator.pool import ReplyPool
from rasa_onramp.generator.prompt import exchanges
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.generator.retrieval import RetrievalGenerator
from rasa_onramp.store import Feedback
from rasa_onramp.store.support import corrected_dialogues

Values = Dict[str, str]


def state(values: Values) -> State:
    return State({slot: (value,) for slot, value in values.items()}, "book")


def said(*states: Optional[Values]) -> Tuple[Turn, ...]:
    """A conversation of so many messages, each with the state that was tracked."""
    turns = []
    for number, values in enumerate(states):
        if number:
            turns.append(Turn("system", f"reply {number - 1}"))
        tracked = None if values is None else state(values)
        turns.append(Turn("user", f"message {number}", tracked))
    return tuple(turns)


def feedback(history: Sequence[Turn], corrected: Optional[Values] = None, **more: str) -> Feedback:
    reply = Turn("system", f"reply {len(history) // 2}", action="find", results=({"a": "b"},))
    return Feedback(
        domain="d",
        conversation=more.pop("conversation", "ann"),
        history=tuple(history),
        reply=reply,
        corrected_state=None if corrected is None else state(corrected),
        **more,  # type: ignore[arg-type]
    )


def states_of(made: Feedback, *others: Feedback) -> list:
    (dialogue, *_) = corrected_dialogues([made, *others])
    return [
        None if turn.state is None else {slot: v[0] for slot, v in turn.state.values.items()}
        for turn in dialogue.turns
        if turn.is_user
    ]


def test_thumbs_alone_make_no_dialogue() -> None:
    assert corrected_dialogues([replace(feedback(said({})), thumb="down")]) == ()


def test_a_corrected_reply_ends_the_conversation_and_keeps_its_call() -> None:
    (dialogue,) = corrected_dialogues([feedback(said({"day": "monday"}), corrected_reply="yes")])
    assert [turn.text for turn in dialogue.turns] == ["message 0", "yes"]
    assert (dialogue.turns[1].action, dialogue.turns[1].results) == ("find", ({"a": "b"},))


def test_a_corrected_state_is_followed_by_what_the_bot_said() -> None:
    (dialogue,) = corrected_dialogues([feedback(said({}), {"day": "monday"})])
    assert dialogue.turns[0].state == state({"day": "monday"})
    assert dialogue.turns[1].text == "reply 0"


def test_a_question_for_what_was_missed_is_not_learned_as_the_answer_to_it() -> None:
    missed = feedback(said({}), {"day": "monday"})
    asked = replace(missed, reply=Turn("system", "what day?"))
    (dialogue,) = corrected_dialogues([asked])
    assert dialogue.turns == (Turn("user", "message 0", state({"day": "monday"})),)
    (dialogue,) = corrected_dialogues([replace(asked, corrected_reply="on monday")])
    assert [turn.text for turn in dialogue.turns] == ["message 0", "on monday"]


def test_corrections_of_earlier_messages_hold_in_later_ones() -> None:
    first = feedback(said({"day": "sunday"}), {"day": "monday", "seat": "inside"})
    history = said({"day": "sunday"}, {"day": "sunday", "name": "ann"}, {"day": "friday"})
    last = feedback(history, corrected_reply="yes")
    assert states_of(last, first) == [
        {"day": "monday", "seat": "inside"},
        {"day": "monday", "name": "ann", "seat": "inside"},
        {"day": "friday", "seat": "inside"},  # the user changed the day herself
    ]
    assert states_of(first, last) == [{"day": "monday", "seat": "inside"}]


def test_a_value_that_was_wrong_stays_away_until_it_is_given_again() -> None:
    first = feedback(said({"seat": "bar"}), {})
    history = said({"seat": "bar"}, {"seat": "bar"}, {"seat": "inside"})
    last = feedback(history, {"seat": "terrace"})
    assert states_of(last, first) == [{}, {}, {"seat": "terrace"}]


def test_messages_that_say_nothing_to_the_domain_stay_so() -> None:
    first = feedback(said({}), {"day": "monday"})
    last = feedback(said({}, None, {}), corrected_reply="yes")
    assert states_of(last, first) == [{"day": "monday"}, None, {"day": "monday"}]


def test_other_conversations_do_not_count() -> None:
    history = said({}, {})
    last = feedback(history, corrected_reply="yes")
    elsewhere = feedback(said({}), {"day": "monday"}, conversation="bo")
    other_words = feedback((replace(history[0], text="hello"),), {"day": "monday"})
    assert states_of(last, elsewhere, other_words) == [{}, {}]


def test_a_reply_that_was_corrected_is_not_said_in_later_corrections() -> None:
    first = feedback(said({}), corrected_reply="what day?")
    second = feedback(said({}, {}), corrected_reply="yes")
    made, last = corrected_dialogues([first, second])
    assert [turn.text for turn in made.turns] == ["message 0", "what day?"]
    assert [turn.text for turn in last.turns] == ["message 0", "what day?", "message 1", "yes"]
    assert [turn.text for turn in second.history] == ["message 0", "reply 0", "message 1"]


def test_what_the_bot_said_beside_a_corrected_reply_stays() -> None:
    first = feedback(said({}), corrected_reply="what day?")
    one, _, other = said({}, {})
    for before, after, now in (
        ("hi reply 0 or sunday", "hi what day? or sunday", "sunday"),
        ("sunday? reply 0", "sunday? what day?", "sunday"),
        ("no reply 01 on sunday", "no reply 01 on sunday", "sunday"),  # another reply
    ):
        marked = (Span("day", before.index("sunday"), before.index("sunday") + 6),)
        turn = Turn("system", before, action="find", spans=marked)
        (_, last) = corrected_dialogues([first, feedback((one, turn, other), corrected_reply="y")])
        found = last.turns[1]
        assert (found.text, found.action) == (after, "find")
        assert [found.text[span.start : span.end] for span in found.spans] == [now]
    whole = replace(turn, text="reply 0", spans=(Span("day", 0, 7),))
    (_, last) = corrected_dialogues([first, feedback((one, whole, other), corrected_reply="y")])
    assert (last.turns[1].text, last.turns[1].spans) == ("what day?", ())


def test_the_question_for_what_was_missed_is_left_out_of_later_corrections_too() -> None:
    asked = replace(feedback(said({}), {"day": "monday"}), reply=Turn("system", "reply 0"))
    last = feedback(said({}, {"day": "monday"}), corrected_reply="it is booked")
    (dialogue, _) = corrected_dialogues([last, asked])
    texts = [turn.text for turn in dialogue.turns]
    assert texts == ["message 0", "message 1", "it is booked"]
    # what was said with a call stays, and what was corrected itself
    (dialogue, _) = corrected_dialogues([last, feedback(said({}), {"day": "monday"})])
    assert [turn.text for turn in dialogue.turns][1] == "reply 0"
    (dialogue, _) = corrected_dialogues([last, replace(asked, corrected_reply="on monday")])
    assert [turn.text for turn in dialogue.turns][1] == "on monday"


def test_a_corrected_intent_holds_in_later_messages_until_it_changes() -> None:
    def intents(*tracked: Optional[str]) -> list:
        turns = [
            replace(turn, state=State({}, tracked[number // 2])) if turn.is_user else turn
            for number, turn in enumerate(said(*({} for _ in tracked)))
        ]
        first = replace(feedback(turns[:1]), corrected_state=State({}, "book"))
        (dialogue, _) = corrected_dialogues([feedback(turns, corrected_reply="yes"), first])
        return [turn.state and turn.state.active_intent for turn in dialogue.turns if turn.is_user]

    assert intents(None, None, None) == ["book", "book", "book"]
    assert intents(None, "cancel", None) == ["book", "cancel", None]
    assert intents("cancel", "cancel", None) == ["book", "book", None]


def test_only_the_reply_that_was_corrected_is_an_example() -> None:
    history = said({"day": "monday"}, {"day": "monday"})
    (dialogue,) = corrected_dialogues([feedback(history, corrected_reply="yes")])
    assert (dialogue.history, len(dialogue.turns)) == (3, 4)
    schema = Schema("d", "", (Slot("day"),), (Intent("book", required_slots=("day",)),))
    earlier, corrected = support_replies(schema, [dialogue])
    assert (earlier.example, corrected.example) == (False, True)
    pool = ReplyPool(schema, [earlier, corrected], lambda texts: torch.ones(len(texts), 1))
    assert pool.replies == (corrected,)
    assert [each.said for each in exchanges(schema, [earlier, corrected], pool)] == [False, True]


def test_what_the_host_bot_said_is_said_to_nobody_else() -> None:
    """It stands in the history of a correction, as a reply to what says nothing to the domain."""
    host = [Turn("user", "is my account open?"), Turn("system", "Yes, Maria, 48213 is active.")]
    where = Turn("user", "where is it", State({"day": ("monday",)}, "book"))
    made = corrected_dialogues([feedback([*host, where], corrected_reply="It is on its way.")])
    schema = Schema("d", "", (Slot("day"),), (Intent("book", required_slots=("day",)),))
    generator = RetrievalGenerator(schema, made, lambda texts: torch.ones(len(texts), 1))
    assert [reply.template.text for reply in generator.pool.replies] == ["It is on its way."]
    reply = generator.reply([Turn("user", "is my account open?")], None)
    assert reply.source == "schema"

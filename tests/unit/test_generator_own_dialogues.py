"""Conversations that go on otherwise than the example domains' dialogues do."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import pytest

from rasa_onramp.dialogue import Dialogue, State, Turn
from rasa_onramp.formats import read
from rasa_onramp.generator import Reply, RetrievalGenerator
from tiny_replies import embed

DATA = Path(__file__).resolve().parents[2] / "dialogue_data"
DOMAINS = {
    "clinic": "clinic_appointments",
    "mobile": "mobile_plan",
    "parcel": "parcel_delivery",
}


@lru_cache(maxsize=None)
def domain(name: str) -> Tuple[RetrievalGenerator, Mapping[str, Dialogue]]:
    """What answers in a domain, and its dialogues by their ids."""
    corpus = read(DATA / f"{DOMAINS[name]}.yml")
    (schema,) = corpus.schemas.values()
    support = [each for each in corpus.dialogues if each.split == "support"]
    return RetrievalGenerator(schema, support, embed), {each.id: each for each in corpus.dialogues}


def after(
    bot: str,
    text: str,
    changes: Optional[Mapping[str, str]] = None,
    *,
    requested: Sequence[str] = (),
    action: Optional[str] = None,
    row: Optional[Mapping[str, Any]] = None,
) -> Reply:
    """The reply to `text`, said after the turn `bot` ("clinic-01#11") instead of what was said
    there. An emptied slot changes to "".
    """
    source, _, number = bot.partition("#")
    generator, dialogues = domain(source.partition("-")[0])
    turns = dialogues[source].turns[: int(number) + 1]
    before = [turn.state for turn in turns if turn.state is not None][-1]
    values: Dict[str, Tuple[str, ...]] = dict(before.values)
    values.update({slot: (value,) for slot, value in (changes or {}).items()})
    kept = {slot: value for slot, value in values.items() if value != ("",)}
    state = State(kept, before.active_intent, tuple(requested))
    said = (*turns, Turn("user", text, state=state))
    return generator.reply(said, state, [] if row is None else [row], action)


@pytest.mark.parametrize(
    ("bot", "text"),
    [
        ("clinic-04#13", "yes"),
        ("clinic-05#15", "hm, one more thing"),
        ("mobile-02#7", "yes"),
        ("mobile-05#11", "yes"),
        ("parcel-01#11", "yes"),
    ],
)
def test_what_is_done_is_not_confirmed_again(bot: str, text: str) -> None:
    told = after(bot, text).text
    assert not any(asks in told for asks in ("Shall I book", "Just to check", "Let me confirm"))


@pytest.mark.parametrize("bot", ["clinic-05#15", "mobile-05#11", "parcel-01#11"])
def test_yes_to_whether_there_is_more_is_no_goodbye(bot: str) -> None:
    for text in ("Yes please!", "yeah, one more thing", "actually, there is"):
        assert after(bot, text).text == "What else can I do for you?"
    for text in ("no thanks", "Nope, that's all", "ok thanks, bye"):
        assert after(bot, text).source != "schema"


def test_a_search_is_no_reason_not_to_confirm_what_it_found() -> None:
    """Here everything was said before it, so that a yes brings no news."""
    known = {"appointment_time": "11:10", "doctor": "Dr Shah", "interpreter": "False"}
    reply = after("clinic-13#3", "yes, that one", {**known, "visit_type": "in person"})
    assert "Shall I book it?" in reply.text
    generator, dialogues = domain("clinic")
    turns = dialogues["clinic-13"].turns[:4]
    state = State(
        {**turns[2].state.values, **{k: (v,) for k, v in known.items()}}, "book_appointment"
    )
    heard = Turn("user", turns[2].text, state=state)
    again = generator.reply((*turns[:2], heard, turns[3], Turn("user", "yes", state=state)), state)
    assert "Shall I book it?" in again.text


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("friday", "2024-06-07"),
        ("the 7th", "2024-06-07"),
        ("tomorrow", "2024-06-07"),
        ("tmrw", "tomorrow"),
        ("Fri", "friday"),
        ("28/6", "2024-06-28"),
        ("the end of the month", "2024-06-30"),
    ],
)
def test_a_day_that_the_api_spells_otherwise_is_not_refused(wanted: str, told: str) -> None:
    saved: Dict[str, Any] = {"action": "update_line", "row": {"effective_day": told}}
    reply = after("mobile-08#7", "Yes, thank you", {"effective_day": wanted}, **saved)
    assert reply.text == (
        f"All done. 07700 900319 is cancelled, last day {told}. Anything else I can do?"
    )
    other = after("mobile-08#7", "Yes, thank you", {"effective_day": "monday"}, **saved)
    assert other.text.startswith("Sorry, monday is too soon.")


def test_what_was_confirmed_is_not_confirmed_in_the_words_of_another_intent() -> None:
    known = {"interpreter": "False", "visit_type": "in person"}
    for text in ("ok wait", "yes", "hm"):
        assert "So I move" not in after("clinic-01#9", text, known).text
        assert "OK to add it?" not in after("mobile-01#9", text).text


def test_a_choice_that_nobody_asked_for_is_not_told() -> None:
    for text in ("yes", "ok thats fine", "hm"):
        assert "We deliver in" not in after("parcel-01#11", text).text
    asked = after("parcel-01#5", "what can I choose from", requested=["delivery_window"])
    assert asked.text == "We deliver in the morning, the afternoon or the evening."


def test_what_is_asked_of_several_offers_is_told_of_each() -> None:
    asked: Dict[str, Any] = {"requested": ["price"]}
    assert after("mobile-04#5", "how much are they?", **asked).text == (
        "Here you are: roaming pass 1 day, price £3; roaming pass 7 days, price £10; "
        "roaming pass 30 days, price £24."
    )
    assert after("mobile-04#5", "how much is the first one?", **asked).text == (
        "Here you are: price £3."
    )
    known = {**asked, "requested": ["data_allowance"]}
    assert after("mobile-01#5", "is that enough?", **known).text == (
        "Here you are: data allowance 20 GB."
    )


def test_what_was_not_found_is_not_offered() -> None:
    generator, dialogues = domain("clinic")
    offer = dialogues["clinic-02"].turns[7].text
    assert after("clinic-02#5", "can i take ibuprofen before it?").text != offer  # in scope
    turns = dialogues["clinic-02"].turns[:6]
    rain = Turn("user", "is it going to rain later?")
    assert generator.reply((*turns, rain), None).text == offer
    move = State({"patient_name": ("Dario Conti",)}, "move_appointment")
    nothing = (
        Turn("user", "need to move my appointment, I'm Dario Conti", move),
        Turn("system", "May I have the patient's date of birth?"),
    )
    assert "found" not in generator.reply((*nothing, rain), None).text


def test_a_no_to_a_confirmation_is_not_asked_the_same_in_other_words() -> None:
    _, dialogues = domain("mobile")
    number = next(
        n for n, t in enumerate(dialogues["mobile-04"].turns) if "OK to add it?" in t.text
    )
    for text in ("no", "no, that's not what I want"):
        assert after(f"mobile-04#{number}", text).text == "What would you like to change?"
    assert "change?" not in after(f"mobile-04#{number}", "hm").text


def test_what_tells_several_offers_apart_is_told_with_what_was_asked() -> None:
    generator, dialogues = domain("mobile")
    rows = next(turn.results for turn in dialogues["mobile-04"].turns if len(turn.results) == 3)
    asked = State({"roaming_country": ("Romania",)}, "add_roaming", ("price",))
    turn = Turn("user", "what do you charge for roaming in Romania", asked)
    bare = RetrievalGenerator(generator.schema, (), embed)
    assert bare.reply([turn], asked, rows, "find_roaming").text == (
        "I found 3: roaming pass 1 day, price £3; roaming pass 7 days, price £10; "
        "roaming pass 30 days, price £24."
    )


def test_what_is_asked_of_several_offers_is_not_answered_for_one() -> None:
    generator, _ = domain("clinic")
    state = {"department": ("dermatology",)}
    rows = [
        {"appointment_time": "9:20", "doctor": "Dr Osei", "visit_type": "phone"},
        {"appointment_time": "11:40", "doctor": "Dr Lindgren", "visit_type": "in person"},
    ]
    first = Turn("user", "dermatology please", State(state, "book_appointment"))
    asked = State(state, "book_appointment", ("visit_type",))
    each = (
        "Here you are: appointment time 9:20, visit type phone; "
        "appointment time 11:40, visit type in person."
    )
    for said in ("I have 9:20 with Dr Osei and 11:40 with Dr Lindgren.", "I found two."):
        told = Turn("system", said, action="find_slots", results=tuple(rows))
        turns = (first, told, Turn("user", "are they in person or by phone?", asked))
        assert generator.reply(turns, asked).text == each


def test_an_offer_that_was_taken_is_told_of_after_the_next_call() -> None:
    asked: Dict[str, Any] = {"requested": ["price"]}
    assert "£12" in after("mobile-01#11", "how much is it again?", **asked).text
    # the wish was otherwise than what was taken
    generator, _ = domain("parcel")
    wished = {"tracking_number": ("RX1",), "open_late": ("True",), "pickup_point": ("Spar",)}
    search = {"tracking_number": "RX1", "open_late": "True"}
    taken = {"tracking_number": "RX1", "pickup_point": "Spar", "open_late": "True"}
    state = State(wished, "collect_from_shop")
    late = State(wished, "collect_from_shop", ("open_late",))
    shop = {"pickup_point": "Spar", "open_late": "False"}
    turns = (
        Turn("user", "a shop that is open late", state),
        Turn("system", "There is Spar.", action="find_shops", parameters=search, results=(shop,)),
        Turn("user", "ok, that one", state),
        Turn("system", "Done.", action="update_delivery", parameters=taken),
        Turn("user", "is it open late?", late),
    )
    bare = RetrievalGenerator(generator.schema, (), embed)
    assert bare.reply(turns, late).text == "Here you are: open late no."


def test_rows_of_another_parcel_answer_nothing() -> None:
    other = {"tracking_number": "GF1196"}
    reply = after("parcel-01#3", "and GF1196?", other, requested=["status"])
    assert "depot" not in reply.text
    same = after("parcel-01#3", "where is it?", requested=["status"])
    assert "at the depot" in same.text


def test_an_emptied_slot_is_news() -> None:
    """It is asked for again, though nothing else changed since the call."""
    reply = after("clinic-01#11", "no, make it another day", {"appointment_day": ""})
    assert "goodbye" not in reply.text and reply.text != "What else can I do for you?"

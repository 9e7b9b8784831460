"""Choosing, filling and refusing support replies, on a small domain of our own."""

from __future__ import annotations

import time
from dataclasses import replace

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
from rasa_onramp.generator import RetrievalGenerator
from rasa_onramp.generator.situation import situate
from tiny_replies import embed, system, user

SCHEMA = Schema(
    "parcels",
    "Find parcels and move deliveries",
    slots=(
        Slot("tracking_number", "Number that identifies the parcel"),
        Slot("status", "Where the parcel is"),
        Slot("expected_day", "Day on which it should arrive"),
        Slot("delivery_day", "Day on which it is wanted"),
        Slot("window", "Part of the day", ("morning", "afternoon", "evening")),
        Slot("leave_with_neighbour", "Whether a neighbour may take it", ("True", "False")),
        Slot("shop", "Parcel shop"),
        Slot("area", "Part of town"),
    ),
    intents=(
        Intent("track", "Find out where a parcel is", ("tracking_number",)),
        Intent(
            "move",
            "Move a delivery to another day",
            ("tracking_number", "delivery_day"),
            {"window": DONTCARE, "leave_with_neighbour": "False"},
        ),
        Intent("collect", "Collect a parcel from a shop", ("area", "shop")),
    ),
    actions=(
        Action("find", "Look up a parcel", ("tracking_number",), ("status", "expected_day")),
        Action("shops", "Search shops", ("area",), ("shop",)),
        Action("save", "Save a new day", ("tracking_number", "delivery_day")),
    ),
)


def dialogue(number, *turns):
    return Dialogue(f"d{number}", "parcels", turns, "support")


SUPPORT = (
    dialogue(
        1,
        user("where is my parcel", "track", ["status"]),
        system("Sure. What is the tracking number?"),
        user("it's RX4821", "track", tracking_number="RX4821"),
        system(
            "Parcel RX4821 is at the depot and due Friday.",
            "find",
            {"status": "at the depot", "expected_day": "friday"},
        ),
        user("bring it on monday instead", "move", tracking_number="RX4821", delivery_day="monday"),
        system("Which part of the day: morning, afternoon or evening?"),
        user(
            "morning",
            "move",
            tracking_number="RX4821",
            delivery_day="monday",
            window="morning",
        ),
        system("So that is RX4821, Monday, in the morning. Is that right?"),
        user("yes", "move", tracking_number="RX4821", delivery_day="monday", window="morning"),
        system("Done: Monday. Anything else?", "save", {}),
        user(
            "no thanks, bye",
            "move",
            tracking_number="RX4821",
            delivery_day="monday",
            window="morning",
        ),
        system("Goodbye!"),
    ),
    dialogue(
        2,
        user("where is AB12", "track", ["status"], tracking_number="AB12"),
        system("Sorry, I can't find AB12. Could you check the number?", "find"),
        user("AB21 I mean", "track", tracking_number="AB21"),
        system("Parcel AB21 is delivered.", "find", {"status": "delivered"}),
        Turn("user", "and the weather?"),
        system("Sorry, I only know about parcels. Anything else?"),
        user("can i collect it", "collect", tracking_number="AB21"),
        system("In which area?"),
        user("leith", "collect", tracking_number="AB21", area="leith"),
        system(
            "I found 2 shops. There is Spar.",
            "shops",
            {"shop": "Spar"},
            {"shop": "Co-op"},
            shop="Spar",
        ),
        user("another one?", "collect", tracking_number="AB21", area="leith"),
        system("There is also Co-op.", shop="Co-op"),
    ),
    dialogue(
        3,
        user(
            "move AB3 to sunday, next door can take it",
            "move",
            tracking_number="AB3",
            delivery_day="sunday",
            leave_with_neighbour="True",
        ),
        system("So that is AB3, Sunday, and a neighbour may take it. Is that right?"),
        user("no, keep it away from him", "move", tracking_number="AB3", delivery_day="sunday"),
        system("How about Tuesday at £5?", delivery_day="Tuesday"),
    ),
)


@pytest.fixture(scope="module")
def generator():
    return RetrievalGenerator(SCHEMA, SUPPORT, embed)


@pytest.fixture(scope="module")
def bare():
    """A domain without support dialogues."""
    return RetrievalGenerator(SCHEMA, (), embed)


def ask(generator, *turns, results=(), action=None):
    return generator.reply(turns, turns[-1].state, results, action)


def test_the_reply_to_the_same_situation_is_the_support_reply(generator):
    turns = SUPPORT[0].turns
    for number in range(1, len(turns), 2):
        told = turns[number]
        reply = ask(generator, *turns[:number], results=told.results, action=told.action)
        assert reply.text == told.text
        assert reply.source == f"d1#{number}"
        assert 0.9 < reply.confidence <= 1


def test_values_are_those_of_the_conversation(generator):
    reply = ask(
        generator,
        user("where is my stuff, QQ77", "track", ["status"], tracking_number="QQ77"),
        action="find",
        results=[{"status": "held at customs", "expected_day": "tomorrow"}],
    )
    assert reply.text == "Parcel QQ77 is held at customs and due tomorrow."
    assert reply.template == "Parcel {tracking_number} is {status} and due {expected_day}."
    assert reply.source == "d1#3"


def test_a_reply_fits_what_the_row_holds(generator):
    turn = user("where is QQ77", "track", ["status"], tracking_number="QQ77")
    reply = ask(generator, turn, action="find", results=[{"status": "in transit"}])
    assert reply.text == "Parcel QQ77 is in transit."


def test_an_action_without_rows_gets_the_reply_to_no_rows(generator):
    turn = user("where is QQ77", "track", ["status"], tracking_number="QQ77")
    reply = ask(generator, turn, action="find", results=[])
    assert reply.text == "Sorry, I can't find QQ77. Could you check the number?"


def test_an_action_never_gets_the_reply_to_another(generator):
    turn = user("leith", "collect", area="leith")
    reply = ask(generator, turn, action="shops", results=[])
    assert (reply.text, reply.source) == ("Sorry, I found nothing for area leith.", "schema")


def test_what_is_missing_is_asked_for(generator):
    reply = ask(generator, user("can it come on tuesday", "move", delivery_day="tuesday"))
    assert (
        reply.text == "Could you tell me the tracking number (number that identifies the parcel)?"
    )
    reply = ask(generator, user("can i fetch it myself", "collect"))
    assert reply.text == "In which area?"


def test_what_is_known_is_not_asked_for_again(generator):
    first = user("where is my parcel", "track", ["status"])
    again = user("where is my parcel, QQ77", "track", ["status"], tracking_number="QQ77")
    assert ask(generator, first).text == "Sure. What is the tracking number?"
    assert "tracking number?" not in ask(generator, again).text


def test_what_was_just_given_is_not_asked_for_together_with_something_else():
    both = "Which number, and on which delivery day?"
    generator = RetrievalGenerator(
        SCHEMA,
        [
            dialogue(
                1,
                user("can you move a parcel", "move"),
                system(both),
                user("AB1, on monday", "move", tracking_number="AB1", delivery_day="monday"),
                system("So that is AB1, Monday. Is that right?"),
            )
        ],
        embed,
    )
    first = user("can you move a parcel", "move")
    number = {"tracking_number": "QQ77"}
    assert ask(generator, first).text == both
    rest = "Could you tell me the delivery day (day on which it is wanted)?"
    assert ask(generator, user("can you move parcel QQ77", "move", **number)).text == rest
    assert ask(generator, first, system(both), user("QQ77", "move", **number)).text == rest
    known = user("can you move a parcel", "move", **number)
    assert ask(generator, known, system("Sure."), known).text == both
    assert ask(generator, known, system(both), known).text == rest
    # a question that brought nothing at all may be asked again
    assert ask(generator, first, system(both), first).text == both


def test_a_call_that_only_says_ok_gets_the_reply_to_one_that_says_nothing():
    known = {"tracking_number": "AB1", "delivery_day": "monday"}
    generator = RetrievalGenerator(
        SCHEMA,
        [dialogue(1, user("yes", "move", **known), system("Monday it is!", "save"))],
        embed,
    )
    turn = user("yes", "move", **{**known, "delivery_day": "friday"})
    for results in ([], [{"ok": "True"}], [{"id": "17"}]):
        assert ask(generator, turn, action="save", results=results).text == "Friday it is!"


def test_a_part_without_a_value_is_left_out(generator):
    known = {"tracking_number": "QQ77", "delivery_day": "friday"}
    turns = (
        user("move QQ77", "move", tracking_number="QQ77"),
        system("Which part of the day: morning, afternoon or evening?"),
        user("friday, any time", "move", **known, window=DONTCARE, leave_with_neighbour="False"),
    )
    reply = ask(generator, *turns)
    assert reply.text == "So that is QQ77, Friday. Is that right?"


def test_a_message_with_news_is_not_answered_with_a_farewell():
    said = {"tracking_number": "X", "delivery_day": "sunday"}
    farewells = [
        dialogue(
            number,
            user("move X to sunday", "move", **said),
            system("How about Monday?", delivery_day="Monday"),
            user("ok thanks, bye", "move", **said),
            system("Goodbye!"),
        )
        for number in range(3)
    ]
    generator = RetrievalGenerator(SCHEMA, farewells, embed)
    values = {"tracking_number": "QQ77", "delivery_day": "friday"}
    turns = (
        user("move QQ77 to monday", "move", tracking_number="QQ77", delivery_day="monday"),
        system("So that is QQ77, Monday. Is that right?"),
    )
    assert ask(generator, *turns, user("ok thanks, bye", "move", **values)).text == (
        "To move a delivery to another day: tracking number QQ77, delivery day friday. "
        "Shall I go ahead?"
    )
    unchanged = {**values, "delivery_day": "monday"}
    assert ask(generator, *turns, user("ok thanks, bye", "move", **unchanged)).text == "Goodbye!"


def test_a_message_that_was_not_understood_is_not_answered_with_a_farewell(generator):
    """Its state brings as little as a goodbye's."""
    kept = {"tracking_number": "QQ77"}
    turns = (
        user("where is QQ77", "track", **kept),
        system("Parcel QQ77 is at the depot and due Friday.", "find", {"status": "at the depot"}),
    )
    assert ask(generator, *turns, user("bring it on tusday", "track", **kept)).text != "Goodbye!"
    assert ask(generator, *turns, user("no thanks, bye", "track", **kept)).text == "Goodbye!"


def test_nobody_is_greeted_in_the_middle():
    greeting = (Turn("user", "hello", state=State()), system("Hello, how can I help?"))
    known = {"tracking_number": "AB1"}
    asked = (user("where is AB1", "track", **known), system("Let me see."))
    generator = RetrievalGenerator(SCHEMA, [dialogue(1, *greeting, *asked)], embed)
    assert ask(generator, greeting[0]).text == "Hello, how can I help?"
    again = (*asked, user("hello", "track", **known))
    assert ask(generator, *again).text != "Hello, how can I help?"


@pytest.mark.parametrize("spelt", [("True", "False"), ("yes", "no")])
def test_words_for_a_yes_are_not_said_after_a_no(spelt):
    def spelling(turn):
        if turn.state is None or "leave_with_neighbour" not in turn.state.values:
            return turn
        values = {**turn.state.values, "leave_with_neighbour": spelt[:1]}
        return replace(turn, state=replace(turn.state, values=values))

    support = [replace(each, turns=tuple(map(spelling, each.turns))) for each in SUPPORT]
    generator = RetrievalGenerator(SCHEMA, support, embed)
    values = {"tracking_number": "QQ77", "delivery_day": "friday"}
    text = "move QQ77 to friday, next door can take it"
    yes, no = (
        ask(generator, user(text, "move", **values, leave_with_neighbour=each)) for each in spelt
    )
    assert yes.text == "So that is QQ77, Friday, and a neighbour may take it. Is that right?"
    assert "neighbour may" not in no.text


ROOMS = Schema(
    "rooms",
    slots=(
        *(Slot("room"), Slot("town"), Slot("quiet", values=("True", "False")), Slot("beds")),
        *(Slot("price"), Slot("pets_welcome", values=("True", "False"))),
    ),
    intents=(Intent("look", "", ("town",), {"beds": "1"}),),
    actions=(Action("search", "", ("town",), ("room", "quiet")),),
)
HALL = {"room": "the Hall", "quiet": "False"}
TOWER = {"room": "the Tower", "quiet": "True"}


def rooms(*turns):
    return RetrievalGenerator(ROOMS, [Dialogue("r", "rooms", turns, "support")], embed)


@pytest.mark.parametrize(("true", "false"), [("True", "False"), ("yes", "no")])
def test_what_is_told_in_words_of_a_row_is_not_said_of_a_row_where_it_is_otherwise(true, false):
    known, asks = {"town": "Leith"}, ["quiet"]
    noisy = rooms(
        user("rooms in Leith", "look", **known),
        system("There is the Hall.", "search", {**HALL, "quiet": false}, {**TOWER, "quiet": true}),
        user("is it quiet?", "look", asks, **known),
        system("No, the Hall isn't quiet."),
        user("thanks", "look", **known),
        system("You're welcome."),
    )

    def answer(row, *others):
        first = user("rooms in Bute", "look", town="Bute")
        shown = system(f"There is {row['room']}.", "search", *others, row)
        return ask(noisy, first, shown, user("is it quiet?", "look", asks, town="Bute")).text

    loud, calm = {"room": "the Mill", "quiet": false}, {"room": "the Barn", "quiet": true}
    assert answer(loud) == answer(loud, calm) == "No, the Mill isn't quiet."
    assert answer(calm) == answer(calm, loud | calm) == "Here you are: quiet yes."
    assert answer({"room": "the Mill"}) != "No, the Mill isn't quiet."
    # nor where nobody asked
    turns = [user("rooms in Bute", "look", town="Bute"), system("One moment.", "search", loud)]
    assert ask(noisy, *turns, user("thanks", "look", town="Bute")).text == "You're welcome."


@pytest.mark.parametrize(("true", "false"), [("True", "False"), ("yes", "no")])
def test_a_bare_yes_answers_the_question_that_was_asked(true, false):
    known = {"town": "Leith"}
    said = rooms(
        user("rooms in Leith", "look", **known),
        system("There is the Tower.", "search", {**TOWER, "quiet": true}),
        user("is it quiet?", "look", ["quiet"], **known),
        system("Yes, it is."),
    )

    def answer(row, *requested):
        first = user("rooms in Bute", "look", town="Bute")
        shown = system("There is the Mill.", "search", {"room": "the Mill", **row})
        return ask(said, first, shown, user("is it?", "look", requested, town="Bute")).text

    assert answer({"quiet": true}, "quiet") == answer({"quiet": true}, "quiet", "beds")
    assert answer({"quiet": true}, "quiet") == "Yes, it is."
    assert answer({"quiet": false}, "quiet") == "Here you are: quiet no."
    assert answer({}, "quiet") == "Sorry, I don't know the quiet."
    assert answer({"quiet": true}, "beds") == "Sorry, I don't know the beds."


def test_an_answer_that_is_marked_is_told_of_any_row():
    known = {"town": "Leith"}
    said = rooms(
        user("rooms in Leith", "look", **known),
        system("There is the Tower.", "search", TOWER),
        user("is it quiet?", "look", ["quiet"], **known),
        system("The answer is yes.", quiet="yes"),
    )
    bute = {"town": "Bute"}
    shown = system("There is the Mill.", "search", {"room": "the Mill", "quiet": "False"})
    turns = [user("rooms in Bute", "look", **bute), shown]
    asked = user("is it quiet?", "look", ["quiet"], **bute)
    assert ask(said, *turns, asked).text == "The answer is no."


def test_half_a_slots_name_tells_nothing_of_a_row():
    """As "you're welcome" of pets."""
    known, row = {"town": "Leith"}, {"room": "the Hall", "pets_welcome": "True"}
    generator = rooms(
        user("rooms in Leith", "look", **known),
        system("There is the Hall.", "search", row),
        user("thanks", "look", **known),
        system("You're welcome."),
    )
    bute = {"town": "Bute"}
    shown = system("There is the Mill.", "search", {"room": "the Mill", "pets_welcome": "False"})
    turns = [user("rooms in Bute", "look", **bute), shown]
    assert ask(generator, *turns, user("thanks", "look", **bute)).text == "You're welcome."
    reply = next(each for each in generator.pool.replies if "welcome" in each.template.text)
    assert reply.facts == frozenset()


def test_the_row_that_is_told_of_in_words_is_the_one_that_is_named():
    known = {"town": "Leith"}
    said = rooms(
        user("rooms in Leith", "look", **known),
        system("There are 2. The Tower is quiet.", "search", HALL, TOWER),
    )
    turn = user("rooms in Bute", "look", town="Bute")
    one, other = {"room": "A1", "quiet": "False"}, {"room": "B2", "quiet": "True"}
    assert ask(said, turn, action="search", results=[one, other]).text == (
        "There are 2. B2 is quiet."
    )
    assert "is quiet" not in ask(said, turn, action="search", results=[other, one]).text


def test_words_about_the_row_in_focus_are_about_the_only_row_too():
    known, asks = {"town": "Leith"}, ["quiet"]
    noisy = rooms(
        user("rooms in Leith", "look", **known),
        system("There is the Tower.", "search", TOWER, HALL),
        user("another one?", "look", **known),
        system("There is also the Hall."),
        user("is it quiet?", "look", asks, **known),
        system("No, it isn't quiet."),
    )
    known = {"town": "Bute"}
    first = user("rooms in Bute", "look", **known)
    then = user("is it quiet?", "look", asks, **known)
    answers = [
        ask(noisy, first, system("There is A1.", "search", {"room": "A1", "quiet": quiet}), then)
        for quiet in ("False", "True")
    ]
    assert [each.text for each in answers] == ["No, it isn't quiet.", "Here you are: quiet yes."]


DEAR = {"room": "the Loft", "price": "£8", "quiet": "False"}
CHEAP = {"room": "the Barn", "price": "£6", "quiet": "True"}


def priced(told, **marks):
    """Of two rooms at £5 each, the second was shown last, and this told of it."""
    rows = [{**HALL, "price": "£5"}, {**TOWER, "price": "£5"}]
    known = {"town": "Leith"}
    return rooms(
        user("rooms in Leith", "look", **known),
        system("There is the Hall.", "search", *rows),
        user("another one?", "look", **known),
        system("There is also the Tower."),
        user("how much is it?", "look", ["price"], **known),
        system(told, **marks),
    )


@pytest.mark.parametrize("marks", [{}, {"price": "£5"}])
def test_what_rows_shared_is_told_of_the_row_that_the_talk_is_about(marks):
    turns = [
        user("rooms in Bute", "look", town="Bute"),
        system("There is the Loft.", "search", DEAR, CHEAP),
        user("another one?", "look", town="Bute"),
        system("There is also the Barn."),
        user("how much is it?", "look", ["price"], town="Bute"),
    ]
    reply = ask(priced("It's £5.", **marks), *turns)
    assert (reply.text, reply.source) == ("It's £6.", "r#5")
    assert ask(priced("It's £5, and quiet.", **marks), *turns).text == "It's £6, and quiet."
    # of the first row, or the only one
    reply = ask(priced("It's £5.", **marks), *turns[:2], turns[4])
    assert (reply.text, reply.source) == ("It's £8.", "r#5")
    only = system("There is the Loft.", "search", DEAR)
    reply = ask(priced("It's £5.", **marks), turns[0], only, turns[4])
    assert (reply.text, reply.source) == ("It's £8.", "r#5")


def test_the_first_one_is_the_first_that_was_told():
    generator = priced("It's £5.")
    turns = [
        user("rooms in Bute", "look", town="Bute"),
        system("There is the Loft and the Barn.", "search", DEAR, CHEAP),
    ]
    for text, told in (
        ("how much is the first one?", "It's £8."),
        ("how much is the second one?", "It's £6."),
        ("how much is the loft?", "It's £8."),
        ("how much?", "Here you are: room the Loft, price £8; room the Barn, price £6."),
    ):
        assert ask(generator, *turns, user(text, "look", ["price"], town="Bute")).text == told


def test_how_long_something_is_kept_is_no_number_of_people():
    given = {"town": "Leith", "beds": "2"}
    held = "Booked. We hold it for 2 hours."
    turns = [user("2 in Leith", "look", **given), system(held, "book")]
    six = user("6 in Bute", "look", town="Bute", beds="6")
    assert "6 hours" not in ask(rooms(*turns), six, action="book").text
    more = [replace(turn, text=turn.text.replace("2 in", "3 in")) for turn in turns]
    generator = RetrievalGenerator(
        ROOMS,
        [Dialogue(name, "rooms", each, "support") for name, each in (("a", turns), ("b", more))],
        embed,
    )
    assert ask(generator, six, action="book").text == held


@pytest.mark.parametrize("text", ["So one bed in Leith?", "A room for one in Leith, right?"])
def test_words_for_one_are_not_said_of_several(text):
    given = {"town": "Leith", "beds": "1"}
    generator = rooms(user("a bed in Leith", "look", **given), system(text))
    same = ask(generator, user("a bed in Bute", "look", town="Bute", beds="1"))
    assert same.text == text.replace("Leith", "Bute")
    more = ask(generator, user("beds in Bute", "look", town="Bute", beds="3"))
    assert "one" not in more.text and more.source == "schema"


def test_one_moment_may_be_said_of_any_number():
    given = {"town": "Leith", "beds": "1"}
    generator = rooms(user("a bed in Leith", "look", **given), system("One moment, for Leith."))
    more = ask(generator, user("beds in Bute", "look", town="Bute", beds="3"))
    assert more.text == "One moment, for Bute."
    generator = rooms(user("a bed in Leith", "look", **given), system("Wait for one moment."))
    assert ask(generator, user("in Bute", "look", town="Bute", beds="3")).text == (
        "Wait for one moment."
    )


def test_a_number_of_people_is_no_price():
    """Where support replies state it, and never as an amount."""
    given = {"town": "Leith", "beds": "3"}
    generator = rooms(
        user("3 beds in Leith", "look", **given),
        system("3 beds in Leith. Is that right?"),
        user("what is it", "look", **given),
        system("That's $5 a night."),
    )
    turn = user("2 beds in Bute", "look", town="Bute", beds="2")
    now = situate(ROOMS, [turn], turn.state)
    assert generator.ungrounded("That's $2 a night.", now) == ("$2",)
    assert generator.ungrounded("That's 2 beds.", now) == ()


@pytest.mark.parametrize(
    "told", ["It's ${}.", "It's £ {}.", "It's {} euros.", "{}€, it is.", "USD {}."]
)
def test_a_price_may_be_marked_without_its_currency(told):
    given = {"town": "Leith", "beds": "3"}
    text = told.format(3)
    start = text.index("3")
    said = Turn("system", text, spans=(Span("beds", start, start + 1),))
    generator = rooms(user("3 in Leith", "look", **given), said)
    turn = user("2 in Bute", "look", town="Bute", beds="2")
    now = situate(ROOMS, [turn], turn.state)
    assert generator.ungrounded(told.format(2), now) == ()


def test_another_row_is_the_next_row(generator):
    rows = ({"shop": "Spar"}, {"shop": "Links News"}, {"shop": "Tesco"})
    values = {"tracking_number": "AB21", "area": "leith"}
    turns = [user("leith", "collect", **values)]
    reply = ask(generator, *turns, results=rows, action="shops")
    assert reply.text == "I found 3 shops. There is Spar."
    for shop in ("Links News", "Tesco"):
        told = Turn("system", reply.text, action="shops" if len(turns) == 1 else None, results=rows)
        turns += [told, user("another one?", "collect", **values)]
        reply = ask(generator, *turns)
        assert reply.text == f"There is also {shop}."


def test_results_of_an_earlier_action_can_be_given_or_stand_in_the_turns(generator):
    row = {"status": "in transit", "expected_day": "friday"}
    first = user("where is QQ77", "track", tracking_number="QQ77")
    question = user("when is it due?", "track", ["expected_day"], tracking_number="QQ77")
    answer = "Here you are: expected day friday."
    shown = system("Parcel QQ77 is in transit.", "find", row)
    assert ask(generator, first, shown, question).text == answer
    bare_turn = Turn("system", "Parcel QQ77 is in transit.")
    assert ask(generator, first, bare_turn, question, results=[row]).text == answer


def test_a_message_out_of_scope_gets_a_reply_out_of_scope(generator, bare):
    turns = (user("where is my parcel", "track"), system("Sure."), Turn("user", "do you like jazz"))
    assert generator.reply(turns, None).text == "Sorry, I only know about parcels. Anything else?"
    assert bare.reply(turns, None).text.startswith("Sorry, I can't help with that. I can help you")


def test_a_reply_whose_value_nobody_holds_is_not_used(generator):
    turns = SUPPORT[2].turns
    reply = ask(generator, *turns[:3])
    assert "Tuesday" not in reply.text and "£5" not in reply.text


def test_a_reply_with_a_datum_of_another_conversation_is_not_used():
    thanks = user("many thanks", "track")
    leaky = dialogue(4, thanks, system("It is at the depot, goodbye!"))
    alone = RetrievalGenerator(SCHEMA, [leaky], embed)
    assert ask(alone, thanks).text == "It is at the depot, goodbye!"
    together = RetrievalGenerator(SCHEMA, [*SUPPORT, leaky], embed)
    assert "at the depot" not in ask(together, thanks).text
    row = {"status": "at the depot"}
    assert ask(together, thanks, results=[row]).text == "It is at the depot, goodbye!"


def test_without_states_on_earlier_turns_the_text_says_what_is_new(generator):
    turns = (
        Turn("user", "where is my parcel"),
        Turn("system", "Sure. What is the tracking number?"),
        Turn("user", "QQ77"),
    )
    state = State({"tracking_number": ("QQ77",)}, "track")
    row = {"status": "in transit", "expected_day": "sunday"}
    reply = generator.reply(turns, state, [row], "find")
    assert reply.text == "Parcel QQ77 is in transit and due Sunday."


@pytest.mark.parametrize(
    ("turn", "action", "results", "text"),
    [
        (
            user("hello"),
            None,
            [],
            "I can help you to find out where a parcel is; move a delivery to another day; "
            "collect a parcel from a shop. What would you like to do?",
        ),
        (
            user("where is it", "track"),
            None,
            [],
            "Could you tell me the tracking number (number that identifies the parcel)?",
        ),
        (
            user("move QQ77 to friday", "move", tracking_number="QQ77", delivery_day="friday"),
            None,
            [],
            "To move a delivery to another day: tracking number QQ77, delivery day friday. "
            "Shall I go ahead?",
        ),
        (
            user("where is QQ77", "track", tracking_number="QQ77"),
            "find",
            [{"status": "in_transit", "expected_day": "friday"}],
            "Here is what I found: status in transit, expected day friday.",
        ),
        (
            user("where is QQ77", "track", ["status"], tracking_number="QQ77"),
            "find",
            [{"status": "in transit", "expected_day": "friday"}],
            "Here is what I found: status in transit.",
        ),
        (
            user("leith", "collect", area="leith"),
            "shops",
            [{"shop": "A"}, {"shop": "B"}, {"shop": "C"}, {"shop": "D"}],
            "I found 4: shop A; shop B; shop C.",
        ),
        (
            user("where is QQ77", "track", tracking_number="QQ77"),
            "find",
            [],
            "Sorry, I found nothing for tracking number QQ77.",
        ),
        (
            user("yes", "move", tracking_number="QQ77", delivery_day="friday"),
            "save",
            [],
            "Done, save: tracking number QQ77, delivery day friday.",
        ),
        (
            user("?", "track", tracking_number="QQ77"),
            "an_action_of_the_bot",
            [],
            "Done, an action of the bot.",
        ),
        (
            user("?", "track", tracking_number="QQ77"),
            "find",
            [{}],
            "Done, find: tracking number QQ77.",
        ),
        (
            user("which day did I say?", "move", ["delivery_day"], delivery_day="friday"),
            None,
            [],
            "Here you are: delivery day friday.",
        ),
        (
            user("next door?", "move", ["leave_with_neighbour"], leave_with_neighbour="True"),
            None,
            [],
            "Here you are: leave with neighbour yes.",
        ),
    ],
)
def test_without_support_dialogues_the_schema_answers(bare, turn, action, results, text):
    reply = ask(bare, turn, action=action, results=results)
    assert (reply.text, reply.source) == (text, "schema")


CONFIRMED = (
    "To move a delivery to another day: tracking number QQ77, delivery day friday. "
    "Shall I go ahead?"
)


def test_what_is_done_or_was_refused_is_not_confirmed_again(bare):
    known = {"tracking_number": "QQ77", "delivery_day": "friday"}
    first, again = user("QQ77 on friday", "move", **known), user("hm", "move", **known)
    assert ask(bare, first).text == CONFIRMED
    saved = system("Done, save.", "save")
    assert ask(bare, first, saved, again).text == "What else can I do for you?"
    assert ask(bare, first, system(CONFIRMED), again).text == "What else can I do for you?"
    # nothing of it was said, or something is new
    assert ask(bare, first, system("One moment."), again).text == CONFIRMED
    monday = user("monday", "move", **{**known, "delivery_day": "monday"})
    for shown in (saved, system(CONFIRMED)):
        assert ask(bare, first, shown, monday).text == CONFIRMED.replace("friday", "monday")


def test_what_was_given_for_another_intent_is_not_confirmed(bare):
    known = {"tracking_number": "QQ77", "delivery_day": "friday", "area": "leith", "shop": "Spar"}
    assert ask(bare, user("QQ77 on friday", "move", **known)).text == CONFIRMED


def test_a_code_with_a_letter_at_its_end_is_told_before_a_full_stop():
    seats = Schema("seats", "", (Slot("seat"),), (Intent("check", "", ()),), ())
    taught = [user("where do i sit", "check", ["seat"], seat="12A"), system("Your seat is 12A.")]
    generator = RetrievalGenerator(seats, [Dialogue("s", "seats", taught, "support")], embed)
    reply = ask(generator, user("where do i sit", "check", ["seat"], seat="14C"))
    assert (reply.text, reply.source) == ("Your seat is 14C.", "s#1")


def test_what_nobody_knows_is_said_to_be_unknown(bare):
    known = {"tracking_number": "QQ77"}
    first = user("where is QQ77", "track", ["status"], **known)
    # a call can still tell it
    confirmed = "To find out where a parcel is: tracking number QQ77. Shall I go ahead?"
    assert ask(bare, first).text == confirmed
    assert ask(bare, first, system(confirmed), first).text == confirmed
    found = system("It comes on Friday.", "find", {"expected_day": "friday"})
    where = user("and where is it?", "track", ["status"], **known)
    assert ask(bare, first, found, where).text == "Sorry, I don't know the status."
    window = user("at what time?", "track", ["window", "delivery_day"], **known)
    assert ask(bare, window).text == "Sorry, I don't know the window or the delivery day."


def test_what_there_is_to_choose_is_told(bare):
    known = {"tracking_number": "QQ77"}
    choices = "You can choose morning, afternoon or evening."
    for intent in ("move", None):
        asked = user("what windows are there?", intent, ["window"], **known)
        assert ask(bare, asked).text == choices
    # nor is it what could have been
    everything = {**known, "delivery_day": "friday"}
    first = user("QQ77 on friday", "move", **everything)
    asked = user("in which window?", "move", ["window"], **everything)
    assert ask(bare, first, system("Done.", "save"), asked).text == (
        "Sorry, I don't know the window."
    )


def test_of_many_values_to_choose_some_are_told():
    schema = Schema(
        "lessons",
        slots=(Slot("level", values=tuple("ABCDEFGH")),),
        intents=(Intent("book", "", ("level",)),),
    )
    turn = user("which levels are there?", "book", ["level"])
    told = ask(RetrievalGenerator(schema, (), embed), turn).text
    assert told == "You can choose A, B, C, D, E, F and others."


def test_what_a_row_holds_beyond_the_schema_is_not_told(bare):
    found = {"id": "881", "status": "in transit", "customer_email": "a@b.c"}
    turn = user("where is QQ77", "track", tracking_number="QQ77")
    told = ask(bare, turn, action="find", results=[found]).text
    assert told == "Here is what I found: status in transit."
    ok = ask(bare, turn, action="find", results=[{"ok": "True"}]).text
    assert ok == "Done, find: tracking number QQ77."
    shops = [{"id": "1", "shop": "Spar", "status": "open"}, {"id": "2", "shop": "Co-op"}]
    turns = [user("in leith", "collect", area="leith"), system("I found 2.", "shops", *shops)]
    asked = user("open?", "collect", ["status"], area="leith")
    assert ask(bare, *turns, asked).text == "Here you are: shop Spar, status open; shop Co-op."


def test_the_schema_offers_listed_values_and_asks_yes_or_no():
    slots = (
        Slot("window", "Part of the day", ("morning", "evening")),
        Slot("gift", "Whether to wrap it", ("True", "False")),
    )
    schema = Schema("gifts", "", slots, (Intent("wrap", "Wrap it", ("window", "gift")),))
    generator = RetrievalGenerator(schema, (), embed)
    assert ask(generator, user("hi", "wrap")).text == (
        "Could you tell me the window (part of the day)? You can choose morning or evening."
    )
    assert ask(generator, user("hi", "wrap", window="evening")).text == (
        "Gift, yes or no? (Whether to wrap it)"
    )


def test_a_schema_without_intents_still_answers():
    generator = RetrievalGenerator(Schema("nothing"), (), embed)
    assert ask(generator, user("hello")).text == "What can I do for you?"
    assert ask(generator, user("hello", "unheard_of", colour="red")).text == (
        "To unheard of: colour red. Shall I go ahead?"
    )


def test_what_no_messenger_takes_is_not_said():
    """A reply of 64 KiB would hold all others up while it is compared with all that is known."""
    hello = dialogue(90, user("hello there"), system("Hello, what can I do?"))
    long = dialogue(91, user("hello there"), system("3 " * 32_000))
    begun = time.process_time()
    generator = RetrievalGenerator(SCHEMA, (hello, long), embed)
    assert ask(generator, user("hello there")).source == "d90#1"
    assert time.process_time() - begun < 10
    assert ask(RetrievalGenerator(SCHEMA, (long,), embed), user("hello there")).source == "schema"
    longest = dialogue(92, user("hello there"), system("Hello! " * 585))
    assert ask(RetrievalGenerator(SCHEMA, (longest,), embed), user("hello there")).source == "d92#1"

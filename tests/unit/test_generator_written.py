"""What a language model wrote, read as a template."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

import pytest

from rasa_onramp.dialogue import DONTCARE, Schema, Slot
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.generator.situation import Situation, situate
from rasa_onramp.generator.templates import Placeholder, Template, fill
from rasa_onramp.generator.written import forms_of, template_of
from tiny_replies import dialogue, system, user

SCHEMA = Schema(
    "shops", "Shops", slots=(Slot("shop"), Slot("area"), Slot("line_2"), Slot("line"), Slot("day"))
)
ROWS = ({"shop": "Spar", "line_2": "Leith"}, {"shop": "Co-op", "line_2": "Gorgie"})


def situation(
    rows: Sequence[Dict[str, Any]] = (), action: Optional[str] = None, **values: str
) -> Situation:
    turn = user("hi", "look", **values)
    return situate(SCHEMA, [turn], turn.state, rows, action)


def read(text: str, now: Situation, **forms: str) -> Optional[Template]:
    return template_of(text, SCHEMA, now, forms)


def filled(text: str, now: Situation, **forms: str) -> Optional[str]:
    template = read(text, now, **forms)
    return None if template is None else fill(template, now.state.values, now.rows)


def test_placeholders_are_looked_up() -> None:
    found = situation(ROWS, "search", area="leith", day="friday")
    text = "I found {results_count}: {shop} and {shop_2} in {area} on {day}."
    template = read(text, found, day="verbatim|title", shop="verbatim")
    assert template is not None
    assert template.parts == (
        "I found ",
        Placeholder("results_count", "told", "count"),
        ": ",
        Placeholder("shop", "verbatim", "results"),
        " and ",
        Placeholder("shop", "verbatim", "results", 1),
        " in ",
        Placeholder("area", "told", "state"),
        " on ",
        Placeholder("day", "verbatim|title", "state"),
        ".",
    )
    assert template.text == text
    assert filled(text, found) == "I found 2: Spar and Co-op in leith on friday."


def test_nothing_is_told_of_the_first_row_while_the_talk_is_about_the_second() -> None:
    rows = ({"shop": "Spar", "day": "friday"}, {"shop": "Co-op", "day": "friday"})
    turns = [
        user("shops in leith", "look", area="leith"),
        system("There are two.", "search", *rows),
        user("the co-op", "look", area="leith", shop="Co-op"),
    ]
    now = situate(SCHEMA, turns, turns[-1].state)
    assert now.row == 1
    assert filled("{shop}, on {day}", now) == "Co-op, on friday"  # the same of both
    other = situate(SCHEMA, [*turns[:2], user("the second", "look", area="leith", line="1")], None)
    assert other.row is None
    assert filled("{shop_2}, not {shop}", other) == "Co-op, not Spar"
    rows = ({"shop": "Spar", "day": "friday"}, {"shop": "Co-op", "day": "monday"})
    turns[1] = system("There are two.", "search", *rows)
    now = situate(SCHEMA, turns, turns[-1].state)
    assert filled("{shop}, on {day}", now) is None
    assert filled("{shop}, on {day_2}", now) == "Co-op, on monday"


def test_nothing_is_told_of_the_second_row_while_the_talk_is_about_the_third() -> None:
    shops = [("Spar", "monday"), ("Co-op", "friday"), ("Aldi", "friday"), ("Lidl", "sunday")]
    rows = [{"shop": shop, "day": day} for shop, day in shops]
    turns = [
        user("shops in leith", "look"),
        system("There are some.", "search", *rows),
        user("on which day is aldi open?", "look", shop="Aldi"),
    ]
    now = situate(SCHEMA, turns, turns[-1].state)
    assert now.row == 2
    assert filled("{shop_2} on {day_2}", now) is None
    assert filled("On {day_2}", now) == "On friday"  # the same of both
    assert filled("On {day_3}, and {shop_4} on {day_4}", now) == "On friday, and Lidl on sunday"
    found = situate(SCHEMA, [turns[0], turns[2]], turns[2].state, rows, "search")
    assert filled("{shop} and {shop_2}", found) == "Spar and Co-op"  # they have just come in


def test_what_is_asked_of_several_rows_is_told_of_each() -> None:
    rows = ({"shop": "Spar", "day": "friday"}, {"shop": "Co-op", "day": "monday"})
    for said in ("There are two.", "There is Spar, and Co-op."):
        turns = [
            user("shops in leith", "look", area="leith"),
            system(said, "search", *rows),
            user("on which days?", "look", ["day"], area="leith"),
        ]
        now = situate(SCHEMA, turns, turns[-1].state)
        assert filled("{shop_2} on {day_2}", now) is filled("On {day}.", now) is None
        told = filled("{shop} on {day}, {shop_2} on {day_2}", now)
        assert told == "Spar on friday, Co-op on monday"
    one = user("on which day is it?", "look", ["day"], area="leith", shop="Co-op")
    assert filled("On {day_2}.", situate(SCHEMA, [*turns[:2], one], one.state)) == "On monday."


def test_text_without_placeholders_is_itself() -> None:
    template = read("Goodbye!", situation())
    assert template == Template(("Goodbye!",))
    template = read("{shop}", situation(shop="Spar"))
    assert template is not None and template.parts == (Placeholder("shop", "told", "state"),)


def test_a_slots_own_number_is_not_a_row() -> None:
    found = situation(ROWS, "search")
    assert filled("{line_2}", found) == "Leith"
    assert filled("{line_2_2}", found) == "Gorgie"
    # the first row has no number, and there is no row before it
    for text in ("{shop_1}", "{shop_0}", "{shop_}", "{shop_-2}", "{shop_x}", "{_2}"):
        assert read(text, found) is None, text
    assert filled("{shop_3}", found) is None


def test_what_a_row_holds_beyond_the_schema_is_not_told() -> None:
    found = situation([{"shop": "Spar", "phone": "0131"}, {"phone": "0141"}], "search")
    assert read("Call {phone}.", found) is None and read("Call {phone_2}.", found) is None
    assert filled("Call {shop}.", found) == "Call Spar."
    assert found.rows == ({"shop": "Spar"}, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{price}",
        "{}",
        "{ shop }",
        "{Shop}",
        "It's {shop",
        "It's shop}",
        "{{shop}}",
        "{shop} }",
        "{shop} and {pr{shop}ice}",
        "{shop.name}",
        "{results_count_2}",
    ],
)
def test_what_is_no_template_is_refused(text: str) -> None:
    assert read(text, situation(ROWS, "search", shop="Aldi")) is None


@pytest.mark.parametrize(
    ("rows", "action", "values", "text", "wanted"),
    [
        # results that have just come in
        (ROWS, "search", {"shop": "Aldi"}, "{shop}", "Spar"),
        # later, what the user chose
        (ROWS, None, {"shop": "Aldi"}, "{shop}", "Aldi"),
        (ROWS, None, {}, "{shop}", "Spar"),
        # another row than the first is meant
        (ROWS, None, {"shop": "Aldi"}, "{shop_2}", "Co-op"),
        # the results don't say
        (({"line": "a"},), "search", {"shop": "Aldi"}, "{shop}", "Aldi"),
        (({"shop": None},), "search", {"shop": "Aldi"}, "{shop}", "Aldi"),
        (({"shop": " "},), "search", {"shop": "Aldi"}, "{shop}", "Aldi"),
        # nobody says
        (ROWS, "search", {}, "{day}", None),
        (ROWS, "search", {"day": DONTCARE}, "{day}", None),
        ((), None, {}, "{shop}", None),
    ],
)
def test_where_a_value_comes_from(
    rows: Sequence[Dict[str, Any]],
    action: Optional[str],
    values: Dict[str, str],
    text: str,
    wanted: Optional[str],
) -> None:
    assert filled(text, situation(rows, action, **values)) == wanted


@pytest.mark.parametrize(("count", "wanted"), [(0, None), (1, None), (2, "2 here"), (3, "3 here")])
def test_only_several_rows_are_counted(count: int, wanted: Optional[str]) -> None:
    found = situation([{"shop": f"s{number}"} for number in range(count)], "search")
    assert filled("{results_count} here", found) == wanted


def test_braces_in_a_value_are_left_alone() -> None:
    assert filled("{shop}!", situation(shop="{area}", area="leith")) == "{area}!"


def test_forms_are_those_mostly_seen() -> None:
    days = [("friday", "Friday."), ("monday", "monday"), ("sunday", "It's Sunday!")]
    some = [
        dialogue(f"d{number}", user(f"on {day}", "look", day=day), system(text))
        for number, (day, text) in enumerate(days)
    ]
    replies = support_replies(SCHEMA, some)
    forms = forms_of(replies)
    assert set(forms) == {"day"}
    assert filled("See you {day}.", situation(day="tuesday"), **forms) == "See you Tuesday."
    assert forms_of(replies[1:2]) == {"day": "verbatim"}
    assert forms_of([]) == {}

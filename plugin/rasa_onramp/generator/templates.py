"""Templates: replies with Rasa's placeholders where values stood, and filling them again.

A placeholder remembers the form in which its value stood ("17:00" as "5 pm", "friday" as "Friday"),
so that filling a template with the values that it was made from gives the text back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Dict, FrozenSet, Mapping, Optional, Sequence, Tuple, Union

from rasa_onramp.generator.forms import VERBATIM, WEAK_FORMS, form_of, render
from rasa_onramp.generator.sameness import may_be_same
from rasa_onramp.generator.spotting import Values, plain_values

__all__ = ["COUNT", "Placeholder", "Template", "fill", "value_of"]

#: The placeholder for the number of result rows ("I found {results_count} shops").
COUNT = "results_count"


@dataclass(frozen=True)
class Placeholder:
    """Where a value goes.

    `origin` says where it may come from: "state", "results", "either", "count", or "own" for what
    the bot stated although neither held it. `row` is the result row, counted from 0. `rivals` are
    slots that held the same value, so that the text may have meant any of them. `shared` are the
    other rows that held it in the same slot, so that the text may have said it of them, too.
    """

    slot: str
    form: str = VERBATIM
    origin: str = "either"
    row: int = 0
    rivals: Tuple[str, ...] = ()
    shared: Tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The name in Rasa's braces: the slot, with the row's number from the second row on."""
        return f"{self.slot}_{self.row + 1}" if self.row else self.slot


@dataclass(frozen=True)
class Template:
    """A delexicalised reply: literal text and placeholders as they follow each other.

    `surfaces` are the texts that stood where the placeholders are.
    """

    parts: Tuple[Union[str, Placeholder], ...]
    surfaces: Tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """The template as Rasa writes it: "It is {status}"."""
        return "".join(part if isinstance(part, str) else f"{{{part.name}}}" for part in self.parts)

    @property
    def original(self) -> str:
        """The text that the template was made from."""
        surfaces = iter(self.surfaces)
        return "".join(part if isinstance(part, str) else next(surfaces) for part in self.parts)

    @cached_property
    def placeholders(self) -> Tuple[Placeholder, ...]:
        """The placeholders in their order."""
        return tuple(part for part in self.parts if isinstance(part, Placeholder))

    @property
    def slots(self) -> Tuple[str, ...]:
        """The slots of the placeholders in their order."""
        return tuple(placeholder.slot for placeholder in self.placeholders)

    def rows_of(self, slot: str) -> FrozenSet[int]:
        """The result rows of which it states a slot."""
        return frozenset(
            each.row
            for each in self.placeholders
            if each.slot == slot and each.origin in ("results", "either")
        )

    @property
    def literals(self) -> Tuple[str, ...]:
        """The text between the placeholders."""
        return tuple(part for part in self.parts if isinstance(part, str))


def fill(
    template: Template,
    values: Values,
    results: Sequence[Mapping[str, Any]] = (),
    first_row: int = 0,
) -> Optional[str]:
    """The template with its placeholders filled from `values` and `results`, or None if it can't.

    A placeholder takes its value from where it stood when the template was made, and can't be
    filled if its rivals now hold another. A text that sets a slot's result against its state can't
    be filled where they may agree, one that states once what several rows share can't where they no
    longer do, and "any will do" can't be stated. `first_row` is added to the rows. Braces in a
    value are left as they are.
    """
    if _parted(template, results, first_row):
        return None
    filled = []
    stated: Dict[Tuple[str, str], str] = {}
    for part in template.parts:
        if isinstance(part, str):
            filled.append(part)
            continue
        value = value_of(part, values, results, first_row)
        if value is None:
            return None
        filled.append(value)
        stated[part.slot, part.origin] = value
    for (slot, origin), value in stated.items():
        told = stated.get((slot, "results"))
        if origin == "state" and told is not None and may_be_same(told, value):
            return None
    return "".join(filled)


def value_of(
    placeholder: Placeholder,
    values: Values,
    results: Sequence[Mapping[str, Any]] = (),
    first_row: int = 0,
) -> Optional[str]:
    """What `fill` puts in a placeholder's place, None if it can't."""
    spellings, clock24 = _held(placeholder, values, results, first_row)
    if not spellings:
        return None
    told = render(spellings[0], placeholder.form, clock24)
    for slot in placeholder.rivals:
        rival = replace(placeholder, slot=slot)
        # The rival may have held its value in the other place: the state, or the results.
        places = (
            _held(each, values, results, first_row)
            for each in (rival, replace(rival, origin="either"))
        )
        if not any(_says(told, placeholder.form, *place) for place in places):
            return None
    return told


def _parted(template: Template, results: Sequence[Mapping[str, Any]], first_row: int) -> bool:
    """Whether the text states a value once for several rows that it speaks of, and they differ now:
    "On {day} there is {shop}, or {shop_2}.".
    """
    of_rows = [each for each in template.placeholders if each.origin in ("results", "either")]
    spoken = {each.row for each in of_rows}
    told = {(each.slot, each.row) for each in of_rows}

    def value(slot: str, row: int) -> str:
        held = results[row + first_row].get(slot) if 0 <= row + first_row < len(results) else None
        return "" if held is None else str(held).casefold()

    return any(
        value(each.slot, each.row) != value(each.slot, row)
        for each in of_rows
        for row in each.shared
        if row in spoken and (each.slot, row) not in told
    )


def _held(
    placeholder: Placeholder, values: Values, results: Sequence[Mapping[str, Any]], first_row: int
) -> Tuple[Tuple[str, ...], bool]:
    """The spellings of a placeholder's value, and whether its times are on the 24-hour clock."""
    if placeholder.origin == "count":
        # One row or none is never counted in words that fit several.
        return (str(len(results)),) if len(results) > 1 else (), False
    row = placeholder.row + first_row
    if placeholder.origin in ("results", "either") and 0 <= row < len(results):
        value = results[row].get(placeholder.slot)
        told = plain_values(None if value is None else str(value))
        if told:
            return told, True
    if placeholder.origin in ("state", "either"):
        return plain_values(values.get(placeholder.slot)), False
    return (), False


def _says(told: str, form: str, spellings: Sequence[str], clock24: bool) -> bool:
    """Whether a text says a value of these spellings: in `form`, or in another that makes no more
    of it, as "$2" and "2nd" do of 2.
    """
    for value in spellings:
        other = (form_of(told, value, clock24) or "").partition("|")[0]
        makes_more = other in WEAK_FORMS or other.startswith("money.")
        if told == render(value, form, clock24) or (other and not makes_more):
            return True
    return False

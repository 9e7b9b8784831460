"""A turn of a terminal chat as text: what was understood, and how sure the tracker is."""

from __future__ import annotations

from typing import Iterator, List, Mapping, Optional, Sequence

from rasa_onramp.dialogue import State
from rasa_onramp.runtime.understanding import Understanding

__all__ = ["call_line", "rows_line", "state_lines", "understanding_lines"]


def understanding_lines(understood: Understanding) -> Iterator[str]:
    """The domain, intent, slots and requested slots of a message, a line each."""
    if understood.domain is None:
        yield f"domain  none (best score {understood.route.score:.2f}): out of scope"
        return
    version = f"version {understood.version}" if understood.version else "not adapted"
    yield f"domain  {understood.domain}  {understood.route.score:.2f}  ({version})"
    if not understood.in_scope:
        yield "scope   says nothing to this domain"
    yield from state_lines(
        understood.state,
        intent_confidence=understood.intent_confidence,
        slot_confidence=understood.slot_confidence,
        changes=understood.changes,
    )


def state_lines(
    state: State,
    *,
    intent_confidence: Optional[float] = None,
    slot_confidence: Optional[Mapping[str, float]] = None,
    changes: Optional[Mapping[str, Sequence[str]]] = None,
) -> Iterator[str]:
    """A state, a line for each thing in it; changed slots are marked with *."""
    sure = f"  {intent_confidence:.2f}" if intent_confidence is not None else ""
    yield f"intent  {state.active_intent or 'none'}{sure}"
    lines: List[str] = []
    confidence: Mapping[str, float] = slot_confidence or {}
    for slot, values in state.values.items():
        mark = "*" if changes and slot in changes else " "
        sure = f"  {confidence[slot]:.2f}" if slot in confidence else ""
        lines.append(f"{mark} {slot} = {values[0] if values else ''}{sure}")
    cleared = [slot for slot, values in (changes or {}).items() if not values]
    lines += [f"* {slot} cleared" for slot in cleared]
    for number, line in enumerate(lines or ["  nothing yet"]):
        yield f"{'slots' if number == 0 else '':<6}{line}"
    if state.requested_slots:
        yield f"asks    {', '.join(state.requested_slots)}"


def call_line(action: str, parameters: Mapping[str, str]) -> str:
    """An API call on one line."""
    given = ", ".join(f"{name}={value}" for name, value in parameters.items())
    return f"call    {action}({given})"


def rows_line(rows: Optional[Sequence[Mapping[str, str]]]) -> str:
    """The rows that a call answered with, on one line; None if it failed."""
    if rows is None:
        return "rows    the call failed"
    if not rows:
        return "rows    none found"
    texts = [", ".join(f"{name}={value}" for name, value in row.items()) for row in rows]
    return f"rows    {' | '.join(texts)}"

"""Who answers API calls in a terminal chat: the user, the support dialogues, or an endpoint."""

from __future__ import annotations

import json
import re
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import click

from rasa_onramp.actions.answer import answer_now
from rasa_onramp.actions.calls import ActionFailed, Call, as_rows
from rasa_onramp.dialogue import Action
from rasa_onramp.store import Store

__all__ = ["ANSWERERS", "Answerer", "answerer", "parse_row"]

Row = Mapping[str, str]
#: Answers a call: its rows, or None if it failed.
Answerer = Callable[[Call], Optional[Sequence[Row]]]
#: Shows a prompt and reads a line of the user's; None at the end of the input.
ReadLine = Callable[[str], Optional[str]]

ANSWERERS = ("ask", "support", "url")

_PAIR = re.compile(r"(?:^|,)\s*([\w-]+)\s*=")


def answerer(kind: str, store: Store, read_line: ReadLine) -> Answerer:
    """The answerer called `kind`, one of ANSWERERS."""
    if kind == "url":
        return _from_url
    if kind == "support":
        return lambda call: _from_support(store, call)
    return lambda call: _from_user(store.dialogues.schema(call.domain).action(call.name), read_line)


def parse_row(text: str, allowed: Sequence[str]) -> Dict[str, str]:
    """A result row from `slot=value, slot=value` (a value may hold commas) or a JSON object.

    Raises ValueError with a line for the user.
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            rows = as_rows(json.loads(text))
        except (ValueError, ActionFailed) as error:
            raise ValueError(f"not a JSON object of slot: value ({error})") from None
        row = rows[0] if rows else {}
    else:
        found = list(_PAIR.finditer(text))
        if not found or found[0].start() > 0:
            raise ValueError("write a row as slot=value, slot=value")
        ends = [pair.start() for pair in found[1:]] + [len(text)]
        row = {pair[1]: text[pair.end() : end].strip() for pair, end in zip(found, ends)}
    unknown = [name for name in row if name not in allowed]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no result of this call: {', '.join(allowed)}")
    return {name: value for name, value in row.items() if value}


def _from_user(action: Action, read_line: ReadLine) -> Optional[Sequence[Row]]:
    click.echo(f"  What does it answer? A row a line, of {', '.join(action.result_slots)}, as")
    click.echo("  slot=value, slot=value. An empty line ends; ! means that the call failed.")
    rows: List[Row] = []
    while True:
        line = read_line("row> ")
        if line is None or not line.strip():
            return rows
        if line.strip() == "!":
            return None
        try:
            rows.append(parse_row(line, action.result_slots))
        except ValueError as error:
            click.echo(f"  {error}")


def _from_support(store: Store, call: Call) -> Optional[Sequence[Row]]:
    """The rows of the support dialogues' most similar call of this action; None without any."""
    best: Tuple[int, Optional[Sequence[Row]]] = (-1, None)
    for dialogue in store.dialogues.dialogues(call.domain, "support"):
        for turn in dialogue.turns:
            if turn.action != call.name:
                continue
            same = len(set(turn.parameters.items()) & set(call.parameters.items()))
            # of calls that are equally alike, one with rows shows more
            score = 2 * same + bool(turn.results)
            if score > best[0]:
                best = (score, turn.results)
    return best[1]


def _from_url(call: Call) -> Optional[Sequence[Row]]:
    try:
        return answer_now(call)
    except ActionFailed as error:
        click.echo(f"  failed: {error}")
        return None

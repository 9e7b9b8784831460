"""Who answers API calls in a terminal chat: the user, the support dialogues, or an endpoint."""

from __future__ import annotations

from typing import Callable, List, Mapping, Optional, Sequence

import click

from rasa_onramp.actions.answer import answer_now
from rasa_onramp.actions.calls import Call
from rasa_onramp.actions.support_rows import support_rows
from rasa_onramp.actions.written_rows import parse_rows
from rasa_onramp.errors import ActionFailed
from rasa_onramp.store import Store

__all__ = ["ANSWERERS", "Answerer", "answerer"]

Row = Mapping[str, str]
#: Answers a call: its rows, or None if it failed.
Answerer = Callable[[Call], Optional[Sequence[Row]]]
#: Shows a prompt and reads a line of the user's; None at the end of the input.
ReadLine = Callable[[str], Optional[str]]

ANSWERERS = ("ask", "support", "url")


def answerer(kind: str, store: Store, read_line: ReadLine) -> Answerer:
    """The answerer called `kind`, one of ANSWERERS."""
    if kind == "url":
        return _from_url
    if kind == "support":
        return lambda call: support_rows(store, call)
    return lambda call: _from_user(
        store.dialogues.schema(call.domain).results_of(call.name), read_line
    )


def _from_user(slots: Sequence[str], read_line: ReadLine) -> Optional[Sequence[Row]]:
    of = f", of {', '.join(slots)}," if slots else ""
    click.echo(f"  What does it answer? A row a line{of} as")
    click.echo("  slot=value, slot=value. An empty line ends; ! means that the call failed.")
    rows: List[Row] = []
    while True:
        line = read_line("row> ")
        if line is None or not line.strip():
            return rows
        if line.strip() == "!":
            return None
        try:
            rows.extend(parse_rows(line, slots))
        except ValueError as error:
            click.echo(f"  {error}")


def _from_url(call: Call) -> Optional[Sequence[Row]]:
    try:
        return answer_now(call)
    except ActionFailed as error:
        click.echo(f"  failed: {error}")
        return None

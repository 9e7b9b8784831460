"""Conversations in Rasa's tracker store: the rows of its table `events`, turned into dialogues.

Where the rows come from is the caller's affair; here they are read one by one, and no more than one
session of a conversation is kept in memory.

A session starts where Rasa says so (`session_started`), and after `restart`. What Rasa undid
(`rewind`, `undo`) is left out, as it is in Rasa. That a form's questions are left out of what
policies learn from isn't followed: they were asked and answered.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
)

from rasa_onramp.dialogue import Dialogue, Schema, Turn
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.jsontext import parse_json
from rasa_onramp.formats.rasa_parts import Button, Entity
from rasa_onramp.formats.rasa_payload import replied_in, understood_in
from rasa_onramp.formats.rasa_turns import RasaTurns
from rasa_onramp.formats.shape import Misfit, get, optional, shape
from rasa_onramp.rasa_names import KEY

__all__ = ["Event", "Row", "Skip", "applied", "read_conversation"]

#: Digits of a sender's digest in a dialogue's id. The id turns up in other people's conversations,
#: as the source of a reply, and the sender's may be a telephone number: of so few digits, who tries
#: all numbers finds hundreds. What tells dialogues apart is the row.
_DIGITS = 6

#: A row of the table `events`: its id, the event's type, and the event as JSON.
Row = Tuple[int, str, Optional[str]]

#: Told what is wrong with a session that is left out.
Skip = Callable[[FormatError], None]


class _Row(NamedTuple):
    id: int
    kind: str
    data: Optional[str]


class Event(NamedTuple):
    """An event, and the row that it was read from."""

    row: _Row
    data: Dict[str, Any]


def read_conversation(
    sender: str,
    rows: Iterable[Row],
    schema: Schema,
    where: str,
    skip: Optional[Skip] = None,
    prefix: str = "",
    known: Collection[str] = (),
) -> Iterator[Dialogue]:
    """The sessions of one conversation as dialogues of `schema`'s domain, in the rows' order.

    A dialogue's id is `prefix`, a digest of the sender's id and the id of its first row. One that
    is among the `known` ids by the sender's id itself, as it was before, keeps that. Sessions in
    which the user says nothing are passed over. `where` names the store in errors. With `skip`, a
    session that can't be read is left out and `skip` told why. Raises FormatError, which names the
    row.
    """
    digest = hashlib.sha256(sender.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    for session in _sessions(_Row(*row) for row in rows):
        try:
            events = applied(_events_of(session))
            turns = _turns(events, schema)
        except _Unreadable as error:
            message = f"row {error.row.id} of table events: {error.message}"
            problem = FormatError(message, path=where, mend=error.mend)
            if skip is None:
                raise problem from error
            skip(problem)
            continue
        if turns:
            former = f"{prefix}{sender}/{session[0].id}"
            name = former if former in known else f"{prefix}{digest}/{session[0].id}"
            yield Dialogue(name, schema.name, turns)


class _Unreadable(Exception):
    def __init__(self, row: _Row, message: str, mend: str):
        super().__init__(message)
        self.row, self.message, self.mend = row, message, mend


def _sessions(rows: Iterable[_Row]) -> Iterator[List[_Row]]:
    session: List[_Row] = []
    for row in rows:
        if row.kind == "session_started" and session:
            yield session
            session = []
        session.append(row)
        if row.kind == "restart":
            yield session
            session = []
    if session:
        yield session


def _events_of(rows: Iterable[Row]) -> Iterator[Event]:
    return (_event(_Row(*row)) for row in rows)


def _event(row: _Row) -> Event:
    mend = "mend the row, delete it, or leave its session out with --skip-bad"
    try:
        if not isinstance(row.data, str) or not row.data.strip():
            raise _Unreadable(row, f"the {row.kind} event holds no data", mend)
        data = parse_json(row.data, Path("events"))
    except FormatError as error:
        raise _Unreadable(row, f"the {row.kind} event's data isn't valid JSON", mend) from error
    if not isinstance(data, dict):
        raise _Unreadable(row, f"the {row.kind} event's data is no JSON object", mend)
    return Event(row, data)


def applied(events: Iterable[Event]) -> List[Event]:
    """What is left of a session's events after all that was undone, by Rasa's rules."""
    left: List[Event] = []
    for event in events:
        if event.row.kind == "undo":
            _drop_back_to("action", left)
        elif event.row.kind == "rewind":
            _drop_back_to("user", left)
            _drop_back_to("action", left)  # what waited for the message
        else:
            left.append(event)
    return left


def _drop_back_to(kind: str, events: List[Event]) -> None:
    while events and events.pop().row.kind != kind:
        pass


def _turns(events: List[Event], schema: Schema) -> Tuple[Turn, ...]:
    names = (event.data.get("name") for event in events if event.row.kind == "slot")
    made = RasaTurns(schema, frozenset(name for name in names if isinstance(name, str)))
    for event in events:
        try:
            _add(event, made, schema)
        except Misfit as error:
            where = "".join(f"[{key!r}]" for key in error.keys)
            message = f"the {event.row.kind} event{' at ' + where if where else ''}: "
            mend = f"{error.mend}, or leave its session out with --skip-bad"
            raise _Unreadable(event.row, message + error.message, mend) from error
    return made.turns()


def _add(event: Event, made: RasaTurns, schema: Schema) -> None:
    kind, data = event.row.kind, event.data
    if kind == "user":
        text = optional(data, "text", str)
        parsed = optional(data, "parse_data", dict) or {}
        intent = optional(optional(parsed, "intent", dict) or {}, "name", str)
        entities = [_entity(item) for item in optional(parsed, "entities", list) or ()]
        external = (optional(data, "metadata", dict) or {}).get("is_external")
        understood = understood_in(parsed.get(KEY), schema)
        if understood is None:
            made.user(None if external else text, intent, entities)
        else:  # its entities are the state's
            made.user(text, None, ())
            made.understood(understood)
    elif kind == "slot":
        made.slot(get(data, "name", str, ()), data.get("value"))
    elif kind == "reset_slots":
        made.reset()
    elif kind == "action":
        # an end-to-end bot's action may be a text without a name
        made.action(optional(data, "name", str) or "")
    elif kind == "bot":
        more = optional(data, "data", dict) or {}
        text = optional(data, "text", str)
        replied = replied_in(data.get("metadata"), schema)
        if replied is not None and text is not None:
            made.replied(text, replied)
        else:
            made.bot(text, list(_buttons(more.get("buttons"))))


def _entity(item: Any) -> Entity:
    raw = shape(item, dict, "an entity", ())
    return Entity(
        name=get(raw, "entity", str, ()),
        value=raw.get("value"),
        start=optional(raw, "start", int),
        end=optional(raw, "end", int),
        role=optional(raw, "role", str),
    )


def _buttons(raw: Any) -> Iterator[Button]:
    """The buttons that have a title and a payload; channels know others too."""
    for item in raw if isinstance(raw, list) else ():
        title, payload = (
            (item.get("title"), item.get("payload")) if isinstance(item, dict) else (None, None)
        )
        if isinstance(title, str) and isinstance(payload, str):
            yield Button(title, payload)

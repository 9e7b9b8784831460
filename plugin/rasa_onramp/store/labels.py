"""What people made of dialogues: whole dialogues with corrected states, and what was guessed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Mapping, Optional, Tuple

import sqlalchemy as sa

from rasa_onramp.dialogue import Dialogue, State
from rasa_onramp.errors import StoreError
from rasa_onramp.store import tables
from rasa_onramp.store.checks import check_dialogue, check_state
from rasa_onramp.store.database import Database
from rasa_onramp.store.digest import dialogue_digest
from rasa_onramp.store.rows import read_dialogues, read_schema, require_domain, write_dialogues
from rasa_onramp.store.serialise import state_from_json, state_to_json

__all__ = ["Label", "LabelStore"]


@dataclass(frozen=True)
class Label:
    """A user turn that a person labelled: its dialogue and place in it, what the tracker guessed
    (with adapter `version`; None: without one), and the state that it has now.
    """

    dialogue: str
    position: int
    guess: State
    state: Optional[State]
    version: Optional[int]

    @property
    def corrected(self) -> bool:
        """Whether the person said otherwise than the tracker."""
        return self.state != self.guess


class LabelStore:
    """The labels in the database."""

    def __init__(self, database: Database):
        self._database = database

    def save(
        self,
        before: Dialogue,
        after: Dialogue,
        guesses: Mapping[int, State],
        version: Optional[int] = None,
    ) -> None:
        """Store `after` in place of `before`, and that a person labelled it: all or nothing.

        `guesses` are the tracker's, by the turn's place. Raises StoreError if the store's dialogue
        isn't `before` any more, or its schema lacks what was labelled; NotFound if its domain is
        gone, StoreUnavailable.
        """
        check_dialogue(after, (before.domain,), set())
        key = {"domain": before.domain, "id": before.id}
        now = datetime.now(timezone.utc)
        columns = tables.dialogues.c
        with self._database.writing() as connection:
            schema = read_schema(connection, before.domain)
            there = connection.execute(
                sa.select(columns.digest).where(
                    columns.domain == before.domain, columns.id == before.id
                )
            ).scalar()
            if there != dialogue_digest(before) or after.id != before.id:
                raise StoreError(
                    f"dialogue {before.id!r} of domain {before.domain!r} was changed or deleted "
                    "meanwhile; label it again as it is now"
                )
            for position in guesses:
                state = after.turns[position].state
                if state is not None:
                    where = f"turn {position + 1} of dialogue {before.id!r}, as it was labelled,"
                    check_state(state, schema, where, values=False)
            row = {"split": after.split, "digest": dialogue_digest(after), "updated_at": now}
            write_dialogues(connection, [], [(after, {**key, **row, "review": tables.LABELLED})])
            rows = [
                {
                    "domain": before.domain,
                    "dialogue": before.id,
                    "position": position,
                    "guess": state_to_json(guess),
                    "version": version,
                    "labelled_at": now,
                }
                for position, guess in guesses.items()
            ]
            if rows:
                connection.execute(sa.insert(tables.labels), rows)
            self._database.changed(connection, [before.domain])

    def of(self, domain: str) -> Tuple[Label, ...]:
        """All labels of `domain`, by dialogue and place. Raises NotFound, StoreError,
        StoreUnavailable.
        """
        labels = tables.labels.c
        with self._database.reading() as connection:
            require_domain(connection, domain)
            rows = connection.execute(
                sa.select(labels.dialogue, labels.position, labels.guess, labels.version)
                .where(labels.domain == domain)
                .order_by(labels.dialogue, labels.position)
            ).all()
            turns = {d.id: d.turns for d in read_dialogues(connection, domain)} if rows else {}
        return tuple(
            Label(
                row.dialogue,
                row.position,
                state_from_json(row.guess, f"label {row.position} of dialogue {row.dialogue!r}"),
                turns[row.dialogue][row.position].state,
                row.version,
            )
            for row in rows
        )

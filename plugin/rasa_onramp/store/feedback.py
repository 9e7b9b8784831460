"""What people say of the bot's replies: thumbs, and how a reply or a state should have been."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, Optional, Set, Tuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rasa_onramp.dialogue import LONGEST_REPLY, State, Turn
from rasa_onramp.errors import NotFound, StoreError
from rasa_onramp.store import tables
from rasa_onramp.store.checks import check_state, check_text
from rasa_onramp.store.database import Database
from rasa_onramp.store.digest import bytes_digest, canonical_json
from rasa_onramp.store.leases import start_over
from rasa_onramp.store.rows import forget_embeddings, read_schema, require_domain
from rasa_onramp.store.serialise import (
    state_from_json,
    state_to_json,
    turn_from_json,
    turn_to_json,
)

__all__ = ["THUMBS", "Feedback", "FeedbackStore", "read_feedback"]

THUMBS = ("up", "down")

#: A value that is marked as dialogue files have it; its slot.
_MARK = re.compile(r"\]\(([^()]*)\)")


@dataclass(frozen=True)
class Feedback:
    """Feedback on one reply of a domain.

    `history` is the conversation as the domain knows it, up to the message that was answered; user
    turns carry their states. `reply` is what the bot said, `template` the same with placeholders
    for values. `corrected_state` is the whole state that the message should have left. `created_at`
    is set by the store.
    """

    domain: str
    reply: Turn
    history: Tuple[Turn, ...] = ()
    conversation: str = ""
    template: str = ""
    thumb: Optional[str] = None
    corrected_reply: Optional[str] = None
    corrected_state: Optional[State] = None
    created_at: Optional[datetime] = None

    @property
    def id(self) -> str:
        """The same for all feedback on the same reply in the same conversation."""
        said = [turn.text for turn in (*self.history, self.reply)]
        return bytes_digest(canonical_json([self.conversation, said]).encode("ascii"))[:12]

    @property
    def corrects(self) -> bool:
        """Whether it says how something should have been."""
        return self.corrected_reply is not None or self.corrected_state is not None


class FeedbackStore:
    """The feedback in the database."""

    def __init__(self, database: Database):
        self._database = database

    def add(self, feedback: Feedback, *, brief: bool = False) -> str:
        """Store feedback; the same person's or another's on the same reply before is replaced.
        Other writers are waited for as `Database.writing` does.

        Returns its id. Raises StoreError for what says nothing, and for a correction that doesn't
        fit the domain's schema, or whose conversation doesn't; NotFound, StoreUnavailable.
        """
        row = _row(feedback)
        table = tables.feedback
        with self._database.writing(brief=brief) as connection:
            schema = read_schema(connection, feedback.domain)
            _refuse_marks(feedback, {slot.name for slot in schema.slots})
            if feedback.corrected_state is not None:
                where = f"the corrected state of the feedback on {feedback.domain!r}"
                check_state(feedback.corrected_state, schema, where)
            for turn in feedback.history if feedback.corrects else ():
                if turn.state is not None:  # what the schema lacks would be learned as unsaid
                    check_state(turn.state, schema, _before(feedback), values=False)
            same = sa.and_(table.c.domain == feedback.domain, table.c.id == feedback.id)
            before = connection.execute(sa.select(table.c.digest).where(same)).scalar()
            connection.execute(sa.delete(table).where(same))
            connection.execute(sa.insert(table).values(**row))
            if before != row["digest"]:
                self._database.changed(connection, [feedback.domain])
        return feedback.id

    def list(self, domain: str) -> Tuple[Feedback, ...]:
        """The feedback on a domain, oldest first. Raises NotFound, StoreError, StoreUnavailable."""
        with self._database.reading() as connection:
            require_domain(connection, domain)
            return read_feedback(connection, domain)

    def count(self, domain: str) -> int:
        """How much feedback there is on a domain, readable or not. Raises NotFound,
        StoreUnavailable.
        """
        table = tables.feedback
        query = sa.select(sa.func.count()).select_from(table).where(table.c.domain == domain)
        with self._database.reading() as connection:
            require_domain(connection, domain)
            return int(connection.execute(query).scalar_one())

    def remove(self, domain: str, id: str, *, brief: bool = False) -> None:
        """Delete the feedback of this id; where something was learned from it, a job that runs
        starts over. Other writers are waited for as in `add`. Raises NotFound, StoreUnavailable.
        """
        table = tables.feedback
        same = sa.and_(table.c.domain == domain, table.c.id == id)
        with self._database.writing(brief=brief) as connection:
            require_domain(connection, domain)
            row = connection.execute(sa.select(table.c.digest).where(same)).first()
            if row is None:
                raise NotFound(
                    f"domain {domain!r} has no feedback {id!r}; `rasa-onramp feedback list "
                    f"{domain}` shows the ids"
                )
            connection.execute(sa.delete(table).where(same))
            if row.digest is not None:
                forget_embeddings(connection, domain)
                start_over(connection, domain)
                self._database.changed(connection, [domain])


def read_feedback(
    connection: Connection, domain: str, *, learned: bool = False
) -> Tuple[Feedback, ...]:
    """The feedback on a domain, oldest first, inside a transaction that others opened; only what is
    `learned`, corrections and thumbs down, where that is all that is wanted.
    """
    columns = tables.feedback.c
    wanted = sa.select(tables.feedback).where(columns.domain == domain)
    if learned:
        wanted = wanted.where(columns.digest.isnot(None))
    rows = connection.execute(wanted.order_by(columns.created_at, columns.id))
    return tuple(map(_feedback, rows))


def _row(feedback: Feedback) -> Dict[str, Any]:
    where = f"the feedback on {feedback.domain!r}"
    if feedback.thumb is None and not feedback.corrects:
        raise StoreError(f"{where} says nothing; give a thumb, or a corrected reply or state")
    if feedback.thumb not in (None, *THUMBS):
        raise StoreError(f"{where} has thumb {feedback.thumb!r}; name one of {', '.join(THUMBS)}")
    if feedback.corrects and not (feedback.history and feedback.history[-1].is_user):
        raise StoreError(f"{where} corrects a reply to nothing; give the message it answered")
    for name, text in (("reply", feedback.reply.text), ("correction", feedback.corrected_reply)):
        if text is not None and not text.strip():
            raise StoreError(f"{where} has an empty {name}; give its text")
    if len(feedback.corrected_reply or "") > LONGEST_REPLY:
        raise StoreError(
            f"{where} has a correction of {len(feedback.corrected_reply or ''):,} characters; "
            f"give one of {LONGEST_REPLY:,} at most"
        )
    state = feedback.corrected_state
    content = {
        "domain": feedback.domain,
        "conversation": feedback.conversation,
        "history": [turn_to_json(turn) for turn in feedback.history],
        "reply": turn_to_json(feedback.reply),
        "template": feedback.template,
        "thumb": feedback.thumb,
        "corrected_reply": feedback.corrected_reply,
        "corrected_state": None if state is None else state_to_json(state),
    }
    check_text(content, where)
    counts = feedback.corrects or feedback.thumb == "down"
    digest = bytes_digest(canonical_json(content).encode("ascii")) if counts else None
    now = datetime.now(timezone.utc)
    return {**content, "id": feedback.id, "digest": digest, "created_at": now}


def _refuse_marks(feedback: Feedback, slots: Set[str]) -> None:
    """Raise StoreError for a corrected reply with values marked as in dialogue files: it is said as
    it stands.
    """
    for name in _MARK.findall(feedback.corrected_reply or ""):
        if name in slots:
            raise StoreError(
                f"the correction of the feedback on {feedback.domain!r} has a value marked "
                f"[…]({name}); write the reply as it is said"
            )


def _before(feedback: Feedback) -> str:
    return (
        f"the conversation before the feedback on {feedback.domain!r}, begun with another schema,"
    )


def _feedback(row: Any) -> Feedback:
    where = f"feedback {row.id!r} of domain {row.domain!r}"
    if not isinstance(row.history, list):
        raise StoreError(
            f"{where} has a history that isn't a list; delete it and give it again "
            f"(`rasa-onramp feedback remove {row.domain} {row.id}`)"
        )
    return Feedback(
        domain=row.domain,
        conversation=row.conversation,
        history=tuple(turn_from_json(turn, f"{where}, history,") for turn in row.history),
        reply=turn_from_json(row.reply, f"{where}, reply,"),
        template=row.template,
        thumb=row.thumb,
        corrected_reply=row.corrected_reply,
        corrected_state=None
        if row.corrected_state is None
        else state_from_json(row.corrected_state, f"{where}, corrected_state,"),
        created_at=row.created_at,
    )

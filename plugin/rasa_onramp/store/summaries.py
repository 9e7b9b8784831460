"""A domain at a glance, from what the tables have of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, NamedTuple, Optional

from rasa_onramp.store import tables
from rasa_onramp.store.digest import support_digest_of

__all__ = ["DomainSummary", "Member", "summary_of"]


@dataclass(frozen=True)
class DomainSummary:
    """A domain at a glance. `support_digest` is of its support set and feedback as they are now.
    Dialogues that wait for labels are neither support nor held out.

    `active_digest` and `active_reply_digest` are of the active version's two sets of weights: they
    tell it from one of the same number that a domain made anew has.
    """

    name: str
    description: str
    n_dialogues: int
    n_support: int
    n_held_out: int
    support_digest: str
    active_version: Optional[int] = None
    active_digest: Optional[str] = None
    active_support_digest: Optional[str] = None
    active_reply_digest: Optional[str] = None
    n_waiting: int = 0

    @property
    def stale(self) -> bool:
        """Whether schema, support set or feedback changed since the active version was made."""
        return self.active_version is not None and (
            self.active_support_digest != self.support_digest
        )


class Member(NamedTuple):
    """What counts of a dialogue."""

    split: Optional[str]
    digest: str
    review: Optional[str]


def summary_of(row: Any, members: List[Member], feedback: List[str]) -> DomainSummary:
    """The summary of a domain, from its row with its active version's, its dialogues, and the
    digests of its feedback.
    """
    ready = [member for member in members if member.review != tables.WAITING]
    # dialogues of no split are adapted on too
    support = [member.digest for member in ready if member.split != "held-out"]
    # a schema that can't be read is for who reads that domain to report: here it is one of many
    description = row.schema.get("description") if isinstance(row.schema, dict) else None
    return DomainSummary(
        name=row.name,
        description=description if isinstance(description, str) else "",
        n_dialogues=len(members),
        n_support=len(support),
        n_held_out=len(ready) - len(support),
        n_waiting=len(members) - len(ready),
        support_digest=support_digest_of(row.digest, support, feedback),
        active_version=row.version,
        active_digest=row.adapter_digest,
        active_support_digest=row.support_digest,
        active_reply_digest=row.reply_digest,
    )

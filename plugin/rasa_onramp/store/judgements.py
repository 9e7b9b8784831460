"""People's picks between two replies. They never change; a pair is picked once a judge."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Dict, Iterable, List, Tuple

import sqlalchemy as sa

from rasa_onramp.errors import StoreError
from rasa_onramp.store import tables
from rasa_onramp.store.checks import check_text
from rasa_onramp.store.database import Database

__all__ = ["WINNERS", "JudgementStore", "Pick", "Tally"]

WINNERS = ("method_a", "method_b", "tie")


@dataclass(frozen=True)
class Pick:
    """Which of two methods' replies a judge found better: `winner` is one of WINNERS.

    `pair` names the two replies, `judge` the person; empty for who gave no name.
    """

    pair: str
    service: str
    method_a: str
    method_b: str
    winner: str
    judge: str = ""


@dataclass(frozen=True)
class Tally:
    """How often `method` was found better than `against`, and worse, and neither."""

    method: str
    against: str
    wins: int
    losses: int
    ties: int


class JudgementStore:
    """The judgements in the database."""

    def __init__(self, database: Database):
        self._database = database

    def add(self, picks: Iterable[Pick]) -> int:
        """Store `picks`: all of them, or nothing if there is an error. Returns how many are new.

        One that the store has already stays untouched. Raises StoreError if a judge's pick on
        a pair differs from that judge's pick before, and StoreUnavailable.
        """
        given = list(picks)
        for pick in given:
            if pick.winner not in WINNERS or pick.method_a == pick.method_b:
                raise StoreError(
                    f"the pick on pair {pick.pair!r} has winner {pick.winner!r} between "
                    f"{pick.method_a!r} and {pick.method_b!r}; name two methods and one of "
                    f"{', '.join(WINNERS)}"
                )
            check_text(asdict(pick), f"the pick on pair {pick.pair!a} by judge {pick.judge!a}")
        table = tables.judgements
        now = datetime.now(timezone.utc)
        with self._database.writing() as connection:
            known: Dict[Tuple[str, str], Tuple[str, ...]] = {}
            for judge in {pick.judge for pick in given}:
                for row in connection.execute(sa.select(table).where(table.c.judge == judge)):
                    known[row.pair, judge] = (row.method_a, row.method_b, row.winner)
            new: List[dict] = []
            for pick in given:
                key, content = (pick.pair, pick.judge), (pick.method_a, pick.method_b, pick.winner)
                if key not in known:
                    known[key] = content
                    new.append({**asdict(pick), "created_at": now})
                elif known[key] != content:
                    raise StoreError(
                        f"judge {pick.judge!r} picked otherwise on pair {pick.pair!r} before, "
                        "and first picks count; if these are another person's, name the person"
                    )
            if new:
                connection.execute(sa.insert(table), new)
        return len(new)

    def tally(self) -> Tuple[Tally, ...]:
        """One row for every two methods that were compared, sorted. Raises StoreUnavailable."""
        columns = tables.judgements.c
        kind = (columns.method_a, columns.method_b, columns.winner)
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(*kind, sa.func.count()).group_by(*kind)).all()
        found: Dict[Tuple[str, str], List[int]] = {}
        for first, second, winner, count in rows:
            method, against = sorted((first, second))
            better = {"method_a": first, "method_b": second}.get(winner)
            place = 2 if better is None else 0 if better == method else 1
            found.setdefault((method, against), [0, 0, 0])[place] += count
        return tuple(Tally(*names, *counts) for names, counts in sorted(found.items()))

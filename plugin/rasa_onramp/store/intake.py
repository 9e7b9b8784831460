"""Taking dialogues in, from whatever yields them: compared by digest, written in batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Set,
    Tuple,
)

from sqlalchemy.engine import Connection

from rasa_onramp.dialogue import Dialogue
from rasa_onramp.store import tables
from rasa_onramp.store.checks import check_dialogue
from rasa_onramp.store.digest import dialogue_digest
from rasa_onramp.store.rows import Known, known_dialogues, write_dialogues

__all__ = ["ImportReport", "Intake", "Progress", "Taken", "checked", "take_in"]

#: Called with how many dialogues are done, and of how many, where that is known.
Progress = Callable[[int, Optional[int]], None]

_BATCH = 200  # dialogues in memory, and written in one go

_Row = Tuple[Dialogue, Dict[str, Any]]


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    `domains` are all the domains of the corpus, `updated` those of them that were in the store
    with another schema; `added`, `replaced`, `unchanged`, `kept` count dialogues. Those kept came
    with other content, but a person had labelled them. `waiting` counts those of the added and
    replaced that wait for labels.
    """

    domains: Tuple[str, ...]
    added: int
    replaced: int
    unchanged: int
    updated: Tuple[str, ...] = ()
    kept: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Intake:
    """How dialogues are taken in: which of them `wait` for labels (and aren't learned from until
    they have them), and whether those that a person labelled are replaced too. Schemas that are
    `schemas_known` are the store's own, and have to be still. A `dry_run` only finds out what would
    be done.
    """

    waits: Callable[[Dialogue], bool] = lambda dialogue: False
    replace_labelled: bool = False
    dry_run: bool = False
    schemas_known: bool = False


@dataclass
class Taken:
    """Counts of dialogues, see ImportReport, and the domains that got or changed some."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    kept: int = 0
    waiting: int = 0
    domains: Set[str] = field(default_factory=set)

    @property
    def all(self) -> int:
        """How many were looked at."""
        return self.added + self.replaced + self.unchanged + self.kept


def checked(dialogues: Iterable[Dialogue], domains: Iterable[str]) -> Iterator[Dialogue]:
    """`dialogues`, all of them of `domains`. Raises StoreError for one that doesn't fit the
    tables, or whose id came before.
    """
    names: Collection[str] = tuple(domains)
    seen: Set[Tuple[str, str]] = set()
    for dialogue in dialogues:
        check_dialogue(dialogue, names, seen)
        yield dialogue


def take_in(
    connection: Connection,
    domains: Iterable[str],
    dialogues: Iterable[Dialogue],
    how: Intake,
    progress: Optional[Progress] = None,
    total: Optional[int] = None,
) -> Taken:
    """Write what is new or has changed of `dialogues`, all of them of `domains` and `checked`.

    Memory holds one batch of them, and ids and digests of those that there are.
    """
    names = tuple(domains)
    known = known_dialogues(connection, names)
    position: Dict[str, int] = {}
    for (domain, _), there in known.items():
        position[domain] = max(position.get(domain, -1), there.position)
    taken = Taken()
    waiting = iter(dialogues)
    while True:
        batch = list(islice(waiting, _BATCH))
        if not batch:
            return taken
        added, replaced = _sorted_out(batch, known, position, how, taken)
        write_dialogues(connection, added, replaced)
        if progress is not None:
            progress(taken.all, total)


def _sorted_out(
    batch: List[Dialogue],
    known: Mapping[Tuple[str, str], Known],
    position: Dict[str, int],
    how: Intake,
    taken: Taken,
) -> Tuple[List[_Row], List[_Row]]:
    """The dialogues of a batch to add and to replace, with their rows; counts go into `taken`."""
    added: List[_Row] = []
    replaced: List[_Row] = []
    for dialogue in batch:
        digest = dialogue_digest(dialogue)
        review = tables.WAITING if how.waits(dialogue) else None
        there = known.get((dialogue.domain, dialogue.id))
        labelled = there is not None and there.review == tables.LABELLED
        if there is not None and there.digest == digest and (labelled or there.review == review):
            taken.unchanged += 1
            continue
        if labelled and not how.replace_labelled:
            taken.kept += 1
            continue
        taken.waiting += review is not None
        taken.domains.add(dialogue.domain)
        row = {
            "domain": dialogue.domain,
            "id": dialogue.id,
            "split": dialogue.split,
            "digest": digest,
            "updated_at": datetime.now(timezone.utc),
            "review": review,
        }
        if there is None:
            position[dialogue.domain] = position.get(dialogue.domain, -1) + 1
            added.append((dialogue, {**row, "position": position[dialogue.domain]}))
            taken.added += 1
        else:
            replaced.append((dialogue, row))
            taken.replaced += 1
    return added, replaced

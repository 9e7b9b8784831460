"""The list of domains, which the page looks at again and again."""

from __future__ import annotations

import threading
from typing import Dict, List, Optional

from rasa_onramp.store import DomainSummary, Store, follows

__all__ = ["Overview"]


class Overview:
    """Every domain at a glance. Thread-safe; one cheap query a call while nothing changes, and
    where something did, only the domains that changed are read again.
    """

    def __init__(self) -> None:
        self._store: Optional[Store] = None
        self._revision = 0
        self._known: Dict[str, DomainSummary] = {}
        self._lock = threading.Lock()

    def read(self, store: Store) -> List[DomainSummary]:
        """As `store.dialogues.summary()`. Raises StoreError, StoreUnavailable."""
        with self._lock:
            revision = store.revision()
            if store is not self._store or not follows(self._revision, revision):
                self._known = {each.name: each for each in store.dialogues.summary()}
            elif revision != self._revision:
                changed = store.dialogues.changed_since(self._revision)
                found = {each.name: each for each in store.dialogues.summary(changed)}
                for name in changed:
                    self._known.pop(name, None)
                self._known.update(found)
            self._store, self._revision = store, revision
            return sorted(self._known.values(), key=lambda each: each.name)

"""What a store's revision tells: which store it is, and how often its content has changed."""

from __future__ import annotations

__all__ = ["follows"]

#: The bits of a revision that count changes. Those above are drawn when a store is created (by the
#: first migration), so that one made anew isn't taken for the one before.
_COUNTING = 32


def follows(known: int, revision: int) -> bool:
    """Whether a store that had the revision `known` may have `revision` now, so that it can say
    what changed since. One that was made anew can't, nor one that was restored from an older copy.
    """
    return known >> _COUNTING == revision >> _COUNTING and revision >= known

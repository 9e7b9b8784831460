"""The name that may have been meant."""

from __future__ import annotations

import difflib
from typing import Iterable, Optional

__all__ = ["nearest"]

#: What of a name is compared: difflib is quadratic, and a longer one resembles none of ours anyway.
_LONGEST = 200


def nearest(name: str, known: Iterable[str]) -> Optional[str]:
    """The one of `known` that is most like `name`; None where none is."""
    near = difflib.get_close_matches(name[:_LONGEST], known, n=1)
    return near[0] if near else None

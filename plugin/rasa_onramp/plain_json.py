"""Figures as JSON can hold them, which has no tuples, NaN or infinity."""

from __future__ import annotations

import math
from typing import Any, Mapping, Optional

__all__ = ["plain"]


def plain(value: Any, digits: Optional[int] = None) -> Any:
    """`value` with lists for tuples, text for keys, and None for numbers that JSON doesn't have;
    floats rounded to so many `digits` if given.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return value if digits is None else round(value, digits)
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, digits) for item in value]
    return value

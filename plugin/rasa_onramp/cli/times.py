"""Moments as commands show them."""

from __future__ import annotations

from datetime import datetime, timezone

__all__ = ["time_text"]


def time_text(moment: datetime) -> str:
    """To the minute and in UTC, as whoever reads it may be in another zone than the store."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")

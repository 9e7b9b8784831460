"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

__all__ = ["whole"]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write, which takes the place of `path` at the end; where something is
    raised it is removed, and what was there stays.
    """
    temporary = path.with_name(f"{path.name}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)

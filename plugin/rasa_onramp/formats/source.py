"""Files as text: bounded in size, unpacked, decoded, with errors that say where.

The size is looked at before anything is read, so that a huge file is refused at once.
"""

from __future__ import annotations

import gzip
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import Optional

from rasa_onramp.errors import FormatError

__all__ = ["check_inside", "line_at", "read_text"]

_MIB = 2**20


def read_text(path: Path, limit: int, within: Optional[Path] = None) -> str:
    """The text of a UTF-8 file, unpacked if its name ends in `.gz`, without a byte-order mark.

    `limit` is the most bytes it may hold, packed or unpacked. Raises FormatError if it is missing,
    unreadable, too large, truncated, empty or not UTF-8, or a link that leads out of the folder
    `within`.
    """
    if within is not None:
        check_inside(path, within)
    try:
        if not path.exists():
            raise FormatError("no such file", path=path, mend="check the path")
        if not path.is_file():
            raise FormatError("not a regular file", path=path, mend="give the path of a file")
        if path.stat().st_size > limit:
            raise _too_large(path, limit)
        # One byte more than allowed tells "just fits" from "too large", a zip bomb included.
        with _open(path) as file:
            data = file.read(limit + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(
            f"can't be unpacked ({error})", path=path, mend="copy or compress the file again"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise FormatError(
            f"can't be read ({reason})", path=path, mend="check the path and its permissions"
        ) from error
    if len(data) > limit:
        raise _too_large(path, limit)
    text = _decode(data, path)
    if not text.strip():
        raise FormatError("the file is empty", path=path, mend="fill it or leave it out")
    return text


def check_inside(path: Path, folder: Path) -> None:
    """Raise FormatError if `path`, found in `folder`, is a link to a file elsewhere: who names a
    folder gives what is in it to be read, and errors quote what they find.
    """
    try:
        path.resolve().relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle
        mend = "put the file itself there"
        raise FormatError("is a link that leads out of its folder", path=path, mend=mend) from None


def line_at(text: str, offset: int) -> int:
    """The 1-based line that character `offset` of `text` is on."""
    return text.count("\n", 0, offset) + 1


def _open(path: Path) -> BufferedIOBase:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _decode(data: bytes, path: Path) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(
            f"byte {error.start} (0x{data[error.start]:02x}) is not UTF-8",
            path=path,
            line=data.count(b"\n", 0, error.start) + 1,
            mend="save the file as UTF-8",
        ) from error
    return text[1:] if text.startswith("\ufeff") else text


def _too_large(path: Path, limit: int) -> FormatError:
    return FormatError(
        f"holds more than {limit // _MIB} MiB", path=path, mend="split it into smaller files"
    )

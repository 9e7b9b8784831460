"""Edits of a bot's files: shown as a diff, and made all or none (botfiles.py plans them)."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from rasa_onramp.errors import ConfigError

__all__ = ["BotEdits", "FileEdit"]


#: What of a bot's files (endpoints.yml has passwords) is nobody else's to read: the rest of a line
#: behind such a key and the lines that belong to it, and who logs in by a URL. A password in a URL
#: may have "/" and "@" in it.
_KEY = r"""["']?[\w-]*(?:passw|token|secret|api_?key)[\w-]*["']?\s*:"""
_SECRET = re.compile(rf"((?:^|[\s{{,-]){_KEY}[ \t]*)\S.*$", re.IGNORECASE)
_SECRET_KEY = re.compile(rf"([ -]*){_KEY}", re.IGNORECASE)
_LOGIN = re.compile(r"(://)\S*@")


@dataclass(frozen=True)
class FileEdit:
    """One file's text `before` (None: there is no such file) and `after`, and the names of what it
    lacked.
    """

    path: Path
    before: Optional[str]
    after: str
    adds: Tuple[str, ...] = ()


@dataclass(frozen=True)
class BotEdits:
    """The edits that a bot in `folder` needs; none if it has us already."""

    folder: Path
    files: Tuple[FileEdit, ...]

    def __bool__(self) -> bool:
        return bool(self.files)

    def name(self, edit: FileEdit) -> str:
        """The path of an edit's file from the bot's folder."""
        return Path(os.path.relpath(edit.path, self.folder)).as_posix()

    def diff(self) -> str:
        """The edits as a unified diff without secrets, paths relative to the bot's folder."""
        parts: List[str] = []
        for edit in self.files:
            name = self.name(edit)
            lines = difflib.unified_diff(
                _masked(edit.before or "").splitlines(keepends=True),
                _masked(edit.after).splitlines(keepends=True),
                "/dev/null" if edit.before is None else f"a/{name}",
                f"b/{name}",
            )
            parts += [line if line.endswith("\n") else f"{line}\n" for line in lines]
        return "".join(parts)

    def apply(self) -> None:
        """Write the edits: all of them, or none.

        Raises ConfigError if a file has changed since the plan, or can't be written.
        """
        for edit in self.files:
            now = edit.path.read_bytes().decode("utf-8") if edit.path.exists() else None
            if now != edit.before:
                raise ConfigError(f"{edit.path} has changed meanwhile; run the command again")
        done: List[FileEdit] = []
        try:
            for edit in self.files:
                _write(edit.path, edit.after)
                done.append(edit)
        except OSError as error:
            for edit in reversed(done):
                if edit.before is None:
                    edit.path.unlink()
                else:
                    _write(edit.path, edit.before)
            name = error.filename or self.folder
            raise ConfigError(
                f"{name} can't be written ({error.strerror}); mend its permissions. Nothing changed"
            ) from None


def _masked(text: str) -> str:
    return "".join(_masked_lines(text))


def _masked_lines(text: str) -> Iterator[str]:
    column: Optional[int] = None  # of the key whose value's lines these may be
    for line in text.splitlines(keepends=True):
        rest = line.lstrip(" ")
        depth = len(line) - len(rest)
        if column is not None and rest.strip():
            # a list may stand right below its key
            if depth > column or (depth == column and rest.startswith("- ")):
                yield f"{' ' * depth}***\n"
                continue
            column = None
        key = _SECRET_KEY.match(line) if column is None else None
        if key is not None:
            column = len(key.group(1))
        yield _LOGIN.sub(r"\1***@", _SECRET.sub(r"\1***", line))


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all; one that is there keeps its mode, owner and group."""
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    there = target.stat() if target.exists() else None
    if there is not None and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied", str(target))
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("utf-8"))
        if there is None or _given_to(temporary, there):
            os.chmod(temporary, 0o644 if there is None else there.st_mode & 0o777)
            os.replace(temporary, target)
            return
        _write_in_place(target, text.encode("utf-8"))
    except BaseException:
        os.unlink(temporary)
        raise
    os.unlink(temporary)


def _given_to(file: str, there: os.stat_result) -> bool:
    """Whether `file` now has the owner and group of the one that is `there`."""
    made = os.stat(file)
    if (made.st_uid, made.st_gid) != (there.st_uid, there.st_gid):
        try:
            os.chown(file, there.st_uid, there.st_gid)
        except PermissionError:  # of somebody else's file that this user may write to
            return False
    return True


def _write_in_place(target: Path, content: bytes) -> None:
    before = target.read_bytes()
    try:
        target.write_bytes(content)
    except OSError:
        target.write_bytes(before)
        raise

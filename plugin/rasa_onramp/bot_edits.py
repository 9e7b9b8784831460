"""Edits of a bot's files: shown as a diff, and made all or none (botfiles.py plans them)."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from .errors import ConfigError

__all__ = ["BotEdits", "FileEdit"]


#: What of a bot's files (endpoints.yml has passwords) is nobody else's to read: the rest of a line
#: behind such a key, and who logs in by a URL.
_SECRET = re.compile(
    r"""((?:^|[\s{,-])["']?[\w-]*(?:passw|token|secret|api_?key)[\w-]*["']?\s*:[ \t]*)\S.*$""",
    re.IGNORECASE | re.MULTILINE,
)
_LOGIN = re.compile(r"(://)[^/\s@]*@")


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
    return _LOGIN.sub(r"\1***@", _SECRET.sub(r"\1***", text))


def _write(path: Path, text: str) -> None:
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied", str(target))
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("utf-8"))
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise

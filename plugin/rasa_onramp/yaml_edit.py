"""Adds entries to a YAML file and leaves every other byte as it was.

ruamel.yaml says where things stand; the entries are put in as lines, so that comments, quotes,
order and line ends stay. The outcome is read again and compared with what it should hold; where
lines can't do it (a list written as [a, b]) ruamel.yaml writes the file anew, comments kept.
"""

from __future__ import annotations

import io
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from rasa_onramp.errors import FormatError

__all__ = ["YamlFile", "unescaped"]

_EMPTY = re.compile(
    r"^(?P<key>[^#]*?:)[ \t]*(null|Null|NULL|~|\[\s*\]|\{\s*\})?[ \t]*(?P<rest>#.*)?$"
)


#: An escaped character beyond U+FFFF; first, so as to pass it over, an escaped backslash.
_ESCAPED = re.compile(r"(\\\\)|\\U(00(?:0[1-9A-F]|10)[0-9A-F]{4})")


class YamlFile:
    """A YAML file whose top level is a mapping, with edits that aren't written yet.

    `before` is its text as it is (None where there is no such file), `text` with the edits.
    """

    def __init__(self, path: Path, before: Optional[str]):
        self.path = path
        self.before = before
        self.text = before or ""
        self.data = self._parsed(self.text)

    @classmethod
    def read(cls, path: Path) -> YamlFile:
        """Read `path`; a file that doesn't exist counts as empty.

        Raises FormatError if it isn't UTF-8, isn't YAML or isn't a mapping at its top.
        """
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return cls(path, None)
        except OSError as error:
            raise FormatError(
                f"can't be read ({error.strerror})", path=path, mend="mend its permissions"
            ) from None
        try:
            return cls(path, raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            mend = "save the file as UTF-8"
            raise FormatError("this isn't UTF-8", path=path, line=line, mend=mend) from None

    def begin(self, text: str) -> None:
        """Give a file that doesn't exist yet its first lines."""
        self.text, self.data = text, self._parsed(text)

    def line(self, *keys: Any) -> int:
        """The line (1-based) where the entry at `keys` stands; one that is merged in (<<) has none
        of its own, so it is that of what it is merged into.
        """
        node: Any = self.data
        line = 0
        for key in keys:
            place: Any = node.lc  # ruamel.yaml's line and column
            with suppress(KeyError, TypeError):
                line = (place.key(key) if isinstance(node, Mapping) else place.item(key))[0]
            node = node[key]
        return line + 1

    def append(self, key: str, values: Sequence[Any]) -> None:
        """Append `values` to the list under the top-level `key`, made if it is missing or empty."""
        if not values:
            return
        expected = _plain(self.data)
        expected[key] = list(expected.get(key) or []) + list(values)
        self._edit(key, list(values), expected)

    def merge(self, key: str, entries: Mapping[str, Any]) -> None:
        """Put `entries` into the mapping under the top-level `key`, made if missing or empty."""
        if not entries:
            return
        expected = _plain(self.data)
        expected[key] = {**(expected.get(key) or {}), **entries}
        known = self.data.get(key) or {}
        for name in [name for name in entries if name in known]:
            self._drop(key, name)
        self._edit(key, dict(entries), expected)

    def _edit(self, key: str, added: Any, expected: Dict[str, Any]) -> None:
        for comments_belong_below in (True, False):
            try:
                text = self._inserted(key, added, comments_belong_below)
                data = self._parsed(text)
            except (AttributeError, FormatError, KeyError, ValueError):
                continue
            if _plain(data) == expected:
                break
        else:
            text = self._rewritten(key, expected[key])
            data = self._parsed(text)
            if _plain(data) != expected:
                raise FormatError(
                    f"{key} is used elsewhere in the file too",
                    path=self.path,
                    line=self.line(key),
                    mend="write it without an anchor (&) or alias (*)",
                )
        self.text, self.data = text, data

    def _drop(self, key: str, name: str) -> None:
        """Take the one-line entry `name` out of the mapping `key`, if that is what it is."""
        at = self.line(key, name) - 1
        lines = self.text.splitlines(keepends=True)
        if re.match(rf"^\s+['\"]?{re.escape(name)}['\"]?:", lines[at]):
            del lines[at]
        try:
            dropped = self._parsed("".join(lines))
        except FormatError:
            return
        kept = {k: v for k, v in _plain(self.data)[key].items() if k != name}
        if _plain(dropped) == {**_plain(self.data), key: kept or None}:
            self.text, self.data = "".join(lines), dropped

    def _inserted(self, key: str, added: Any, comments_belong_below: bool) -> str:
        """The text with `added` put in as lines. Raises ValueError where that can't be done."""
        newline = "\r\n" if "\r\n" in self.text else "\n"
        lines = self.text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += newline
        if key not in self.data:
            block = [f"{key}:", *_rendered(added, 2)]
            gap = [newline] if lines and lines[-1].strip() else []
            return "".join([*lines, *gap, *(line + newline for line in block)])
        top = self.line(key) - 1
        value = self.data[key]
        if not value:
            match = _EMPTY.match(lines[top].rstrip("\r\n"))
            if match is None:
                raise ValueError("written in a way of its own")
            rest = f"  {match['rest']}" if match["rest"] else ""
            lines[top] = match["key"] + rest + newline
            at, column = top + 1, 2
        else:
            after = [self.line(k) - 1 for k in self.data if self.line(k) - 1 > top]
            at = min(after, default=len(lines))
            while at > top + 1 and not _content(lines[at - 1], comments_belong_below):
                at -= 1
            child = next(iter(value)) if isinstance(value, Mapping) else 0
            first = lines[self.line(key, child) - 1]
            column = len(first) - len(first.lstrip(" "))
        block = [line + newline for line in _rendered(added, column)]
        return "".join([*lines[:at], *block, *lines[at:]])

    def _rewritten(self, key: str, value: Any) -> str:
        node = self.data.get(key)
        if not node:
            self.data[key] = value
        elif isinstance(value, list):
            node.extend(value[len(node) :])
        else:  # what is merged in stays so
            node.update({k: v for k, v in value.items() if k not in node or _plain(node[k]) != v})
        stream = io.StringIO()
        _yaml().dump(self.data, stream)
        text = stream.getvalue().replace("\r\n", "\n")
        readable = unescaped(text)
        with suppress(FormatError):  # where that means the same, as in all but odd texts
            if readable != text and _plain(self._parsed(readable)) == _plain(self._parsed(text)):
                text = readable
        return text.replace("\n", "\r\n") if "\r\n" in self.text else text

    def _parsed(self, text: str) -> Any:
        mend = "mend the YAML, for instance with a linter"
        try:
            data = _yaml().load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = None if mark is None else mark.line + 1
            problem = " ".join((error.problem or "this isn't YAML").split())
            raise FormatError(problem, path=self.path, line=line, mend=mend) from None
        except (YAMLError, ValueError, OverflowError, RecursionError) as error:
            # ruamel lets through what Python says of an impossible date, escape or depth
            problem = " ".join(str(error).split()) or "this isn't YAML"
            raise FormatError(problem, path=self.path, mend=mend) from None
        if data is None:
            data = _yaml().map()
        if not isinstance(data, Mapping):
            kind = type(data).__name__
            raise FormatError(
                f"the top level is {kind}", path=self.path, line=1, mend="make it key: value lines"
            )
        return data


def unescaped(text: str) -> str:
    r"""YAML whose double-quoted texts have emoji and the like as they are: ruamel.yaml writes
    "\U0001F600" for all that is beyond U+FFFF.
    """
    return _ESCAPED.sub(lambda found: _character(found[2]) or found[0], text)


def _character(code: Optional[str]) -> Optional[str]:
    found = None if code is None else chr(int(code, 16))
    return found if found is not None and found.isprintable() else None


def _yaml() -> Any:
    yaml: Any = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _content(line: str, comments_belong_below: bool) -> str:
    """What a line holds, for telling where a block ends: comments may head the block below."""
    return (line.split("#")[0] if comments_belong_below else line).strip()


def _rendered(value: Any, column: int) -> List[str]:
    stream = io.StringIO()
    yaml = _yaml()
    yaml.representer.ignore_aliases = lambda *_: True
    if isinstance(value, list):  # its dashes stand at `column` themselves
        yaml.indent(mapping=2, sequence=2, offset=0)
    yaml.dump(value, stream)
    return [" " * column + line if line else "" for line in stream.getvalue().splitlines()]


def _plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node

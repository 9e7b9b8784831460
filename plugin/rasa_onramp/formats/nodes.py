"""YAML as a tree of nodes that know their lines.

Every scalar is the text as written: `True`, `0123` and `12:30` stay what the author typed; YAML's
null says that it is one. Tags, anchors, aliases and keys that occur twice are refused, so that a
file says what it seems to say and nothing in it can be made to run or to multiply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from rasa_onramp.formats.source import line_at
from rasa_onramp.formats.wording import UNSTORABLE, quote

__all__ = ["Fields", "Items", "Mistake", "Node", "Text", "parse_nodes"]

_DEEPEST = 16
_NULLS = ("null", "Null", "NULL", "~")


class Mistake(Exception):
    """Something wrong on a line; the reader of the file makes it a FormatError."""

    def __init__(self, message: str, mend: str, line: Optional[int]):
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.line = line


@dataclass(frozen=True)
class Text:
    """A scalar. It is `null` where it is one of YAML's words for nothing, without quotes."""

    value: str
    line: int
    null: bool = False


@dataclass(frozen=True)
class Items:
    """A list."""

    items: Tuple[Node, ...]
    line: int


@dataclass(frozen=True)
class Fields:
    """A mapping; keys are texts, in the file's order. `lines` says where each key stands."""

    values: Dict[str, Node]
    lines: Dict[str, int]
    line: int


Node = Union[Text, Items, Fields]


def parse_nodes(text: str) -> Node:
    """The one document that a YAML text holds. Raises Mistake."""
    try:
        return _compose(_events(text))
    except YAMLError as error:
        raise _syntax_mistake(error, text) from error
    except (ValueError, OverflowError) as error:  # \U99999999, %YAML 1.99999…
        message = "not valid YAML: " + " ".join(str(error).split())
        raise Mistake(message, "correct it", None) from error


def _events(text: str) -> Iterator[Any]:
    # The pure Python parser, wherever it runs: libyaml's speaks another version of YAML.
    return YAML(typ="safe", pure=True).parse(text)


def _compose(events: Iterator[Any]) -> Node:
    """Builds the tree without recursion."""
    root: Optional[Node] = None
    open_nodes: List[_Open] = []
    documents = 0
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Mistake("a second YAML document", "keep to one document a file", line)
        if isinstance(event, AliasEvent):
            raise Mistake(f"an alias, *{event.anchor}", "write out what it stands for", line)
        if isinstance(event, (ScalarEvent, SequenceStartEvent, MappingStartEvent)):
            if event.anchor is not None:
                raise Mistake(f"an anchor, &{event.anchor}", "remove it", line)
            if event.tag is not None:
                raise Mistake(f"a tag, {event.tag}", "remove it: all values are text", line)
        node: Optional[Node] = None
        if isinstance(event, ScalarEvent):
            if UNSTORABLE.search(event.value):
                message = "an escape that stands for no character of a text"
                raise Mistake(message, "write the character itself, in UTF-8", line)
            unquoted, _ = event.implicit
            node = Text(event.value, line, unquoted and event.value in _NULLS)
        elif isinstance(event, (SequenceStartEvent, MappingStartEvent)):
            if len(open_nodes) == _DEEPEST:
                raise Mistake("nested too deeply", "see the format's description", line)
            open_nodes.append(_Open(isinstance(event, MappingStartEvent), line))
        elif isinstance(event, (SequenceEndEvent, MappingEndEvent)):
            node = open_nodes.pop().close()
        if node is not None:
            if open_nodes:
                open_nodes[-1].add(node)
            else:
                root = node
    if root is None:
        raise Mistake("nothing but comments", "fill it or leave it out", 1)
    return root


class _Open:
    """A list or mapping whose end hasn't come yet."""

    def __init__(self, is_mapping: bool, line: int):
        self.is_mapping = is_mapping
        self.line = line
        self.key: Optional[Text] = None
        self.items: List[Node] = []
        self.values: Dict[str, Node] = {}
        self.lines: Dict[str, int] = {}

    def add(self, node: Node) -> None:
        if not self.is_mapping:
            self.items.append(node)
        elif self.key is None:
            if not isinstance(node, Text):
                raise Mistake("a key that is not a text", "use a name as the key", node.line)
            if node.value in self.values:
                first = self.lines[node.value]
                message = f"the key {quote(node.value)} is here twice (first on line {first})"
                raise Mistake(message, "remove one of them", node.line)
            self.key = node
        else:
            self.values[self.key.value] = node
            self.lines[self.key.value] = self.key.line
            self.key = None

    def close(self) -> Node:
        if self.is_mapping:
            return Fields(self.values, self.lines, self.line)
        return Items(tuple(self.items), self.line)


def _syntax_mistake(error: YAMLError, text: str) -> Mistake:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "context", None)
    if mark is not None:
        message = f"not valid YAML at column {mark.column + 1}: {problem}"
        return Mistake(" ".join(message.split()), "correct it there", mark.line + 1)
    position = getattr(error, "position", None)
    if position is not None:  # a character that YAML doesn't allow
        character = text[position] if position < len(text) else "\0"
        line = line_at(text, position)
        return Mistake(f"the character U+{ord(character):04X}", "remove or escape it", line)
    return Mistake("not valid YAML: " + " ".join(str(error).split()), "correct it", None)

"""Takes a YAML mapping apart: known keys only, each of its kind, names that exist."""

from __future__ import annotations

import re
from typing import Collection, Dict, Iterable, Set, Tuple

from rasa_onramp.formats.nodes import Fields, Items, Mistake, Node, Text
from rasa_onramp.formats.wording import did_you_mean, quote

__all__ = ["fields", "items", "known", "name_of", "names", "optional_text", "text"]

#: Names end up in marks, in Rasa's domain and in files: no spaces, brackets or quotes.
_NAME = re.compile(r"\w[\w.-]*\Z")


def fields(node: Node, what: str, keys: Collection[str], required: Iterable[str] = ()) -> Fields:
    """`node` as a mapping with none but `keys` and all that are `required`. Raises Mistake."""
    if not isinstance(node, Fields):
        mend = "write key: value lines with the keys " + ", ".join(keys)
        raise Mistake(f"{what} must be a mapping", mend, node.line)
    for key, line in node.lines.items():
        if key not in keys:
            mend = did_you_mean(key, keys, "nothing")
            raise Mistake(f"{what} has no key {quote(key)}", mend, line)
    for key in required:
        if key not in node.values:
            raise Mistake(f"{what} lacks {quote(key)}", f"add {quote(key)}", node.line)
    return node


def items(parent: Fields, key: str) -> Tuple[Node, ...]:
    """The list under `key`; an absent one is empty. Raises Mistake."""
    node = parent.values.get(key)
    if node is None:
        return ()
    if not isinstance(node, Items):
        raise Mistake(f"{quote(key)} must be a list", "write [a, b] or one - a line", node.line)
    return node.items


def text(node: Node, what: str, mend: str = "write it or leave the key out") -> str:
    """`node` as a text that isn't blank. Raises Mistake."""
    if not isinstance(node, Text):
        raise Mistake(f"{what} must be a text", "write it in quotes", node.line)
    if node.null:
        raise Mistake(f"{what} is {node.value}, which is nothing", mend, node.line)
    if not node.value.strip():
        raise Mistake(f"{what} is empty", mend, node.line)
    return node.value


def name_of(parent: Fields, what: str, taken: Set[str]) -> str:
    """The `name` of a part of the schema, added to those `taken`. Raises Mistake."""
    node = parent.values["name"]
    value = text(node, f"the name of the {what}")
    if not _NAME.match(value):
        message = f"{quote(value)} can't be the name of a {what}"
        raise Mistake(message, "use letters, digits, _, - and . only", node.line)
    if value in taken:
        mend = "give each its own name"
        raise Mistake(f"a second {what} is called {quote(value)}", mend, node.line)
    taken.add(value)
    return value


def optional_text(parent: Fields, key: str) -> str:
    """The text under `key`; an absent one is empty. Raises Mistake."""
    node = parent.values.get(key)
    if node is None:
        return ""
    if not isinstance(node, Text):
        raise Mistake(f"{quote(key)} must be a text", "write it in quotes", node.line)
    return "" if node.null else node.value


def known(node: Node, among: Collection[str], what: str) -> str:
    """`node` as one of the names in `among`, each of which is a `what`. Raises Mistake."""
    value = text(node, f"the {what}'s name")
    if value not in among:
        mend = did_you_mean(value, among, f"it under {what}s")
        raise Mistake(f"unknown {what} {quote(value)}", mend, node.line)
    return value


def names(parent: Fields, key: str, among: Collection[str], what: str) -> Tuple[str, ...]:
    """The list of names under `key`, each one of `among` and none twice. Raises Mistake."""
    found: Dict[str, None] = {}  # in order, and soon looked up
    for node in items(parent, key):
        value = known(node, among, what)
        if value in found:
            raise Mistake(f"{quote(value)} is listed twice", "list it once", node.line)
        found[value] = None
    return tuple(found)

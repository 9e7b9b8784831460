"""Words to numbers: the tokenizer, our special tokens, and identifiers split into words."""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum
from pathlib import Path
from sys import getsizeof
from typing import Any, Sequence, Set, Tuple, Union

from rasa_onramp.memory import MEGABYTE, LastUsed

__all__ = ["MOST_TOKENS", "Special", "Tokens", "readable", "symbols_in", "words_of"]

#: Token ids of one text and the characters [start, end) each came from.
Encoded = Tuple[Tuple[int, ...], Tuple[Tuple[int, int], ...]]

#: Tokens of a text that are read at most.
MOST_TOKENS = 128

#: What a token takes that is remembered, about, and what a text does beside tokens and characters.
_TOKEN_BYTES, _TEXT_BYTES = 120, 300

#: Unicode's categories of symbols: emoji and the like, those that mathematics has, shades of skin,
#: what encloses a character (a keycap), and what is newer than Python's Unicode.
_SYMBOLS = frozenset(("So", "Sm", "Sk", "Me", "Cn"))

#: What joins emoji, or says how they look, as the inside of a regular expression's brackets.
_JOINERS = "\u200d\ufe0e\ufe0f\U000e0020-\U000e007f"


class Special(IntEnum):
    """Our special tokens; each has a learned embedding of its own (row = value)."""

    NONE = 0  # target: no change this turn, no intent, no action
    ANY = 1  # target: the user doesn't care
    CLEAR = 2  # target: the slot is emptied
    SLOT = 3
    VAL = 4
    INT = 5
    ACT = 6
    USR = 7
    SYS = 8
    QUERY_FREE = 9  # a turn's query for a slot with free values
    QUERY_LISTED = 10  # … with listed values
    QUERY_INTENT = 11
    QUERY_ACTION = 12


def words_of(identifier: str) -> str:
    """Split snake_case, kebab-case and CamelCase names: "FindBus" → "find bus"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", identifier)
    return re.sub(r"[_\-\s]+", " ", spaced).strip().lower()


def symbols_in(text: str) -> Set[str]:
    """The symbols among the characters of `text`, emoji above all; none that ASCII has."""
    if text.isascii():
        return set()
    return {c for c in set(text) if not c.isascii() and unicodedata.category(c) in _SYMBOLS}


def readable(text: str, tokenizer: Any) -> str:
    """`text`, as long as it is, with blanks for the symbols that a word-piece `tokenizer` lacks: it
    doesn't split them from the word that they are attached to, and would know neither.
    """
    piece = tokenizer.token_to_id
    lacking = {c for c in symbols_in(text) if None in (piece(c), piece(f"##{c}"))}
    if not lacking:
        return text
    runs = re.compile(f"[{re.escape(''.join(lacking))}{_JOINERS}]+")
    return runs.sub(lambda run: " " * len(run[0]) if lacking & set(run[0]) else run[0], text)


class Tokens:
    """A word-piece tokenizer that remembers what it split last, in up to `most_bytes`. Thread-safe.

    Ids from `vocab_size` on are our special tokens.
    """

    def __init__(self, tokenizer: Any, most_bytes: int = 20 * MEGABYTE):
        self._tokenizer = tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._split: LastUsed[str, Encoded] = LastUsed(most_bytes)
        self.vocab_size = tokenizer.get_vocab_size()
        self.cls = tokenizer.token_to_id("[CLS]")
        self.sep = tokenizer.token_to_id("[SEP]")

    @classmethod
    def from_file(cls, path: Union[str, Path], most_bytes: int = 20 * MEGABYTE) -> Tokens:
        """Read a tokenizer.json."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(path)), most_bytes)

    def special(self, token: Special) -> int:
        """The id of one of our special tokens."""
        return self.vocab_size + int(token)

    def encode(self, text: str, limit: int = MOST_TOKENS) -> Encoded:
        """Ids and character offsets of `text`, at most `limit` tokens and `MOST_TOKENS`."""
        found = self._split.get(text)
        if found is None:
            read = readable(text, self._tokenizer)
            encoding = self._tokenizer.encode(read, add_special_tokens=False)
            offsets = _with_accents(read, encoding.offsets[:MOST_TOKENS])
            found = (tuple(encoding.ids[:MOST_TOKENS]), offsets)
            self._split.put(
                text, found, getsizeof(text) + _TEXT_BYTES + _TOKEN_BYTES * len(found[0])
            )
        ids, offsets = found
        return found if len(ids) <= limit else (ids[:limit], offsets[:limit])


def _with_accents(text: str, offsets: Sequence[Tuple[int, int]]) -> Tuple[Tuple[int, int], ...]:
    """The offsets, each with the accents that stand after its last letter as characters of their
    own: the tokenizer strips them, and ends before.
    """
    if text.isascii():
        return tuple(offsets)
    starts = {start for start, _ in offsets}
    found = []
    for start, end in offsets:
        while end < len(text) and end not in starts and unicodedata.category(text[end]) == "Mn":
            end += 1
        found.append((start, end))
    return tuple(found)

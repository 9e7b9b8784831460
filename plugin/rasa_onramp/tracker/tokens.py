"""Words to numbers: the tokenizer, our special tokens, and identifiers split into words."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

__all__ = ["Special", "Tokens", "words_of"]

#: Token ids of one text and the characters [start, end) each came from.
Encoded = Tuple[List[int], List[Tuple[int, int]]]


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


class Tokens:
    """A word-piece tokenizer that remembers what it has already split.

    Ids from `vocab_size` on are our special tokens.
    """

    def __init__(self, tokenizer: Any, max_cached: int = 400_000):
        self._tokenizer = tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._cache: Dict[str, Encoded] = {}
        self._max_cached = max_cached
        self.vocab_size = tokenizer.get_vocab_size()
        self.cls = tokenizer.token_to_id("[CLS]")
        self.sep = tokenizer.token_to_id("[SEP]")

    @classmethod
    def from_file(cls, path: Union[str, Path]) -> Tokens:
        """Read a tokenizer.json."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(path)))

    def special(self, token: Special) -> int:
        """The id of one of our special tokens."""
        return self.vocab_size + int(token)

    def encode(self, text: str, limit: int = 128) -> Encoded:
        """Ids and character offsets of `text`, at most `limit` tokens."""
        found = self._cache.get(text)
        if found is None:
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
            found = (encoding.ids, encoding.offsets)
            if len(self._cache) >= self._max_cached:
                self._cache.clear()
            self._cache[text] = found
        ids, offsets = found
        return ids[:limit], offsets[:limit]

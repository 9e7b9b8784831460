"""A conversation as token ids: one sequence a dialogue, learned from at its replies only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy
from tokenizers import Tokenizer

from rasa_onramp.dialogue import Schema
from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator.prompt import END, Exchange, opening

__all__ = ["MOST_TOKENS", "Packed", "ReplyTokens", "pack", "reply_spans"]

#: Longer conversations lose their first exchanges.
MOST_TOKENS = 1024


class Packed(NamedTuple):
    """A sequence: `ids` (tokens,), and which of them are `learned`, (tokens,) of bool."""

    ids: numpy.ndarray
    learned: numpy.ndarray


class ReplyTokens:
    """A language model's tokenizer. No special tokens are added to what it encodes."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._vocabulary: Optional[str] = None
        # a user who types "<|endoftext|>" has typed these characters
        tokenizer.encode_special_tokens = True
        self.end = self.ids(END)

    @classmethod
    def from_folder(cls, folder: Union[str, Path]) -> ReplyTokens:
        """Read a model folder's tokenizer.json. Raises CheckpointError."""
        path = Path(folder) / "tokenizer.json"
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # tokenizers has no exceptions of its own
            reason = (str(error) or repr(error)).splitlines()[0]
            raise CheckpointError(
                f"{path} can't be read ({reason}); give a model that has a fast tokenizer"
            ) from None

    @property
    def vocabulary(self) -> str:
        """A digest of what each id stands for."""
        if self._vocabulary is None:
            ids = sorted(self._tokenizer.get_vocab(with_added_tokens=True).items())
            self._vocabulary = hashlib.sha256(json.dumps(ids).encode()).hexdigest()
        return self._vocabulary

    def ids(self, text: str) -> List[int]:
        """The tokens of a text."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens; the special ones, which are no text, are left out."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)


def reply_spans(packed: Packed) -> List[Tuple[int, int]]:
    """Where each learned reply of a conversation begins and ends, in tokens."""
    learned = packed.learned.astype(numpy.int8)
    edges = numpy.flatnonzero(numpy.diff(learned, prepend=0, append=0)).tolist()
    return list(zip(edges[::2], edges[1::2]))


def pack(
    tokens: ReplyTokens, schema: Schema, exchanges: Sequence[Exchange], most: int = MOST_TOKENS
) -> Packed:
    """The conversation, cut at its beginning to `most` tokens at whole exchanges.

    The last exchange is kept whatever its length, so that there is always something to answer. Its
    reply may be None: the sequence then ends where the reply is to be written.
    """
    head = tokens.ids(opening(schema))
    kept: List[List[int]] = []
    masks: List[List[bool]] = []
    length = len(head)
    for each in reversed(exchanges):
        before, reply = tokens.ids(each.before), []
        if each.reply is not None:
            reply = tokens.ids(f" {each.reply}") + tokens.end
        length += len(before) + len(reply)
        if kept and length > most:
            break
        kept.append(before + reply)
        masks.append([False] * len(before) + [each.said] * len(reply))
    ids = head + [i for part in reversed(kept) for i in part]
    learned = [False] * len(head) + [m for part in reversed(masks) for m in part]
    return Packed(numpy.array(ids, dtype=numpy.int64), numpy.array(learned, dtype=bool))

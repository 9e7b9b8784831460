"""Writing replies: greedy decoding, several conversations at a time; or several replies to one.

Conversations of one domain run on its merged weights. Where several domains' conversations meet,
each row has its own low-rank updates. A conversation that goes on is read from where it left off:
prompts mostly grow at their end (prompt.py), so what their common beginning left in the key-value
cache holds.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy
import torch
from torch import Tensor

from rasa_onramp.generator.model import ReplyModel, Weights
from rasa_onramp.generator.packing import Packed
from rasa_onramp.memory import MEGABYTE, LastUsed, bytes_of

__all__ = ["MOST_NEW_TOKENS", "Updates", "Writer"]

#: No reply of a training corpus is longer than a few dozen tokens.
MOST_NEW_TOKENS = 64

#: What scores are divided by where tokens are drawn.
_TEMPERATURE = 0.7

#: Prompt tokens that are read again although a cache holds them: the last one is answered from.
_READ_AGAIN = 1


@dataclass(frozen=True)
class Updates:
    """A domain's low-rank updates, and a digest that tells them from others."""

    digest: str
    weights: Weights


class Writer:
    """Writes with one model. Not thread-safe: the model takes one set of updates at a time.

    Keeps the merged weights of the domains used last, up to `merged` bytes (those of one domain are
    as large as the language model, and are kept in any case), and up to `read` bytes of the prompts
    read last.
    """

    def __init__(self, model: ReplyModel, *, merged: int = 0, read: int = 256 * MEGABYTE):
        self.model = model
        self._merged: LastUsed[str, Dict[str, Tensor]] = LastUsed(merged)
        self._merged_bytes = 0
        self._read: LastUsed[Tuple[str, bytes], Any] = LastUsed(read)

    def write(
        self,
        prompts: Sequence[Packed],
        updates: Sequence[Updates],
        *,
        most: int = MOST_NEW_TOKENS,
        seconds: Optional[float] = None,
    ) -> List[Optional[str]]:
        """The likeliest next line of each prompt under its domain's updates, token by token.

        None for one that isn't finished after `most` tokens or `seconds`: half a reply is worth
        nothing.
        """
        if not prompts:
            return []
        until = _after(seconds)
        if len({each.digest for each in updates}) > 1:
            rows = {
                name: torch.stack([each.weights[name] for each in updates])
                for name in updates[0].weights
            }
            with self.model.using(rows) as lm:
                return _decode(self.model, lm, prompts, most, until)
        with self.model.using_merged(self._merged_of(updates[0])) as lm:
            if len(prompts) > 1:
                return _decode(self.model, lm, prompts, most, until)
            digest, ids = updates[0].digest, prompts[0].ids
            cache = self._recall(digest, ids)
            written = _decode(self.model, lm, prompts, most, until, cache)
            self._remember(digest, ids, cache)
            return written

    def write_along(
        self,
        conversation: Packed,
        places: Sequence[int],
        updates: Updates,
        *,
        most: int = MOST_NEW_TOKENS,
    ) -> List[Optional[str]]:
        """What `write` gives for the conversation cut off at each of `places`, which are numbers of
        tokens; it is read once.
        """
        if not places:
            return []
        with self.model.using_merged(self._merged_of(updates)) as lm:
            return _decode_along(self.model, lm, conversation, places, most)

    def write_several(
        self,
        prompt: Packed,
        updates: Updates,
        count: int,
        *,
        most: int = MOST_NEW_TOKENS,
        seconds: Optional[float] = None,
    ) -> List[str]:
        """The likeliest next line of a prompt and `count` - 1 drawn ones, but for those that didn't
        end and repetitions. The same prompt gives the same ones.
        """
        until = _after(seconds)
        with self.model.using_merged(self._merged_of(updates)) as lm:
            places = [len(prompt.ids)] * count
            found = _decode_along(self.model, lm, prompt, places, most, until, drawn=count - 1)
        return list(dict.fromkeys(text for text in found if text))

    def _merged_of(self, updates: Updates) -> Dict[str, Tensor]:
        found = self._merged.get(updates.digest)
        if found is None:
            self._merged.make_room(self._merged_bytes)  # before, so that no more are held
            found = self.model.merged(updates.weights)
            self._merged_bytes = bytes_of(found)
            self._merged.put(updates.digest, found, self._merged_bytes)
        return found

    def _recall(self, digest: str, ids: numpy.ndarray) -> Any:
        """A cache that holds the longest known beginning of `ids`, and nothing after it."""
        best, longest = None, 0
        for key in self._read.recent():
            if key[0] == digest:
                known = numpy.frombuffer(key[1], ids.dtype)
                size = min(len(known), len(ids))
                same = int((known[:size] == ids[:size]).cumprod().sum())
                if same > longest:
                    best, longest = key, same
        cache = None if best is None else self._read.pop(best)
        if best is None or cache is None:
            return _empty_cache()
        if longest < len(best[1]) // ids.itemsize:  # another conversation, which goes on too
            self._read.put(best, cache, bytes_of(cache))
            cache = copy.deepcopy(cache)
        cache.crop(min(longest, len(ids) - _READ_AGAIN))
        return cache

    def _remember(self, digest: str, ids: numpy.ndarray, cache: Any) -> None:
        cache.crop(len(ids))
        self._read.put((digest, ids.tobytes()), cache, bytes_of(cache))


def _empty_cache() -> Any:
    """A key-value cache of nothing: given none, transformers before 4.48 make one of tuples."""
    from transformers import DynamicCache

    return DynamicCache()


def _after(seconds: Optional[float]) -> Optional[float]:
    return None if seconds is None else time.monotonic() + seconds


@torch.inference_mode()
def _decode(
    model: ReplyModel,
    lm: Any,
    prompts: Sequence[Packed],
    most: int,
    until: Optional[float],
    cache: Any = None,
) -> List[Optional[str]]:
    """Read the prompts, of which `cache` holds the beginning, and write on."""
    ids, mask = _left_padded(prompts, model.device)
    cache = _empty_cache() if cache is None else cache
    known = cache.get_seq_length()
    out = lm.base_model(
        input_ids=ids[:, known:],
        attention_mask=None if len(prompts) == 1 else mask,  # one alone has no padding
        position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, known:],
        past_key_values=cache,
        use_cache=True,
    )
    return _write_on(model, lm, out.last_hidden_state[:, -1], mask, cache, most, until)


@torch.inference_mode()
def _decode_along(
    model: ReplyModel,
    lm: Any,
    conversation: Packed,
    places: Sequence[int],
    most: int,
    until: Optional[float] = None,
    drawn: int = 0,
) -> List[Optional[str]]:
    """Read one conversation once, and write on from each of the `places` where it is cut off."""
    ids = torch.from_numpy(conversation.ids)[None].to(model.device)
    cache = _empty_cache()
    out = lm.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
    at = torch.tensor(places, device=model.device)
    hidden = out.last_hidden_state[0, at - 1]
    cache.batch_repeat_interleave(len(places))
    mask = (torch.arange(ids.shape[1], device=model.device) < at[:, None]).long()
    return _write_on(model, lm, hidden, mask, cache, most, until, drawn)


def _write_on(
    model: ReplyModel,
    lm: Any,
    hidden: Tensor,
    mask: Tensor,
    cache: Any,
    most: int,
    until: Optional[float],
    drawn: int = 0,
) -> List[Optional[str]]:
    """Token by token from `hidden` (rows, width); `mask` (rows, tokens) says which tokens of the
    cache each row sees. Each token is the likeliest; in the last `drawn` rows one is drawn.
    """
    generator = torch.Generator(device=hidden.device).manual_seed(0)
    end = model.tokens.end
    rows = len(hidden)
    written: List[List[int]] = [[] for _ in range(rows)]
    done = [False] * rows
    whole = rows == 1 and bool(mask.all())
    for _ in range(most):
        scores = lm.get_output_embeddings()(hidden)
        chosen = scores.argmax(-1)
        if drawn:
            chances = (scores[-drawn:].float() / _TEMPERATURE).softmax(-1)
            chosen[-drawn:] = torch.multinomial(chances, 1, generator=generator)[:, 0]
        for row, token in enumerate(chosen.tolist()):
            if not done[row]:
                written[row].append(token)
                done[row] = written[row][-len(end) :] == end
        if all(done) or (until is not None and time.monotonic() > until):
            break
        positions = mask.sum(1, keepdim=True)
        mask = torch.cat([mask, mask.new_ones(rows, 1)], 1)
        out = lm.base_model(
            input_ids=chosen[:, None],
            attention_mask=None if whole else mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        hidden = out.last_hidden_state[:, -1]
    return [
        model.tokens.text(row[: -len(end)]).strip() if finished else None
        for row, finished in zip(written, done)
    ]


def _left_padded(prompts: Sequence[Packed], device: torch.device) -> Tuple[Tensor, Tensor]:
    """Ids and which of them are the prompts', (prompts, tokens) each, so that all end together."""
    longest = max(len(prompt.ids) for prompt in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt.ids) :] = torch.from_numpy(prompt.ids)
        mask[row, longest - len(prompt.ids) :] = 1
    return ids.to(device), mask.to(device)

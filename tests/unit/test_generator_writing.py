"""Greedy decoding of several conversations at once is transformers' own, of each alone."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import pytest
import torch
from torch import Tensor

from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.packing import Packed, pack, reply_spans
from rasa_onramp.generator.prompt import Exchange
from rasa_onramp.generator.writing import Updates, Writer
from tiny_replies import SCHEMA, prompts, random_updates, reciting, shared_tokens, tiny_llama

pytest.importorskip("transformers")

TOKENS = shared_tokens()
MOST = 12


def often_ending(updates: Optional[Dict[str, Tensor]] = None) -> Any:
    """A Llama that ends its line every few tokens, with updates merged into its weights."""
    llama = tiny_llama(3, tie_word_embeddings=False)
    with torch.no_grad():
        llama.lm_head.weight[TOKENS.end] *= 4
        for name, a in (updates or {}).items():
            if name.endswith(".lora_A.weight"):
                layer = name[: -len(".lora_A.weight")]
                b = (updates or {})[f"{layer}.lora_B.weight"]
                llama.model.get_submodule(layer).weight += b @ a
    return llama


def theirs(llama: Any, prompt: Packed) -> Optional[str]:
    """What transformers generates for one prompt, None if it doesn't end."""
    ids = torch.from_numpy(prompt.ids)[None]
    (end,) = TOKENS.end
    found = llama.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=MOST,
        eos_token_id=end,
        pad_token_id=end,
    )
    new = found[0, ids.shape[1] :].tolist()
    return TOKENS.text(new[:-1]).strip() if new[-1] == end else None


def written(
    model: ReplyModel,
    some: Sequence[Packed],
    updates: Optional[Dict[str, Tensor]] = None,
    **how: Any,
) -> List[Optional[str]]:
    """What a fresh writer writes on, all under the same updates."""
    return Writer(model).write(some, [Updates("", updates or {})] * len(some), **how)


@pytest.fixture(scope="module")
def model() -> ReplyModel:
    return ReplyModel(often_ending(), TOKENS, "tiny")


def test_rows_of_different_lengths_are_written_as_if_alone(model: ReplyModel) -> None:
    some = prompts()
    assert len({len(prompt.ids) for prompt in some}) > 5
    wanted = [theirs(often_ending(), prompt) for prompt in some]
    found = written(model, some, most=MOST)
    assert found == wanted
    # a line that doesn't end is worth nothing, and doesn't keep others from ending
    assert None in found and len(set(found) - {None, ""}) > 1


def test_updates_are_written_under(model: ReplyModel) -> None:
    some, updates = prompts(4), random_updates(model, seed=4)
    wanted = [theirs(often_ending(updates), prompt) for prompt in some]
    assert written(model, some, updates, most=MOST) == wanted
    assert wanted != written(model, some, most=MOST)


def test_what_did_not_end_in_time_is_given_up() -> None:
    model = reciting("Good day to you.")
    some = [pack(model.tokens, SCHEMA, [Exchange(f"User: {'hi ' * n}\nBot:")]) for n in (1, 4)]
    said = ["Good day to you."] * 2
    assert written(model, some) == said
    assert written(model, some, most=2) == said  # the text and its end are a token each
    assert written(model, some, most=1) == [None, None]
    assert written(model, some, seconds=0) == [None, None]
    assert written(model, some, seconds=600) == said


def test_no_prompts_no_replies(model: ReplyModel) -> None:
    assert written(model, []) == []


def test_the_cache_is_always_ours(model: ReplyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases of transformers that Python 3.8 can have answer with tuples where none is given."""
    from transformers import DynamicCache

    given: List[Any] = []
    read = model.model.base_model.forward

    def forward(*args: Any, **how: Any) -> Any:
        given.append(how["past_key_values"])
        return read(*args, **how)

    monkeypatch.setattr(model.model.base_model, "forward", forward)
    some, updates = prompts(2), Updates("a", random_updates(model))
    Writer(model).write(some, [updates] * 2, most=2)
    Writer(model).write_along(some[1], [3, 5], updates, most=2)
    assert len(given) > 3 and all(isinstance(each, DynamicCache) for each in given)


def conversation(length: int = 5) -> List[Exchange]:
    return [
        Exchange(
            f"User: {'is it here ' * (number + 1)}AB{number}\nFacts: track\nBot:", f"r{number}"
        )
        for number in range(length)
    ]


def asked(number: int, said: str = "") -> Packed:
    """The conversation up to its turn `number`, with another last reply if one is given."""
    turns = conversation()[: number + 1]
    if said:
        turns[-2] = Exchange(turns[-2].before, said)
    return pack(TOKENS, SCHEMA, [*turns[:-1], Exchange(turns[-1].before)])


def test_a_conversation_that_goes_on_is_written_as_if_read_anew(model: ReplyModel) -> None:
    updates = [Updates("a", random_updates(model, seed=4)), Updates("b", random_updates(model))]
    writer = Writer(model, merged=0, read=200_000)
    steps = [
        (0, 0, ""),
        (1, 0, ""),
        (1, 1, ""),
        (2, 0, ""),
        (2, 0, "other"),
        (2, 1, ""),
        (4, 0, ""),
    ]
    for number, domain, said in steps:
        prompt = asked(number, said)
        anew = Writer(model).write([prompt], [updates[domain]], most=MOST)
        assert writer.write([prompt], [updates[domain]], most=MOST) == anew
        # and once more, all of it known
        assert writer.write([prompt], [updates[domain]], most=MOST) == anew


def test_domains_are_written_together_as_if_alone(model: ReplyModel) -> None:
    some = prompts(4)
    updates = [Updates(str(n), random_updates(model, seed=n)) for n in (4, 5, 4, 6)]
    found = Writer(model).write(some, updates, most=MOST)
    assert found == [Writer(model).write([p], [u], most=MOST)[0] for p, u in zip(some, updates)]
    assert len(set(found)) > 1


def test_a_conversation_read_once_is_answered_at_every_place(model: ReplyModel) -> None:
    whole, updates = pack(TOKENS, SCHEMA, conversation()), Updates("a", random_updates(model))
    places = [start for start, _ in reply_spans(whole)]
    assert [whole.ids[:place].tolist() for place in places] == [
        asked(number).ids.tolist() for number in range(5)
    ]
    found = Writer(model).write_along(whole, places, updates, most=MOST)
    assert found == Writer(model).write([asked(n) for n in range(5)], [updates] * 5, most=MOST)
    assert len(set(found)) > 1
    assert Writer(model).write_along(whole, [], updates) == []

"""A small domain with dialogues to learn replies from, and tiny language models to learn with."""

from __future__ import annotations

import os
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from rasa_onramp.dialogue import (
    DONTCARE,
    Action,
    Corpus,
    Dialogue,
    Intent,
    Schema,
    Slot,
    Span,
    State,
    Turn,
)
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.packing import Packed, ReplyTokens, pack
from rasa_onramp.generator.prompt import Exchange
from rasa_onramp.generator.situation import Situation, situate

__all__ = [
    "SCHEMA",
    "SUPPORT",
    "corpus",
    "dialogue",
    "embed",
    "now",
    "random_updates",
    "reciting",
    "shared_tokens",
    "system",
    "tiny_llama",
    "tiny_model",
    "tokenizer",
    "user",
    "write_folder",
]

SCHEMA = Schema(
    "parcel_delivery",
    "Find parcels and move deliveries",
    slots=(
        Slot("tracking_number", "Number that identifies the parcel"),
        Slot("status", "Where the parcel is"),
        Slot("expected_day", "Day on which it should arrive"),
        Slot("delivery_day", "Day on which it is wanted"),
        Slot("insured", "Whether it is insured", ("True", "False")),
        Slot("shop", "Parcel shop"),
        Slot("area", "Part of town"),
    ),
    intents=(
        Intent("track", "Find out where a parcel is", ("tracking_number",)),
        Intent(
            "move",
            "Move a delivery to another day",
            ("tracking_number", "delivery_day"),
            {"insured": DONTCARE},
        ),
        Intent("collect", "Collect a parcel from a shop", ("area",), {"shop": DONTCARE}),
    ),
    actions=(
        Action(
            "find", "Look up a parcel", ("tracking_number",), ("status", "expected_day", "insured")
        ),
        Action("shops", "Search shops", ("area",), ("shop", "area")),
        Action("save", "Save a new day", ("tracking_number", "delivery_day")),
    ),
)


def embed(texts: Sequence[str]) -> Tensor:
    """Hashed bags of words: real, deterministic, L2-normalised (texts, 256)."""
    rows = numpy.full((len(texts), 256), 1e-6, dtype=numpy.float32)
    for row, text in zip(rows, texts):
        for word in text.lower().split():
            row[zlib.crc32(word.strip(".,?!'").encode()) % 256] += 1
    return torch.from_numpy(rows / numpy.linalg.norm(rows, axis=1, keepdims=True))


def user(text: str, intent: Any = None, requested: Sequence[str] = (), **values: str) -> Turn:
    """A user turn; `values` are the state's."""
    spellings = {slot: (value,) for slot, value in values.items()}
    return Turn("user", text, State(spellings, intent, tuple(requested)))


def system(text: str, action: Any = None, *results: Mapping[str, str], **marks: str) -> Turn:
    """A system turn; `marks` are values that stand in its text."""
    spans = tuple(
        Span(slot, text.index(value), text.index(value) + len(value))
        for slot, value in marks.items()
    )
    return Turn("system", text, action=action, results=results, spans=spans)


def dialogue(name: str, *turns: Turn) -> Dialogue:
    """A dialogue of the domain."""
    return Dialogue(name, SCHEMA.name, turns, "support")


def now(*turns: Turn, results: Sequence[Mapping[str, Any]] = (), action: Any = None) -> Situation:
    """The situation after `turns`."""
    return situate(SCHEMA, turns, turns[-1].state, results, action)


SUPPORT = (
    dialogue(
        "d1",
        user("where is my parcel", "track", ["status"]),
        system("What is the tracking number?"),
        user("it's AB4821", "track", tracking_number="AB4821"),
        system(
            "Parcel AB4821 is at the depot and due Friday.",
            "find",
            {"status": "at the depot", "expected_day": "friday"},
        ),
        user("thanks, bye", "track", tracking_number="AB4821"),
        system("Goodbye!"),
    ),
    dialogue(
        "d2",
        user("where is AB12", "track", ["status"], tracking_number="AB12"),
        system("Sorry, I can't find AB12.", "find"),
        user("can i collect one in leith", "collect", tracking_number="AB12", area="leith"),
        system(
            "I found 2 shops. There is Spar.",
            "shops",
            {"shop": "Spar", "area": "leith"},
            {"shop": "Co-op", "area": "leith"},
            shop="Spar",
        ),
        user("another one?", "collect", tracking_number="AB12", area="leith"),
        system("There is also Co-op.", shop="Co-op"),
    ),
    dialogue(
        "d3",
        user("move AB3 to sunday", "move", tracking_number="AB3", delivery_day="sunday"),
        system("So that is AB3, Sunday. Is that right?"),
        user("yes", "move", tracking_number="AB3", delivery_day="sunday"),
        system("Done: Sunday. Anything else?", "save"),
    ),
    dialogue(
        "d4",
        user("move AB4 please", "move", tracking_number="AB4"),
        system("How about Tuesday?", delivery_day="Tuesday"),
    ),
)


def corpus(copies: int = 2) -> Corpus:
    """The support dialogues, `copies` times over with other numbers."""
    dialogues = []
    for copy in range(copies):
        for each in SUPPORT:
            turns = tuple(
                user(
                    turn.text.replace("AB", f"C{copy}"),
                    turn.state.active_intent,
                    turn.state.requested_slots,
                    **{k: v[0].replace("AB", f"C{copy}") for k, v in turn.state.values.items()},
                )
                if turn.state is not None
                else Turn(
                    "system",
                    turn.text.replace("AB", f"C{copy}"),
                    action=turn.action,
                    results=turn.results,
                    spans=turn.spans,
                )
                for turn in each.turns
            )
            dialogues.append(Dialogue(f"{each.id}-{copy}", SCHEMA.name, turns))
    return Corpus({SCHEMA.name: SCHEMA}, tuple(dialogues))


def tokenizer() -> Tokenizer:
    """Byte-level pairs learned from the dialogues, as small as they come."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        show_progress=False,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    texts = [turn.text for each in SUPPORT for turn in each.turns]
    made.train_from_iterator([*texts, "User: Facts: Like: Bot: found missing asks"], trainer)
    return made


@lru_cache(maxsize=1)
def shared_tokens() -> ReplyTokens:
    """That tokenizer, once for all tests."""
    return ReplyTokens(tokenizer())


def tiny_llama(seed: int = 0, *, vocabulary: int = 384, **changes: Any) -> Any:
    """A random Llama with 2 layers of 32, in float32."""
    # else transformers imports TensorFlow, where Rasa brought it along
    os.environ.setdefault("USE_TF", "0")
    from transformers import AutoModelForCausalLM, LlamaConfig

    settings: Dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.15,
        "tie_word_embeddings": True,
        "attn_implementation": "eager",
        **changes,
    }
    attention = settings.pop("attn_implementation")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(
            LlamaConfig(**settings), attn_implementation=attention
        ).eval()


def tiny_model(seed: int = 0, **changes: Any) -> ReplyModel:
    """A reply model with nothing learned, on a random Llama."""
    return ReplyModel(tiny_llama(seed, **changes), shared_tokens(), "tiny")


def random_updates(model: ReplyModel, rank: int = 2, seed: int = 1) -> Dict[str, Tensor]:
    """Updates that change a lot."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(value.shape, generator=generator) * 0.2
        for name, value in model.initial_weights(rank, seed).items()
    }


def reciting(text: str) -> ReplyModel:
    """A Llama whose weights are set by hand: after "Bot:" it says `text`, whatever stood before.

    The text is one token; no layer adds anything, so that the head sees the last token alone.
    """
    spoken = tokenizer()
    spoken.add_tokens([AddedToken(f" {text}", normalized=False)])
    llama = tiny_llama(vocabulary=spoken.get_vocab_size(), tie_word_embeddings=False)
    tokens = ReplyTokens(spoken)
    path = [tokens.ids("Bot:")[-1], *tokens.ids(f" {text}"), *tokens.end]
    assert len(path) == 3
    with torch.no_grad():
        for layer in llama.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        words, head = llama.model.embed_tokens.weight, llama.lm_head.weight
        head.zero_()
        for here, there in zip(path, path[1:]):
            head[there] = words[here]
    return ReplyModel(llama, tokens, "reciting")


def write_folder(folder: Path) -> Path:
    """A tiny random language model as files."""
    tiny_llama().save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def prompts(count: int = 8) -> List[Packed]:
    """Prompts of different lengths."""
    return [
        pack(
            shared_tokens(),
            SCHEMA,
            [Exchange(f"User: {'where is it ' * number}AB{number}\nFacts: track\nBot:")],
        )
        for number in range(count)
    ]

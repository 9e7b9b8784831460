"""What the host bot's own intents are trained on, so that its messages are told from ours.

An intent classifier is sure of itself on messages unlike anything it has seen. So the router holds
the bot's own training examples against the domains' dialogues, in one embedding space.
"""

from __future__ import annotations

import json
from operator import itemgetter
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import torch
from rasa.shared.constants import DEFAULT_NLU_FALLBACK_INTENT_NAME
from rasa.shared.core.constants import USER_INTENT_OUT_OF_SCOPE
from rasa.shared.nlu.constants import (
    ENTITIES,
    ENTITY_ATTRIBUTE_END,
    ENTITY_ATTRIBUTE_START,
    INTENT,
    TEXT,
)
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from safetensors.torch import load_file
from torch import Tensor

from rasa_onramp.rasa_names import INTENT as OURS
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.runtime.domain_index import DomainIndex
from rasa_onramp.runtime.router import words_in
from rasa_onramp.weights.tensors import write_tensors

__all__ = ["NOT_THE_BOTS", "examples_in", "index_of", "load_examples", "save_examples"]

_TEXTS, _ROWS = "bot_examples.json", "bot_examples.safetensors"

#: Intents of messages that the bot's own NLU makes nothing of.
NOT_THE_BOTS = (None, DEFAULT_NLU_FALLBACK_INTENT_NAME, USER_INTENT_OUT_OF_SCOPE, OURS)

#: More of one intent add little, and embedding them takes time.
_MOST = 200


def examples_in(training_data: TrainingData) -> Dict[str, List[str]]:
    """The bot's intents with their examples, at most `_MOST` each; without those that are a value
    and nothing else.
    """
    examples: Dict[str, Dict[str, None]] = {}
    for message in training_data.intent_examples:
        intent, text = message.get(INTENT), message.get(TEXT)
        if intent not in NOT_THE_BOTS and _says_more_than_a_value(message):
            found = examples.setdefault(str(intent), {})
            if len(found) < _MOST:
                found[text] = None
    return {intent: list(texts) for intent, texts in sorted(examples.items())}


def save_examples(folder: Path, examples: Dict[str, List[str]], engine: Engine) -> None:
    """Write the examples and their embeddings to `folder`."""
    texts = _texts(examples)
    (folder / _TEXTS).write_text(json.dumps(examples, ensure_ascii=False), encoding="utf-8")
    rows = engine.embed(texts) if texts else torch.zeros(0, 1)
    write_tensors({"rows": rows.half().contiguous()}, folder / _ROWS)


def load_examples(folder: Path) -> Tuple[Dict[str, List[str]], Tensor]:
    """The inverse of `save_examples`. Raises OSError, ValueError if the files aren't whole."""
    examples = json.loads((folder / _TEXTS).read_text(encoding="utf-8"))
    rows = load_file(str(folder / _ROWS))["rows"].float()
    if len(rows) != len(_texts(examples)):
        raise ValueError("the bot's examples and their embeddings don't fit together")
    return examples, rows


def index_of(examples: Dict[str, List[str]], rows: Tensor, engine: Engine) -> Optional[DomainIndex]:
    """The router's index of examples with known embeddings; None if there are none."""
    known = dict(zip(_texts(examples), rows))

    def embed(texts: Sequence[str]) -> Tensor:
        return torch.stack([known[text] for text in texts])

    return DomainIndex.of_bot(examples, embed, engine.background)


def _says_more_than_a_value(message: Message) -> bool:
    """Bare values (an address, a city) answer our questions as well as the bot's."""
    text, start, parts = message.get(TEXT) or "", 0, []
    for entity in sorted(message.get(ENTITIES, []), key=itemgetter(ENTITY_ATTRIBUTE_START)):
        parts.append(text[start : entity[ENTITY_ATTRIBUTE_START]])
        start = max(start, entity[ENTITY_ATTRIBUTE_END])
    return bool(words_in(" ".join([*parts, text[start:]])))


def _texts(examples: Dict[str, List[str]]) -> List[str]:
    return list(dict.fromkeys(text for texts in examples.values() for text in texts))

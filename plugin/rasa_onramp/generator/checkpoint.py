"""Reply models on disk: the meta-learned updates and rates, and for which language model they are.

The language model itself is foreign and never copied: see rasa_onramp.weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Tuple, Union

import torch

from rasa_onramp.checkpoint_files import Parts, read_checkpoint, write_checkpoint
from rasa_onramp.errors import CheckpointError
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.weights import LANGUAGE_MODEL, resolve_language_model

__all__ = [
    "SHIPPED_REPLIES",
    "ReplyCard",
    "available_replies",
    "chosen_replies",
    "load_replies",
    "new_replies",
    "replies_with_room",
    "reply_card",
    "save_replies",
]

#: The initialisation that ships in the package.
SHIPPED_REPLIES = Path(__file__).resolve().parent.parent / "checkpoints" / "replies"

_NAME = "replies"
_MEND = "reinstall rasa-onramp or give a folder written by meta-train-replies"


def save_replies(model: ReplyModel, folder: Union[str, Path]) -> str:
    """Write updates (float16) and rates (float32) to `folder`; returns their digest."""
    config = {
        "language_model": model.name,
        "training_services": list(model.training_services),
        "card": model.card,
    }
    parts = {"weights": model.weights, "rates": model.rates}
    return write_checkpoint(Path(folder), _NAME, parts, config)


def load_replies(
    folder: Optional[Union[str, Path]] = None,
    *,
    language_model: Optional[Union[str, Path]] = None,
    device: Union[str, torch.device] = "cpu",
    attention: str = "sdpa",
) -> ReplyModel:
    """Read an initialisation (None: the shipped one) and the language model that it is for.

    `language_model` is a folder or name to take that one from instead, of the same shape.
    Raises CheckpointError if either is missing, damaged, or they don't fit each other.
    """
    read, parts = _read(folder)
    name = read.language_model
    model = new_replies(language_model or name, device=device, attention=attention)
    wanted = {key: value.shape for key, value in model.initial_weights(rank=1).items()}
    updates, rates = parts.get("weights", {}), parts.get("rates", {})
    for key, value in updates.items():
        # the rank is the initialisation's own; the other size is the language model's
        side = -1 if ".lora_A." in key else 0
        if key not in wanted or value.shape[side] != wanted[key][side]:
            raise CheckpointError(
                f"{folder or SHIPPED_REPLIES} is not for the language model {model.name!r} "
                f"({key}); use {name!r}, or train one for it with meta-train-replies"
            )
    model.weights = {key: value.to(model.device) for key, value in updates.items()}
    model.rates = {key: value.to(model.device) for key, value in rates.items()}
    model.training_services = read.training_services
    model.digest, model.card = read.digest, dict(read.card)
    return model


@dataclass(frozen=True)
class ReplyCard:
    """What an initialisation says of itself; `language_model` is the name or folder of its own."""

    digest: str
    language_model: str
    training_services: Tuple[str, ...]
    card: Mapping[str, Any]


def reply_card(folder: Optional[Union[str, Path]] = None) -> ReplyCard:
    """The card of an initialisation (None: the shipped one) whose files are whole; its language
    model isn't needed. Raises CheckpointError.
    """
    return _read(folder)[0]


def _read(folder: Optional[Union[str, Path]]) -> Tuple[ReplyCard, Parts]:
    folder = SHIPPED_REPLIES if folder is None else Path(folder)
    config, parts = read_checkpoint(folder, _NAME, {"language_model": str}, _MEND)
    services = tuple(config.get("training_services", ()))
    card = ReplyCard(config["sha256"], config["language_model"], services, config.get("card", {}))
    return card, parts


def available_replies(
    tell: Callable[[str], None],
    folder: Optional[Union[str, Path]] = None,
    *,
    device: str = "cpu",
    attention: Optional[Callable[[str], str]] = None,
) -> Optional[ReplyModel]:
    """The initialisation in `folder` (None: the shipped one), as `replies_with_room` places it;
    None, after telling why, where that or its language model can't be had.

    Everything else works without it: replies are then those of the support dialogues.
    """
    try:
        return replies_with_room(tell, folder, device=device, attention=attention)
    except CheckpointError as error:
        tell(f"replies stay those of the support dialogues: {error}")
        return None


def chosen_replies(
    tell: Callable[[str], None],
    folder: Optional[Union[str, Path]],
    *,
    device: str = "cpu",
    attention: Optional[Callable[[str], str]] = None,
) -> Optional[ReplyModel]:
    """The initialisation that was chosen: one in a `folder`, which must be there, as
    `replies_with_room` gives it; or the shipped one (None), which needn't, as `available_replies`
    does.
    """
    take = available_replies if folder is None else replies_with_room
    return take(tell, folder, device=device, attention=attention)


def replies_with_room(
    tell: Callable[[str], None],
    folder: Optional[Union[str, Path]] = None,
    *,
    device: str = "cpu",
    attention: Optional[Callable[[str], str]] = None,
) -> ReplyModel:
    """The initialisation in `folder` (None: the shipped one). Where a GPU has no room for it, or
    can't be used, that is told, and it is on the CPU.

    `attention` says how it attends on a device (None: "sdpa" on each). Raises CheckpointError as
    `load_replies` does.
    """
    how = "sdpa" if attention is None else attention(device)
    try:
        return load_replies(folder, device=device, attention=how)
    except RuntimeError as error:  # too little memory is one; a GPU that others hold another
        if torch.device(device).type == "cpu":
            raise
        reason = str(error).splitlines()[0]
        tell(f"replies are written on the CPU: {device} can't be used ({reason})")
        return replies_with_room(tell, folder, device="cpu", attention=attention)


def new_replies(
    language_model: Union[str, Path] = LANGUAGE_MODEL,
    *,
    device: Union[str, torch.device] = "cpu",
    attention: str = "sdpa",
) -> ReplyModel:
    """A language model with nothing learned on top of it yet. Raises CheckpointError."""
    folder = resolve_language_model(language_model)
    return ReplyModel.load(folder, str(language_model), device=device, attention=attention)

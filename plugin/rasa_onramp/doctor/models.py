"""Whether checkpoints and foreign weights are there and whole, and what computes them."""

from __future__ import annotations

import shutil
import warnings
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Iterator, Optional

from rasa_onramp.doctor.findings import Finding, ok, problem, warning
from rasa_onramp.doctor.subject import Subject
from rasa_onramp.errors import CheckpointError

__all__ = [
    "encoder_findings",
    "gpu_findings",
    "language_model_findings",
    "metric_findings",
    "reply_findings",
    "spacy_findings",
    "tracker_findings",
]

#: What the models and a few conversations take of a GPU's memory.
_GPU_BYTES = 2 * 10**9


def tracker_findings(subject: Subject) -> Iterator[Finding]:
    """The tracker's checkpoint and the router's background. Raises CheckpointError."""
    from rasa_onramp.runtime.background import load_background
    from rasa_onramp.tracker.checkpoint import load_tracker

    digest = load_tracker(subject.checkpoint).digest
    yield ok("tracker", f"{_whose(subject.checkpoint)} checkpoint is whole ({digest[:12]})")
    load_background()
    yield ok("router", "the shipped background is whole")


def reply_findings(subject: Subject) -> Iterator[Finding]:
    """The replies' initialisation. Raises CheckpointError."""
    from rasa_onramp.generator.checkpoint import reply_card

    digest = reply_card(subject.reply_checkpoint).digest
    whose = _whose(subject.reply_checkpoint)
    yield ok("replies", f"{whose} initialisation is whole ({digest[:12]})")


def metric_findings(subject: Subject) -> Iterator[Finding]:
    """The learned metrics that the bot's config.yml names. Raises CheckpointError."""
    from rasa_onramp.metalearning.metric.checkpoint import load_metric

    for setting, purpose in (("router_metric", "domains"), ("reply_metric", "replies")):
        folder = subject.folder(setting)
        if folder is not None:
            load_metric(folder, purpose)
            yield ok(setting, f"{folder} is whole")


def encoder_findings(subject: Subject) -> Iterator[Finding]:
    """The sentence encoder, foreign weights that nothing goes without. Raises CheckpointError."""
    from rasa_onramp.weights import resolve_encoder
    from rasa_onramp.weights.files import flaw

    folder = resolve_encoder(subject.encoder, download=False)
    damage = flaw(folder)
    if damage is None:
        yield ok("encoder", str(folder))
    else:
        yield problem("encoder", f"{damage}; install or copy it anew")


def language_model_findings(subject: Subject) -> Iterator[Finding]:
    """The language model that writes replies, foreign weights too: without it, support replies
    answer.
    """
    from rasa_onramp.generator.checkpoint import reply_card
    from rasa_onramp.weights import LANGUAGE_MODEL, resolve_language_model, source_of

    if not subject.writes_replies:
        yield ok("language model", "config.yml says `replies: false`, so none is needed")
        return
    name = LANGUAGE_MODEL
    with suppress(CheckpointError):  # a damaged initialisation has a check of its own
        name = reply_card(subject.reply_checkpoint).language_model
    try:
        folder = resolve_language_model(name)
    except CheckpointError as error:
        yield warning("language model", f"replies stay those of the support dialogues: {error}")
        return
    if find_spec("transformers") is None:
        yield warning(
            "language model",
            "it is here, but transformers isn't, so replies stay those of the support dialogues; "
            "pip install 'rasa-onramp[generator]'",
        )
        return
    yield ok("language model", f"{folder} (from {source_of(folder)})")


def gpu_findings() -> Iterator[Finding]:
    """What torch computes on."""
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        there = torch.cuda.is_available()
    if not there:
        if said:  # a driver that is too old, mostly
            reason = " ".join(str(said[0].message).split())
            yield warning("gpu", f"torch can't use the GPU ({reason}); mend that, or use the CPU")
        elif shutil.which("nvidia-smi") and torch.version.cuda is None:
            yield warning(
                "gpu",
                f"torch {torch.__version__} is built for the CPU alone, but there seems to be a "
                "GPU; install torch from pytorch.org's CUDA index",
            )
        else:
            yield ok("gpu", f"none; torch {torch.__version__} computes on the CPU")
        return
    for number in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(number)
        try:
            free, total = torch.cuda.mem_get_info(number)
            torch.zeros(1, device=f"cuda:{number}")
        except RuntimeError as error:
            reason = " ".join(str(error).split("\n")[0].split())
            yield warning("gpu", f"{name} can't be used ({reason}); free it, or use the CPU")
            continue
        room = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
        if free < _GPU_BYTES:
            yield warning("gpu", f"{name}: {room}; end what fills it, or replies go to the CPU")
        else:
            yield ok("gpu", f"{name}: {room}")


def spacy_findings() -> Iterator[Finding]:
    """spaCy's English tokeniser, as replies and values are looked through with."""
    from rasa_onramp.generator.spotting import tokens

    found = [token.text for token in tokens("it's RX4821")]
    if found == ["it", "'s", "RX4821"]:
        yield ok("spacy", "the English tokeniser works")
    else:
        yield problem("spacy", f'its tokeniser makes {found} of "it\'s RX4821"; install spaCy anew')


def _whose(folder: Optional[Path]) -> str:
    return "the shipped" if folder is None else f"{folder}'s"

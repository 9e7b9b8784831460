"""What a method is given (a folder with the dialogues), and what it hands back, as JSON.

The support and the held-out dialogues lie in two files of our YAML format, so every method begins
where a user does: with files.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Dialogue, Schema, Span, State
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.protocol import Split
from rasa_onramp.formats import read
from rasa_onramp.formats.yaml_write import yaml_text

__all__ = ["Heard", "Job", "Outcome", "Said", "prepare", "read_job"]

_SUPPORT, _HELD_OUT, _SETTINGS, _OUTCOME = (
    "support.yml",
    "held_out.yml",
    "settings.json",
    "outcome.json",
)


@dataclass(frozen=True)
class Job:
    """One support set, in `folder`. `offers`: our trackers see which values the bot stated."""

    folder: Path
    schema: Schema
    support: Tuple[Dialogue, ...]
    held_out: Tuple[Dialogue, ...]
    seed: int
    threads: int
    offers: bool

    @property
    def support_file(self) -> Path:
        """The support dialogues' file."""
        return self.folder / _SUPPORT

    @property
    def first_message(self) -> str:
        """What the user says first in the first held-out dialogue."""
        return next(turn.text for turn in self.held_out[0].turns if turn.is_user)


@dataclass(frozen=True)
class Heard:
    """What a method makes of a user turn; None and empty where it doesn't say.

    `state` and `spans` come of its own earlier states, `action` (the API call to make before the
    reply) of the true ones. `milliseconds` is the whole turn: understanding, deciding, replying.
    """

    dialogue: str
    turn: int
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    intent: Optional[str] = None
    spans: Sequence[Sequence[Any]] = ()
    action: Optional[str] = None
    milliseconds: Optional[float] = None

    @property
    def state(self) -> State:
        """The state after the turn."""
        return State({slot: tuple(texts) for slot, texts in self.values.items()}, self.intent)

    @property
    def marks(self) -> Tuple[Span, ...]:
        """The spans."""
        return tuple(Span(*mark) for mark in self.spans)


@dataclass(frozen=True)
class Said:
    """A method's reply in place of system turn `turn`, history, state and results given."""

    dialogue: str
    turn: int
    text: str
    template: str
    slots: Sequence[str]


@dataclass
class Outcome:
    """What a method hands back.

    `answered_at` is when (time.time) its first answer to a held-out message was there; `seconds`
    names parts of the time up to then. `gives` says which figures it has: "intents", "states",
    "spans", "actions". `selected` are the ResponseSelector's replies.
    """

    answered_at: float = 0.0
    seconds: Dict[str, float] = field(default_factory=dict)
    gives: List[str] = field(default_factory=list)
    heard: List[Heard] = field(default_factory=list)
    said: List[Said] = field(default_factory=list)
    selected: List[Said] = field(default_factory=list)

    def answered(self) -> None:
        """Note that the first answer is there, if it is the first."""
        self.answered_at = self.answered_at or time.time()

    def save(self, job: Job) -> None:
        """Write it into the job's folder."""
        text = json.dumps(asdict(self), ensure_ascii=False)
        (job.folder / _OUTCOME).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Outcome:
        """What `save` wrote."""
        found = json.loads((folder / _OUTCOME).read_text(encoding="utf-8"))
        found["heard"] = [Heard(**one) for one in found["heard"]]
        for name in ("said", "selected"):
            found[name] = [Said(**one) for one in found[name]]
        return cls(**found)


def prepare(folder: Path, split: Split, shots: int, *, threads: int, offers: bool) -> None:
    """Write a split's dialogues into `folder`, which must be empty. Raises ConfigError where what
    was written isn't read as the same.
    """
    for name, chosen in ((_SUPPORT, split.pool[:shots]), (_HELD_OUT, split.held_out)):
        dialogues = tuple(_unsplit(dialogue) for dialogue in chosen)
        (folder / name).write_text(yaml_text(split.schema, dialogues), encoding="utf-8")
        found = read(folder / name)
        if found.dialogues != dialogues or found.schemas != {split.schema.name: split.schema}:
            raise ConfigError(
                f"the dialogues of {split.schema.name!r} can't be written in our YAML format as "
                "they are; leave this service out"
            )
    settings = {"seed": split.seed, "threads": threads, "offers": offers}
    (folder / _SETTINGS).write_text(json.dumps(settings), encoding="utf-8")


def read_job(folder: Path) -> Job:
    """What `prepare` wrote."""
    support, held_out = read(folder / _SUPPORT), read(folder / _HELD_OUT)
    (schema,) = support.schemas.values()
    settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
    return Job(folder, schema, support.dialogues, held_out.dialogues, **settings)


def _unsplit(dialogue: Dialogue) -> Dialogue:
    """Without its split, since what a file names "held-out" isn't learned from; spans in the order
    of the text, as a file gives them.
    """
    turns = tuple(
        replace(turn, spans=tuple(sorted(turn.spans, key=lambda span: (span.start, span.end))))
        for turn in dialogue.turns
    )
    return Dialogue(dialogue.id, dialogue.domain, turns)

"""Predicted states as dialogue files in SGD's format, for SGD's published scorer.

The scorer is `schema_guided_dst/evaluate.py` in google-research. It takes every `*.json` of the
folder for dialogues, and compares them with the reference dialogues of the same ids.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from rasa_onramp.dialogue import State
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats.jsontext import parse_json
from rasa_onramp.formats.sgd import LIMIT, dialogue_files
from rasa_onramp.formats.sgd_schema import schema_file
from rasa_onramp.formats.source import read_text

__all__ = [
    "Predicted",
    "Written",
    "check_no_json",
    "empty_folder",
    "json_file",
    "state_to_sgd",
    "write_file",
    "write_sgd_predictions",
]

#: By dialogue id and service: a state, or None for an empty one, for each user turn of the
#: dialogue, those without a frame of the service included (as in Dialogue.turns).
Predicted = Mapping[Tuple[str, str], Sequence[Optional[State]]]


class Written(NamedTuple):
    """How many dialogues were written, and the ids of those with predictions for some of their
    services only: they are left out, as the scorer wants every service of a dialogue."""

    dialogues: int
    left_out: Tuple[str, ...]


def write_sgd_predictions(
    source_folder: Union[str, Path], out_folder: Union[str, Path], predicted: Predicted
) -> Written:
    """Copies the dialogues that have predictions, with those in place of the reference states.

    `source_folder` is one that `read_sgd` reads. Dialogue files keep their names but are never
    gzipped; the schema comes along as schema.json.gz, which the scorer doesn't take for dialogues.
    The user's frames keep nothing of the reference but the service: no spans, no dialogue acts.
    Raises FormatError about the source, ConfigError if `out_folder` can't be written or holds JSON
    files already, and ValueError where predictions don't fit the dialogues.
    """
    source, out = Path(source_folder), Path(out_folder)
    text_of_schema = read_text(schema_file(source), LIMIT, within=source)
    files = dialogue_files(source)
    empty_folder(out)
    write_file(out / "schema.json.gz", gzip.compress(text_of_schema.encode("utf-8"), mtime=0))
    services: Dict[str, List[str]] = {}
    for dialogue_id, service in predicted:
        services.setdefault(dialogue_id, []).append(service)
    count, left_out = 0, []
    for path in files:
        written = []
        for dialogue in parse_json(read_text(path, LIMIT, within=source), path):
            known = services.pop(dialogue["dialogue_id"], None)
            if known is None:
                continue
            if Counter(known) != Counter(dialogue["services"]):
                left_out.append(dialogue["dialogue_id"])
                strange = sorted(set(known) - set(dialogue["services"]))
                if strange:
                    raise ValueError(f"{left_out[-1]!r} is not about {strange[0]!r}")
                continue
            written.append(_with_predictions(dialogue, predicted))
        if written:
            name = path.name[: -len(".gz")] if path.suffix == ".gz" else path.name
            write_file(out / name, json_file(written))
            count += len(written)
    if services:
        raise ValueError(f"predictions for {min(services)!r}, which is not in {source}")
    return Written(count, tuple(left_out))


def _with_predictions(dialogue: Dict[str, Any], predicted: Predicted) -> Dict[str, Any]:
    name = dialogue["dialogue_id"]
    user_turns = sum(turn["speaker"] == "USER" for turn in dialogue["turns"])
    for service in dialogue["services"]:
        found = len(predicted[name, service])
        if found != user_turns:
            message = f"{found} states for the {user_turns} user turns of {name!r}"
            raise ValueError(f"{message}, service {service!r}")
    turns = []
    position = 0
    for turn in dialogue["turns"]:
        if turn["speaker"] == "USER":
            frames = [
                {
                    "service": frame["service"],
                    "state": state_to_sgd(predicted[name, frame["service"]][position]),
                }
                for frame in turn["frames"]
            ]
            turns.append({**turn, "frames": frames})
            position += 1
        else:
            turns.append(turn)
    return {**dialogue, "turns": turns}


def state_to_sgd(state: Optional[State]) -> Dict[str, Any]:
    """A frame's `state`."""
    state = state or State()
    return {
        "active_intent": state.active_intent or "NONE",
        "requested_slots": list(state.requested_slots),
        "slot_values": {slot: list(values) for slot, values in state.values.items()},
    }


def empty_folder(out: Path) -> None:
    """Make the folder `out`, or see that it holds no JSON files. Raises ConfigError."""
    check_no_json(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from error


def check_no_json(out: Path) -> None:
    """See that the folder `out`, if it is there, holds no JSON files. Raises ConfigError."""
    try:
        there = sorted(out.glob("*.json*"))
    except OSError as error:
        raise _unwritable(out, error) from error
    if there:
        # Who reads the folder would take them as part of it.
        raise ConfigError(f"{out} holds {there[0].name} already; choose an empty folder")


def _unwritable(out: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{out} can't be written ({error.strerror}); choose another folder")


def json_file(content: Any) -> bytes:
    """What a file of SGD's kind holds for `content`."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def write_file(path: Path, data: bytes) -> None:
    """Write a file. Raises ConfigError."""
    try:
        path.write_bytes(data)
    except OSError as error:
        message = f"{path} can't be written ({error.strerror}); make room or choose another folder"
        raise ConfigError(message) from error

"""Folders in the format of Google's Schema-Guided Dialogue dataset (SGD).

A folder holds `schema.json` and `dialogues_NNN.json`, each plain or gzipped. Format:
https://github.com/google-research-datasets/dstc8-schema-guided-dialogue

A dialogue over several services becomes one Dialogue for each of them, with the same id.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, Optional, Tuple, Union

from rasa_onramp.dialogue import DONTCARE, Corpus, Dialogue, Schema, Span, State, Turn
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.jsontext import line_of, parse_json
from rasa_onramp.formats.sgd_schema import read_sgd_schemas, service_of
from rasa_onramp.formats.shape import Misfit, get, shape
from rasa_onramp.formats.source import read_text
from rasa_onramp.formats.wording import did_you_mean, quote

__all__ = ["LIMIT", "dialogue_files", "read_sgd"]

#: The most bytes a file of the folder may hold, unpacked. SGD's own stay below 2 MiB.
LIMIT = 64 * 2**20

_SPEAKERS = {"USER": "user", "SYSTEM": "system"}


def read_sgd(folder: Union[str, Path], services: Optional[Collection[str]] = None) -> Corpus:
    """Every dialogue of a folder in SGD's format, seen from each of its services.

    `services` keeps to those named. A turn without a frame of the service has neither state nor
    spans. Each intent is also an Action of the same name, as SGD's service calls name intents.
    Raises FormatError.
    """
    folder = Path(folder)
    schemas = read_sgd_schemas(folder, LIMIT)
    if services is not None:
        for name in sorted(services):
            if name not in schemas:
                mend = did_you_mean(name, schemas, "the service in schema.json")
                raise FormatError(f"no service called {quote(name)}", path=folder, mend=mend)
    wanted = set(schemas if services is None else services)
    dialogues: List[Dialogue] = []
    seen: Dict[str, Path] = {}
    for path in dialogue_files(folder):
        text = read_text(path, LIMIT)
        content = parse_json(text, path)
        try:
            for index, raw in enumerate(shape(content, list, "a list of dialogues", ())):
                dialogues.extend(_views(raw, (index,), schemas, wanted, seen, path))
        except Misfit as error:
            line = line_of(text, error.keys)
            raise FormatError(error.message, path=path, line=line, mend=error.mend) from error
    kept = {name: schema for name, schema in schemas.items() if name in wanted}
    return Corpus(schemas=kept, dialogues=tuple(dialogues))


def dialogue_files(folder: Path) -> Tuple[Path, ...]:
    """The folder's `dialogues_*.json` and `.json.gz` files in order; none is fine by itself.

    Raises FormatError where there are JSON files of other names only: they would go unread.
    """
    found = sorted(path for path in folder.iterdir() if path.name.endswith((".json", ".json.gz")))
    files = tuple(path for path in found if path.name.startswith("dialogues_"))
    others = [path for path in found if not path.name.startswith("schema.json")]
    if others and not files:
        mend = "call the dialogue files dialogues_001.json and so on"
        raise FormatError(f"{quote(others[0].name)} is no SGD file name", path=folder, mend=mend)
    return files


def _views(raw, keys, schemas, wanted, seen, path):
    """One Dialogue for each wanted service of an SGD dialogue."""
    shape(raw, dict, "a dialogue", keys)
    dialogue_id = get(raw, "dialogue_id", str, keys)
    if not dialogue_id:
        raise Misfit("a dialogue_id is empty", "give it one", (*keys, "dialogue_id"))
    if dialogue_id in seen:
        where = "" if seen[dialogue_id] == path else f" (also in {seen[dialogue_id].name})"
        raise Misfit(
            f"a second dialogue has the id {quote(dialogue_id)}{where}",
            "give each dialogue its own",
            (*keys, "dialogue_id"),
        )
    seen[dialogue_id] = path
    services = get(raw, "services", list, keys)
    for index, name in enumerate(services):
        service_of(name, schemas, (*keys, "services", index))
        if name in services[:index]:
            message = f"service {quote(name)} is listed twice"
            raise Misfit(message, "list it once", (*keys, "services", index))
    turns: Dict[str, List[Turn]] = {name: [] for name in services if name in wanted}
    previous = "system"
    for index, turn in enumerate(get(raw, "turns", list, keys)):
        previous = _add_turn(turn, (*keys, "turns", index), schemas, services, turns, previous)
    if previous == "system" and not raw["turns"]:
        mend = "give it turns or leave it out"
        raise Misfit(f"dialogue {quote(dialogue_id)} has no turns", mend, keys)
    for service, said in turns.items():
        yield Dialogue(id=dialogue_id, domain=service, turns=tuple(said))


def _add_turn(raw, keys, schemas, services, turns, previous):
    """Adds a turn to the view of each service; returns who spoke."""
    shape(raw, dict, "a turn", keys)
    said_by = get(raw, "speaker", str, keys)
    speaker = _SPEAKERS.get(said_by)
    if speaker is None:
        message = f"unknown speaker {quote(said_by)}"
        raise Misfit(message, "write USER or SYSTEM", (*keys, "speaker"))
    if speaker == previous:
        if keys[-1] == 0:
            message, mend = "the first turn is the system's", "start with a USER turn"
        else:
            message = f"two {said_by} turns in a row"
            mend = "join them into one, or put the other speaker's turn between them"
        raise Misfit(message, mend, keys)
    text = get(raw, "utterance", str, keys)
    if not text.strip():
        raise Misfit("a turn without text", "write what was said", (*keys, "utterance"))
    frames: Dict[str, Tuple[dict, tuple]] = {}
    for index, frame in enumerate(get(raw, "frames", list, keys)):
        frame_keys = (*keys, "frames", index)
        name = get(shape(frame, dict, "a frame", frame_keys), "service", str, frame_keys)
        service_of(name, schemas, (*frame_keys, "service"))
        if name not in services:
            mend = "list it under the dialogue's services"
            raise Misfit(f"a frame of {quote(name)}, which it doesn't list", mend, frame_keys)
        if name in frames:
            raise Misfit(f"two frames of {quote(name)} in a turn", "merge them", frame_keys)
        frames[name] = (frame, frame_keys)
    for service, said in turns.items():
        frame, frame_keys = frames.get(service, ({}, keys))
        said.append(_turn(speaker, text, frame, frame_keys, schemas[service]))
    return speaker


def _turn(speaker, text, frame, keys, schema: Schema) -> Turn:
    slots = {slot.name: slot for slot in schema.slots}
    state = None
    action, parameters, results = None, {}, ()
    if speaker == "user":
        if "state" in frame:
            state = _state(get(frame, "state", dict, keys), (*keys, "state"), schema, slots)
    else:
        if "service_call" in frame:
            call = get(frame, "service_call", dict, keys)
            action, parameters = _call(call, (*keys, "service_call"), schema, slots)
        if "service_results" in frame:
            rows = get(frame, "service_results", list, keys)
            results = _results(rows, (*keys, "service_results"), slots)
    return Turn(
        speaker=speaker,
        text=text,
        state=state,
        action=action,
        parameters=parameters,
        results=results,
        spans=_spans(frame.get("slots", []), text, (*keys, "slots"), slots),
    )


def _state(raw, keys, schema: Schema, slots) -> State:
    values = {}
    at = (*keys, "slot_values")
    for name, spellings in get(raw, "slot_values", dict, keys).items():
        slot = _slot(name, slots, (*at, name))
        if not isinstance(spellings, list) or not spellings:
            mend = "write a list of one or more, or leave the slot out"
            raise Misfit(f"slot {quote(name)} has no value", mend, (*at, name))
        for index, value in enumerate(spellings):
            _filled(value, name, (*at, name, index))
            if slot.values and value not in slot.values and value != DONTCARE:
                mend = did_you_mean(value, slot.values, "it in schema.json")
                message = f"{quote(value)} is not among the values listed for {quote(name)}"
                raise Misfit(message, mend, (*at, name, index))
        values[name] = tuple(spellings)
    intent = get(raw, "active_intent", str, keys)
    if intent == "NONE":
        intent = None
    else:
        _intent(intent, schema, (*keys, "active_intent"))
    at = (*keys, "requested_slots")
    requested = get(raw, "requested_slots", list, keys)
    for index, name in enumerate(requested):
        _slot(name, slots, (*at, index))
    # SGD never repeats one; a file that does means it once.
    return State(values, intent, tuple(dict.fromkeys(requested)))


def _call(raw, keys, schema: Schema, slots) -> Tuple[str, Mapping[str, str]]:
    method = get(raw, "method", str, keys)
    _intent(method, schema, (*keys, "method"))
    parameters = get(raw, "parameters", dict, keys)
    return method, _texts(parameters, (*keys, "parameters"), slots)


def _results(rows, keys, slots) -> Tuple[Mapping[str, str], ...]:
    made = []
    for index, row in enumerate(rows):
        shape(row, dict, "a result", (*keys, index))
        made.append(_texts(row, (*keys, index), slots))
    return tuple(made)


def _texts(raw, keys, slots) -> Mapping[str, str]:
    for name, value in raw.items():
        # The bulk of a file: nothing but the checks here.
        if name not in slots:
            _slot(name, slots, (*keys, name))
        if not isinstance(value, str):
            _filled(value, name, (*keys, name))
    return raw


def _spans(raw, text, keys, slots) -> Tuple[Span, ...]:
    made = []
    for index, item in enumerate(shape(raw, list, "slots", keys)):
        here = (*keys, index)
        name = get(shape(item, dict, "a slot's span", here), "slot", str, here)
        _slot(name, slots, (*here, "slot"))
        if "start" not in item:  # files of SGD's kind mark values copied from elsewhere so
            continue
        start, end = get(item, "start", int, here), get(item, "exclusive_end", int, here)
        if not 0 <= start < end <= len(text):
            message = f"the span {start}-{end} of {quote(name)} is outside the utterance"
            raise Misfit(message, f"keep it within 0-{len(text)}", here)
        made.append(Span(name, start, end))
    return tuple(made)


def _filled(value: Any, name: str, keys) -> None:
    if not isinstance(value, str) or not value.strip():
        message = f"{quote(value)} is no value for {quote(name)}"
        raise Misfit(message, "write a text that isn't empty, or leave it out", keys)


def _slot(name: Any, slots, keys):
    slot = slots.get(name) if isinstance(name, str) else None
    if slot is None:
        raise Misfit(f"unknown slot {quote(name)}", did_you_mean(str(name), slots, "it"), keys)
    return slot


def _intent(name: str, schema: Schema, keys) -> None:
    names = [intent.name for intent in schema.intents]
    if name not in names:
        raise Misfit(f"unknown intent {quote(name)}", did_you_mean(name, names, "it"), keys)

"""Domains and dialogues as a folder in SGD's format, which `read_sgd` reads back.

What SGD can't say: a dialogue's split and an action's URL are left out. SGD's calls name intents,
so an action without an intent of its name becomes one, and an intent without an action an action.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple, Union

from rasa_onramp.dialogue import Action, Dialogue, Intent, Schema, Turn
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.jsontext import parse_json
from rasa_onramp.formats.sgd import LIMIT, SgdDialogues
from rasa_onramp.formats.sgd_frames import Service
from rasa_onramp.formats.sgd_schema import read_sgd_schemas
from rasa_onramp.formats.sgd_write import empty_folder, json_file, state_to_sgd, write_file
from rasa_onramp.formats.shape import Misfit
from rasa_onramp.formats.wording import quote

__all__ = ["as_sgd", "write_sgd"]

#: Dialogues a file, as in SGD.
_A_FILE = 128


def write_sgd(
    folder: Union[str, Path], schemas: Mapping[str, Schema], dialogues: Iterable[Dialogue]
) -> None:
    """Writes `schema.json` and the dialogue files into a new or empty folder.

    Dialogues of one id that say the same in several domains become one over several services; of
    others that share an id, all but the first get their domain's name before it. Raises ConfigError
    if the folder can't be written or holds JSON files already, and ValueError for what the format
    can't say, such as a dialogue that the system begins; the folder is incomplete then.
    """
    out = Path(folder)
    given = {name: as_sgd(schema) for name, schema in schemas.items()}
    for name, schema in schemas.items():
        more = sorted(given[name].tracked_slots ^ schema.tracked_slots)
        if more:
            raise ValueError(
                f"SGD's format can't say the schema of {quote(name)}: there each action is an "
                f"intent, so that a state would hold other slots than now ({quote(more[0])})"
            )
    merged = _merged(dialogues)
    empty_folder(out)
    write_file(out / "schema.json", json_file([_service(schema) for schema in given.values()]))
    _check_schemas(out, given)
    reader = SgdDialogues({name: Service.of(schema) for name, schema in given.items()}, set(given))
    for start in range(0, len(merged), _A_FILE):
        path = out / f"dialogues_{start // _A_FILE + 1:03}.json"
        part = merged[start : start + _A_FILE]
        data = json_file([_checked(name, views, reader, path) for name, views in part])
        if len(data) > LIMIT:
            raise ValueError(f"{len(part)} dialogues are too many for one file of {LIMIT} bytes")
        write_file(path, data)


def _check_schemas(folder: Path, given: Mapping[str, Schema]) -> None:
    """What the format can't say would be lost in silence otherwise. Raises ValueError."""
    try:
        found = read_sgd_schemas(folder, LIMIT)
    except FormatError as error:
        message = f"SGD's format can't say the schemas: {error.message}; {error.mend}"
        raise ValueError(message) from error
    for name, schema in given.items():
        if found.get(name) != schema:
            raise ValueError(f"SGD's format can't say the schema of {quote(name)}")


def _checked(
    name: str, views: Sequence[Dialogue], reader: SgdDialogues, path: Path
) -> Dict[str, Any]:
    """The dialogue as JSON, after a look at whether it says what was meant. Raises ValueError."""
    made = _dialogue(name, views)
    what = f"SGD's format can't say dialogue {quote(views[0].id)} of {quote(views[0].domain)}"
    try:
        raw = parse_json(json_file(made).decode("utf-8"), path)
        found = list(reader.views(raw, (), path))
    except (FormatError, Misfit) as error:
        raise ValueError(f"{what}: {error.message}; {error.mend}") from error
    if found != [replace(view, id=name, split=None) for view in views]:
        raise ValueError(f"{what}: it would be read as something else")
    return made


def as_sgd(schema: Schema) -> Schema:
    """`schema` as it comes back from SGD's format: each intent an action too, and each action an
    intent, and no URLs.
    """
    actions = {action.name: action for action in schema.actions}
    intents = {intent.name: intent for intent in schema.intents}
    for action in schema.actions:
        if action.name not in intents:
            intents[action.name] = Intent(action.name, action.description, action.required_slots)
    made = tuple(
        Action(
            intent.name,
            intent.description,
            intent.required_slots,
            actions[intent.name].result_slots if intent.name in actions else (),
        )
        for intent in intents.values()
    )
    return replace(schema, intents=tuple(intents.values()), actions=made)


def _merged(dialogues: Iterable[Dialogue]) -> List[Tuple[str, List[Dialogue]]]:
    """Dialogues by the id that the file gives them, each with its views from several domains."""
    found: Dict[str, List[Dialogue]] = {}
    for dialogue in dialogues:
        name = dialogue.id
        while name in found and not _alike(found[name], dialogue):
            name = f"{dialogue.domain}/{name}"
        found.setdefault(name, []).append(dialogue)
    return list(found.items())


def _alike(views: Sequence[Dialogue], dialogue: Dialogue) -> bool:
    said = [(turn.speaker, turn.text) for turn in dialogue.turns]
    return said == [(turn.speaker, turn.text) for turn in views[0].turns] and all(
        view.domain != dialogue.domain for view in views
    )


def _service(schema: Schema) -> Dict[str, Any]:
    called = {action.name: action for action in schema.actions}
    return {
        "service_name": schema.name,
        "description": schema.description,
        "slots": [
            {
                "name": slot.name,
                "description": slot.description,
                "is_categorical": slot.categorical,
                "possible_values": list(slot.values),
            }
            for slot in schema.slots
        ],
        "intents": [
            {
                "name": intent.name,
                "description": intent.description,
                "is_transactional": False,  # not known here
                "required_slots": list(intent.required_slots),
                "optional_slots": dict(intent.optional_slots),
                "result_slots": list(called[intent.name].result_slots),
            }
            for intent in schema.intents
        ],
    }


def _dialogue(name: str, views: Sequence[Dialogue]) -> Dict[str, Any]:
    return {
        "dialogue_id": name,
        "services": [view.domain for view in views],
        "turns": [
            {
                "speaker": said[0].speaker.upper(),
                "utterance": said[0].text,
                "frames": [
                    _frame(view.domain, turn)
                    for view, turn in zip(views, said)
                    if turn.state is not None or turn.spans or turn.action is not None
                ],
            }
            for said in zip(*(view.turns for view in views))
        ],
    }


def _frame(service: str, turn: Turn) -> Dict[str, Any]:
    frame: Dict[str, Any] = {"service": service, "actions": [], "slots": []}
    for span in turn.spans:
        slot = {"slot": span.slot, "start": span.start, "exclusive_end": span.end}
        frame["slots"].append(slot)
    if turn.state is not None:
        frame["state"] = state_to_sgd(turn.state)
    if turn.action is not None:
        frame["service_call"] = {"method": turn.action, "parameters": dict(turn.parameters)}
        frame["service_results"] = [dict(row) for row in turn.results]
    return frame

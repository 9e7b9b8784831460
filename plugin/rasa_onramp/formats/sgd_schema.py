"""`schema.json` of a folder in SGD's format: services, their slots and intents."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Set, Tuple, Union

from rasa_onramp.dialogue import DONTCARE, Action, Intent, Schema, Slot
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.jsontext import line_of, parse_json
from rasa_onramp.formats.shape import Keys, Misfit, get, shape
from rasa_onramp.formats.source import read_text
from rasa_onramp.formats.wording import did_you_mean, quote

__all__ = ["read_sgd_schemas", "schema_file"]

_LIMIT = 16 * 2**20


def read_sgd_schemas(folder: Union[str, Path], limit: int = _LIMIT) -> Mapping[str, Schema]:
    """The schemas of a folder in SGD's format by service name, without reading its dialogues.

    `limit` is the most bytes the file may hold. Raises FormatError.
    """
    path = schema_file(Path(folder))
    text = read_text(path, limit, within=path.parent)
    content = parse_json(text, path)
    schemas: Dict[str, Schema] = {}
    try:
        for index, raw in enumerate(shape(content, list, "schema.json", ())):
            schema = _schema(shape(raw, dict, "a service", (index,)), (index,))
            if schema.name in schemas:
                message = f"a second service is called {quote(schema.name)}"
                raise Misfit(message, "give each its own name", (index, "service_name"))
            schemas[schema.name] = schema
        if not schemas:
            raise Misfit("no services", "describe one at least", ())
    except Misfit as error:
        line = line_of(text, error.keys)
        raise FormatError(error.message, path=path, line=line, mend=error.mend) from error
    return schemas


def schema_file(folder: Path) -> Path:
    """The folder's `schema.json` or `schema.json.gz`. Raises FormatError if there is none."""
    if not folder.is_dir():
        problem = "not a folder" if folder.exists() else "no such folder"
        raise FormatError(problem, path=folder, mend="give a folder that holds a schema.json")
    for name in ("schema.json", "schema.json.gz"):
        if (folder / name).exists():
            return folder / name
    mend = "put SGD's schema.json next to the dialogue files"
    raise FormatError("no schema.json in the folder", path=folder, mend=mend)


def _schema(raw: Dict[str, Any], keys: Keys) -> Schema:
    name = _name(raw, "service_name", keys)
    slots = tuple(
        _slot(shape(item, dict, "a slot", here), here) for item, here in _items(raw, "slots", keys)
    )
    if not slots:
        message = f"service {quote(name)} has no slots"
        raise Misfit(message, "describe its slots", (*keys, "slots"))
    known = _unique([slot.name for slot in slots], "slot", (*keys, "slots"))
    intents = []
    actions = []
    for item, here in _items(raw, "intents", keys):
        intent, action = _intent(shape(item, dict, "an intent", here), here, known)
        intents.append(intent)
        actions.append(action)
    _unique([intent.name for intent in intents], "intent", (*keys, "intents"))
    return Schema(name, _description(raw, keys), slots, tuple(intents), tuple(actions))


def _slot(raw: Dict[str, Any], keys: Keys) -> Slot:
    name = _name(raw, "name", keys)
    values: Tuple[str, ...] = ()
    # Some free slots list example values too: only `is_categorical` says that no others count.
    if get(raw, "is_categorical", bool, keys):
        listed = get(raw, "possible_values", list, keys)
        at = (*keys, "possible_values")
        for index, value in enumerate(listed):
            if not shape(value, str, "a value", (*at, index)).strip():
                raise Misfit(f"a value of {quote(name)} is empty", "remove it", (*at, index))
        if not listed:
            mend = "list them, or set is_categorical to false"
            raise Misfit(f"slot {quote(name)} is categorical without values", mend, keys)
        _unique(listed, "value", at)
        # Files of SGD's kind may list it; here every slot can have it.
        values = tuple(value for value in listed if value != DONTCARE)
    return Slot(name, _description(raw, keys), values)


def _intent(raw: Dict[str, Any], keys: Keys, known: Set[str]) -> Tuple[Intent, Action]:
    name = _name(raw, "name", keys)
    description = _description(raw, keys)
    required = tuple(
        _known(item, known, here) for item, here in _items(raw, "required_slots", keys)
    )
    optional = get(raw, "optional_slots", dict, keys) if "optional_slots" in raw else {}
    for slot, value in optional.items():
        here = (*keys, "optional_slots", slot)
        _known(slot, known, here)
        shape(value, str, f"the default of {quote(slot)}", here)
    results: Tuple[str, ...] = ()
    if "result_slots" in raw:
        results = tuple(
            _known(item, known, here) for item, here in _items(raw, "result_slots", keys)
        )
    intent = Intent(name, description, required, optional)
    return intent, Action(name, description, required, results)


def _items(raw: Dict[str, Any], key: str, keys: Keys) -> List[Tuple[Any, Keys]]:
    return [(item, (*keys, key, index)) for index, item in enumerate(get(raw, key, list, keys))]


def _name(raw: Dict[str, Any], key: str, keys: Keys) -> str:
    name = get(raw, key, str, keys)
    if not name.strip():
        raise Misfit(f"{key!r} is empty", "give it a name", (*keys, key))
    if not name.isprintable():
        raise Misfit(f"{quote(name)} is no name", "write it in printable characters", (*keys, key))
    return name


def _description(raw: Dict[str, Any], keys: Keys) -> str:
    return get(raw, "description", str, keys) if "description" in raw else ""


def _known(name: Any, known: Set[str], keys: Keys) -> str:
    if not isinstance(name, str) or name not in known:
        mend = did_you_mean(str(name), sorted(known), "it under slots")
        raise Misfit(f"unknown slot {quote(name)}", mend, keys)
    return name


def _unique(names: List[str], what: str, keys: Keys) -> Set[str]:
    seen: Set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise Misfit(f"a second {what} {quote(name)}", "name each once", (*keys, index))
        seen.add(name)
    return seen

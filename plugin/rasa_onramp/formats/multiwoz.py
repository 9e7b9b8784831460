"""MultiWOZ 2.2, whose files are like SGD's: https://github.com/budzianowski/multiwoz

A folder of `dialogues_NNN.json` (train, dev or test), with `schema.json` in it or, as in MultiWOZ's
repository, beside it. What differs from SGD:

- Every user turn has a frame of every service; those that the dialogue doesn't list are passed
  over. In a dialogue over several services, a frame that changes nothing, asks nothing and names no
  intent is none: the turn says nothing to that service.
- A state's values may be other spellings than the listed ones; those that aren't listed but for
  case are left out. So are requests for slots that schema.json lacks.
- No API calls are recorded, so domains have no actions.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Collection, Dict, Iterator, List, Optional, Union

from rasa_onramp.dialogue import DONTCARE, Corpus, Dialogue, State, Turn
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.sgd import LIMIT, SgdDialogues, dialogue_files, read_folder
from rasa_onramp.formats.sgd_frames import Service
from rasa_onramp.formats.sgd_schema import read_sgd_schemas
from rasa_onramp.formats.shape import Keys, get
from rasa_onramp.formats.yaml_dialogues import listed_value

__all__ = ["read_multiwoz"]


def read_multiwoz(folder: Union[str, Path], services: Optional[Collection[str]] = None) -> Corpus:
    """Every dialogue of a folder of MultiWOZ 2.2, seen from each of its services. `services` keeps
    to those named. Raises FormatError.
    """
    folder = Path(folder)
    inside, above = any(folder.glob("schema.json*")), any(folder.parent.glob("schema.json*"))
    schemas = read_sgd_schemas(folder.parent if above and not inside else folder, LIMIT)
    if not any(folder.glob("dialogues_*.json*")):
        mend = "name the folder that holds them: train, dev or test"
        raise FormatError("no dialogues_*.json in the folder", path=folder, mend=mend)
    dialogue_files(folder)  # what it says of the names comes first
    bare = {name: replace(schema, actions=()) for name, schema in schemas.items()}
    return read_folder(folder, bare, services, _Dialogues)


class _Dialogues(SgdDialogues):
    passes_over_unlisted = True

    def views(self, raw: Any, keys: Keys, path: Path) -> Iterator[Dialogue]:
        for view in super().views(raw, keys, path):
            yield _without_idle_turns(view) if len(raw["services"]) > 1 else view

    def turn(
        self, speaker: str, text: str, frame: Dict[str, Any], keys: Keys, service: Service
    ) -> Turn:
        if "state" in frame:
            state = get(frame, "state", dict, keys)
            frame = {**frame, "state": _with_known_names(state, (*keys, "state"), service)}
        return super().turn(speaker, text, frame, keys, service)


def _with_known_names(state: Dict[str, Any], keys: Keys, service: Service) -> Dict[str, Any]:
    """A frame's state without the values and requests that schema.json doesn't know, and the slots
    that no intent names.
    """
    values: Dict[str, Any] = {}
    for name, spellings in get(state, "slot_values", dict, keys).items():
        slot = service.slots.get(name)
        if slot is not None and name not in service.tracked:
            continue
        if slot is None or not slot.values or not isinstance(spellings, list):
            values[name] = spellings
            continue
        texts = [value for value in spellings if isinstance(value, str)]
        found = [value if value == DONTCARE else listed_value(value, slot) for value in texts]
        known = list(dict.fromkeys(value for value in found if value is not None))
        if known or len(texts) < len(spellings):
            values[name] = known or spellings
    requested: List[Any] = get(state, "requested_slots", list, keys)
    return {
        **state,
        "slot_values": values,
        "requested_slots": [
            name for name in requested if not isinstance(name, str) or name in service.slots
        ],
    }


def _without_idle_turns(view: Dialogue) -> Dialogue:
    turns: List[Turn] = []
    before = State()
    for turn in view.turns:
        state = turn.state
        if state is not None:
            if State(before.values) == state:
                turn = replace(turn, state=None, spans=())
            else:
                before = state
        turns.append(turn)
    return replace(view, turns=tuple(turns))

"""Folders in the format of Google's Schema-Guided Dialogue dataset (SGD).

A folder holds `schema.json` and `dialogues_NNN.json`, each plain or gzipped. Format:
https://github.com/google-research-datasets/dstc8-schema-guided-dialogue

A dialogue over several services becomes one Dialogue for each of them, with the same id.
"""

from __future__ import annotations

from pathlib import Path
from typing import (
    Any,
    Collection,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Set,
    Tuple,
    Type,
    Union,
)

from rasa_onramp.dialogue import Corpus, Dialogue, Schema, Turn
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.jsontext import line_of, parse_json
from rasa_onramp.formats.sgd_frames import Service, read_turn
from rasa_onramp.formats.sgd_schema import read_sgd_schemas
from rasa_onramp.formats.shape import Keys, Misfit, get, shape
from rasa_onramp.formats.source import read_text
from rasa_onramp.formats.wording import did_you_mean, quote

__all__ = ["LIMIT", "SgdDialogues", "dialogue_files", "read_folder", "read_sgd"]

#: The most bytes a file of the folder may hold, unpacked. SGD's own stay below 2 MiB.
LIMIT = 64 * 2**20

#: The most turns that the views of one dialogue, and of a folder's, may have: a few services and
#: turns multiply to more than any memory. SGD's own train folder makes some 600,000.
_MOST_OF_A_DIALOGUE = 100_000
_MOST_OF_A_FOLDER = 2_000_000

_SPEAKERS = {"USER": "user", "SYSTEM": "system"}


def read_sgd(folder: Union[str, Path], services: Optional[Collection[str]] = None) -> Corpus:
    """Every dialogue of a folder in SGD's format, seen from each of its services.

    `services` keeps to those named. A turn without a frame of the service has neither state nor
    spans. Each intent is also an Action of the same name, as SGD's service calls name intents.
    Raises FormatError.
    """
    folder = Path(folder)
    schemas = read_sgd_schemas(folder, LIMIT)
    return read_folder(folder, schemas, services, SgdDialogues)


def read_folder(
    folder: Path,
    schemas: Mapping[str, Schema],
    services: Optional[Collection[str]],
    kind: Type[SgdDialogues],
) -> Corpus:
    """The dialogue files of `folder`, read as `kind` reads them. Raises FormatError."""
    for name in services or ():
        if name not in schemas:
            mend = did_you_mean(name, schemas, "it in schema.json")
            raise FormatError(f"no service called {quote(name)}", path=folder, mend=mend)
    wanted = {name: schemas[name] for name in schemas if services is None or name in services}
    reader = kind({name: Service.of(schema) for name, schema in schemas.items()}, set(wanted))
    dialogues: List[Dialogue] = []
    made = 0
    for path in dialogue_files(folder):
        text = read_text(path, LIMIT, within=folder)
        content = parse_json(text, path)
        try:
            for index, raw in enumerate(shape(content, list, "the file", ())):
                views = list(reader.views(raw, (index,), path))
                dialogues += views
                made += sum(len(view.turns) for view in views)
                if made > _MOST_OF_A_FOLDER:
                    message = f"up to here the folder makes {made} turns, each service's by itself"
                    raise Misfit(message, "import it in parts", (index,))
        except Misfit as error:
            line = line_of(text, error.keys)
            raise FormatError(error.message, path=path, line=line, mend=error.mend) from error
    return Corpus(schemas=wanted, dialogues=tuple(dialogues))


def dialogue_files(folder: Path) -> Tuple[Path, ...]:
    """The folder's `dialogues_*.json` and `.json.gz` files in order; none is fine by itself.

    Raises FormatError where there are JSON files of other names only, as they would go unread, and
    where a file is there both plain and gzipped.
    """
    try:
        names = sorted(folder.iterdir())
    except OSError as error:
        message, mend = f"can't be listed ({error.strerror})", "check its permissions"
        raise FormatError(message, path=folder, mend=mend) from error
    found = [path for path in names if path.name.endswith((".json", ".json.gz"))]
    files = tuple(path for path in found if path.name.startswith("dialogues_"))
    others = [path for path in found if not path.name.startswith("schema.json")]
    if others and not files:
        mend = "call the dialogue files dialogues_001.json and so on"
        raise FormatError(f"{quote(others[0].name)} is no SGD file name", path=folder, mend=mend)
    for path in files:
        if path.suffix == ".gz" and path.with_suffix("") in files:
            message = f"{quote(path.name)} is there unpacked too"
            raise FormatError(message, path=folder, mend="remove one of the two")
    return files


class SgdDialogues:
    """Reads dialogues one by one, and remembers whose ids it has seen."""

    #: Whether frames of services that the dialogue doesn't list are passed over.
    passes_over_unlisted = False

    def __init__(self, services: Mapping[str, Service], wanted: Set[str]):
        self.services = services
        self.wanted = wanted
        self.seen: Dict[str, Path] = {}

    def views(self, raw: Any, keys: Keys, path: Path) -> Iterator[Dialogue]:
        """One Dialogue for each wanted service of an SGD dialogue. Raises Misfit."""
        name = self._new_id(shape(raw, dict, "a dialogue", keys), keys, path)
        services: Dict[str, None] = {}
        for index, service in enumerate(get(raw, "services", list, keys)):
            at = (*keys, "services", index)
            self._check_service(service, at)
            if service in services:
                raise Misfit(f"service {quote(service)} is listed twice", "list it once", at)
            services[service] = None
        turns = get(raw, "turns", list, keys)
        if not turns:
            mend = "give it turns or leave it out"
            raise Misfit(f"dialogue {quote(name)} has no turns", mend, (*keys, "turns"))
        if len(services) * len(turns) > _MOST_OF_A_DIALOGUE:
            message = f"{len(services)} services x {len(turns)} turns in dialogue {quote(name)}"
            mend = f"keep to {_MOST_OF_A_DIALOGUE}; list the services that it is about only"
            raise Misfit(message, mend, (*keys, "services"))
        views: Dict[str, List[Turn]] = {each: [] for each in services if each in self.wanted}
        previous = None
        for index, turn in enumerate(turns):
            previous = self._add_turn(turn, (*keys, "turns", index), services, views, previous)
        for service, said in views.items():
            yield Dialogue(id=name, domain=service, turns=tuple(said))

    def _new_id(self, raw: Dict[str, Any], keys: Keys, path: Path) -> str:
        name: str = get(raw, "dialogue_id", str, keys)
        if not name.strip():
            raise Misfit("a dialogue's id is empty", "give it one", (*keys, "dialogue_id"))
        if name in self.seen:
            first = self.seen[name]
            where = "" if first == path else f" (first in {first.name})"
            message = f"a second dialogue has the id {quote(name)}{where}"
            raise Misfit(message, "give each dialogue its own", (*keys, "dialogue_id"))
        self.seen[name] = path
        return name

    def _add_turn(
        self,
        raw: Any,
        keys: Keys,
        services: Collection[str],
        views: Dict[str, List[Turn]],
        previous: Optional[str],
    ) -> str:
        """Adds a turn to the view of each service; returns who spoke."""
        name = get(shape(raw, dict, "a turn", keys), "speaker", str, keys)
        speaker = _SPEAKERS.get(name)
        if speaker is None:
            message = f"unknown speaker {quote(name)}"
            raise Misfit(message, "write USER or SYSTEM", (*keys, "speaker"))
        if previous is None and speaker == "system":
            raise Misfit("the first turn is the system's", "start with a USER turn", keys)
        if previous == speaker == "user":
            mend = "join them, or put a SYSTEM turn between them"
            raise Misfit("two USER turns in a row", mend, keys)
        text = get(raw, "utterance", str, keys)
        if not text.strip():
            raise Misfit("a turn without text", "write what was said", (*keys, "utterance"))
        frames: Dict[str, Tuple[Dict[str, Any], Keys]] = {}
        for index, frame in enumerate(get(raw, "frames", list, keys)):
            at = (*keys, "frames", index)
            service = get(shape(frame, dict, "a frame", at), "service", str, at)
            self._check_service(service, (*at, "service"))
            if service not in services:
                if self.passes_over_unlisted:
                    continue
                mend = "list it under the dialogue's services"
                message = f"a frame of {quote(service)}, which the dialogue doesn't list"
                raise Misfit(message, mend, (*at, "service"))
            if service in frames:
                raise Misfit(f"two frames of {quote(service)} in a turn", "merge them", at)
            frames[service] = frame, at
        for service, said in views.items():
            frame, at = frames.get(service, ({}, keys))
            said.append(self.turn(speaker, text, frame, at, self.services[service]))
        return speaker

    def turn(
        self, speaker: str, text: str, frame: Dict[str, Any], keys: Keys, service: Service
    ) -> Turn:
        """The turn as `service` sees it. Raises Misfit."""
        return read_turn(speaker, text, frame, keys, service)

    def _check_service(self, name: Any, keys: Keys) -> None:
        if not isinstance(name, str) or name not in self.services:
            mend = did_you_mean(str(name), self.services, "it in schema.json")
            raise Misfit(f"schema.json has no service {quote(name)}", mend, keys)

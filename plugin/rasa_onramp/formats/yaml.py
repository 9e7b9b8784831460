"""Our own format: one YAML file a domain, its schema and its dialogues. See docs/formats.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterable, Tuple, Union

from rasa_onramp.dialogue import Corpus, Dialogue, Schema
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.nodes import Fields, Mistake, Node, Text, parse_nodes
from rasa_onramp.formats.source import read_text
from rasa_onramp.formats.wording import quote
from rasa_onramp.formats.yaml_dialogues import read_dialogue
from rasa_onramp.formats.yaml_fields import fields, items
from rasa_onramp.formats.yaml_schema import VERSION, read_schema
from rasa_onramp.formats.yaml_write import yaml_text

__all__ = ["LIMIT", "TooLarge", "parse_yaml", "read_yaml", "write_yaml", "yaml_file"]

#: The most bytes a file may hold: a thousand dialogues and more.
LIMIT = 4 * 2**20

_KEYS = ("onramp", "domain", "dialogues")
#: What tells a file of a Rasa bot.
_OF_RASA = {"stories", "nlu", "responses", "rules", "intents", "pipeline", "policies"}


class TooLarge(ValueError):
    """More than a file may hold."""


def read_yaml(path: Union[str, Path]) -> Corpus:
    """The domain and the dialogues that a file in our YAML format holds. Raises FormatError."""
    path = Path(path)
    return parse_yaml(read_text(path, LIMIT), path)


def parse_yaml(text: str, path: Union[str, Path]) -> Corpus:
    """Like `read_yaml`, of a text; `path` is the name that errors give it. Raises FormatError."""
    try:
        return _corpus(parse_nodes(text))
    except Mistake as error:
        raise FormatError(error.message, path=path, line=error.line, mend=error.mend) from error


def write_yaml(path: Union[str, Path], schema: Schema, dialogues: Iterable[Dialogue]) -> None:
    """Writes a domain and its dialogues, so that `read_yaml` gives the same back.

    Spans come back in the order of the text. Raises ValueError, and writes nothing, where the
    format can't say something: spans that overlap, a name with spaces, another domain's dialogue.
    """
    Path(path).write_bytes(yaml_file(schema, dialogues))


def yaml_file(schema: Schema, dialogues: Iterable[Dialogue]) -> bytes:
    """What `write_yaml` writes. Raises ValueError, which is TooLarge for more than a file holds."""
    written = tuple(dialogues)
    try:
        return _checked(schema, written)
    except TooLarge:
        raise
    except ValueError as error:
        what = _unsayable(schema, written)
        raise ValueError(f"the YAML format can't say {what}: {error}") from error


def _checked(schema: Schema, dialogues: Tuple[Dialogue, ...]) -> bytes:
    """The file, after a look at whether it says what was meant: what it can't say would be lost in
    silence otherwise. Raises ValueError.
    """
    text = yaml_text(schema, dialogues)
    data = text.encode("utf-8")
    if len(data) > LIMIT:
        what = f"{len(dialogues)} dialogues are too many"
        if len(dialogues) == 1:
            what = f"dialogue {quote(dialogues[0].id)} is too long"
        raise TooLarge(f"{what} for one file of {LIMIT} bytes")
    try:
        found = _corpus(parse_nodes(text))
    except Mistake as mistake:
        raise ValueError(f"{mistake.message}; {mistake.mend}") from mistake
    if found.schemas != {schema.name: schema} or found.dialogues != tuple(
        map(_in_order, dialogues)
    ):
        raise ValueError("it would be read as something else")
    return data


def _unsayable(schema: Schema, dialogues: Tuple[Dialogue, ...]) -> str:
    """Which it is that can't be said, by saying each alone."""
    said: Tuple[Dialogue, ...] = ()
    try:
        _checked(schema, said)
        for dialogue in dialogues:
            said = (dialogue,)
            _checked(schema, said)
    except ValueError:
        return f"dialogue {quote(said[0].id)}" if said else f"the schema of {quote(schema.name)}"
    return "these dialogues together"


def _corpus(root: Node) -> Corpus:
    if not isinstance(root, Fields) or "onramp" not in root.values:
        mend = f'start it with onramp: "{VERSION}"'
        if isinstance(root, Fields) and not _OF_RASA.isdisjoint(root.values):
            mend = "read a Rasa bot's stories with --format stories --domain NAME, or --schema FILE"
        raise Mistake("not a file in rasa-onramp's format", mend, root.line)
    version = root.values["onramp"]
    if not isinstance(version, Text) or version.value != VERSION:
        found = quote(version.value) if isinstance(version, Text) else "that"
        mend = f'write onramp: "{VERSION}"'
        raise Mistake(f"there is no version {found} of the format", mend, version.line)
    fields(root, "the file", _KEYS, required=("domain",))
    schema = read_schema(root.values["domain"])
    taken: Dict[str, int] = {}
    dialogues = tuple(read_dialogue(item, schema, taken) for item in items(root, "dialogues"))
    return Corpus(schemas={schema.name: schema}, dialogues=dialogues)


def _in_order(dialogue: Dialogue) -> Dialogue:
    turns = tuple(
        replace(turn, spans=tuple(sorted(turn.spans, key=lambda span: (span.start, span.end))))
        for turn in dialogue.turns
    )
    return replace(dialogue, turns=turns)

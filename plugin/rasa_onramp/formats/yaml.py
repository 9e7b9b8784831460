"""Our own format: one YAML file a domain, its schema and its dialogues. See docs/formats.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterable, Union

from rasa_onramp.dialogue import Corpus, Dialogue, Schema
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.nodes import Fields, Mistake, Node, Text, parse_nodes
from rasa_onramp.formats.source import read_text
from rasa_onramp.formats.wording import quote
from rasa_onramp.formats.yaml_dialogues import read_dialogue
from rasa_onramp.formats.yaml_fields import fields, items
from rasa_onramp.formats.yaml_schema import VERSION, read_schema
from rasa_onramp.formats.yaml_write import yaml_text

__all__ = ["LIMIT", "parse_yaml", "read_yaml", "write_yaml"]

#: The most bytes a file may hold: a thousand dialogues and more.
LIMIT = 4 * 2**20

_KEYS = ("onramp", "domain", "dialogues")


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
    path = Path(path)
    written = tuple(dialogues)
    text = yaml_text(schema, written)
    data = text.encode("utf-8")
    if len(data) > LIMIT:
        raise ValueError(f"{len(written)} dialogues are too many for one file of {LIMIT} bytes")
    # What can't be said would be lost in silence otherwise.
    try:
        found = parse_yaml(text, path)
    except FormatError as error:
        raise ValueError(f"the YAML format can't say this: {error}") from error
    if found.schemas != {schema.name: schema}:
        raise ValueError(f"the YAML format can't say the schema of {quote(schema.name)}")
    for before, after in zip(written, found.dialogues):
        if _in_order(before) != after:
            raise ValueError(f"the YAML format can't say dialogue {quote(before.id)}")
    path.write_bytes(data)


def _corpus(root: Node) -> Corpus:
    if not isinstance(root, Fields) or "onramp" not in root.values:
        mend = f'start it with onramp: "{VERSION}"'
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

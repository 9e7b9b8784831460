"""Rasa's stories: `- user:` and `- bot:` say what is said, `- intent:` and `- action: utter_…` name
an NLU example and a response, which are looked up in the same folder. docs/formats.md says how.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple, Union

from rasa_onramp.dialogue import Corpus, Dialogue, Schema
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.nodes import Fields, Items, Mistake, Node, Text, parse_nodes
from rasa_onramp.formats.rasa_parts import Entity
from rasa_onramp.formats.rasa_text import parse_annotated
from rasa_onramp.formats.rasa_training import Training
from rasa_onramp.formats.rasa_turns import RasaTurns
from rasa_onramp.formats.room import Room
from rasa_onramp.formats.shape import Misfit
from rasa_onramp.formats.source import check_inside, read_text
from rasa_onramp.formats.wording import did_you_mean, quote
from rasa_onramp.formats.yaml_fields import fields, items, text

__all__ = ["LIMIT", "read_stories"]

#: The most bytes a file may hold.
LIMIT = 4 * 2**20

#: The most dialogues that the OR steps of one story may make.
_ALTERNATIVES = 32

#: The most characters that responses and examples may come to in a turn of the bot's, in a story,
#: and in all that is read: small files multiply by naming them often, with long values.
_TURN, _STORY, _ALL = 2**16, 2**20, 2**26

_PIECE = 65_536  # bytes of a line that are looked at at once
_PARTS = ("stories", "nlu", "responses")

#: Folders of packages, which may bring training data of their own.
_NOT_THE_BOTS = ("site-packages", "node_modules")

#: What the names of Rasa's test stories begin with, and the folder where it puts those that failed.
_TESTS, _RESULTS = "test_", "results"
_STEPS = ("user", "intent", "bot", "action", "slot_was_set", "active_loop", "checkpoint", "or")
_MORE = ("intent", "entities", "metadata")
_PLACEHOLDER = re.compile(r"\{([\w-]+)\}")


def read_stories(path: Union[str, Path], schema: Schema) -> Corpus:
    """The stories of a file, or of all files but tests in a folder and below it, as dialogues of
    `schema`'s domain; rules are none. Raises FormatError.
    """
    path = Path(path)
    files = list(_files(path))
    training = Training()
    for file, root in files:
        with _in(file):
            training.add(root)
    dialogues: List[Dialogue] = []
    taken: Dict[str, str] = {}
    room = Room("the stories up to here", _ALL)
    for file, root in files:
        with _in(file):
            for story in items(root, "stories"):
                for dialogue in _story(story, schema, training, taken, file):
                    dialogues.append(dialogue)
                    room.take(sum(len(turn.text) for turn in dialogue.turns), story.line)
    if not dialogues:
        mend = f"name a file or folder with `stories:` in it (a folder's {_TESTS}… aren't read)"
        raise FormatError("no stories", path=path, mend=mend)
    return Corpus({schema.name: schema}, tuple(dialogues))


@dataclass
class _in:
    """Makes a Mistake the FormatError of a file."""

    path: Path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, Mistake):
            raise FormatError(
                error.message, path=self.path, line=error.line, mend=error.mend
            ) from error


def _files(path: Path) -> Iterator[Tuple[Path, Fields]]:
    """The YAML files of Rasa's training data. Others in a folder, whatever they hold, are not."""
    if not path.is_dir():
        with _in(path):
            root = parse_nodes(read_text(path, LIMIT))
        if not isinstance(root, Fields):
            mend = "start it with stories:"
            raise FormatError("not a file of Rasa's training data", path=path, mend=mend)
        yield path, root
        return
    installed = {found.parent for found in path.rglob("pyvenv.cfg")}
    for file in sorted(path.rglob("*.y*ml")):
        parts = file.relative_to(path).parts
        hidden = any(part.startswith(".") or part in _NOT_THE_BOTS for part in parts)
        if (
            hidden
            or parts[0] == _RESULTS
            or file.name.startswith(_TESTS)
            or not installed.isdisjoint(file.parents)
            or file.suffix not in (".yml", ".yaml")
            or not file.is_file()
        ):
            continue
        if not _may_be_ours(file):
            continue
        check_inside(file, path)
        content = read_text(file, LIMIT)
        with _in(file):
            root = parse_nodes(content)
        if isinstance(root, Fields):
            yield file, root


def _may_be_ours(file: Path) -> bool:
    """Whether a line of a file begins as one of Rasa's training data does."""
    parts = "|".join(_PARTS).encode()
    begins = re.compile(rb"(?:\xef\xbb\xbf)?(?:%s)\s*:|\xff\xfe|\xfe\xff" % parts)
    try:
        with file.open("rb") as opened:
            new = True
            # in pieces: there may be no end of a line for gigabytes
            for piece in iter(partial(opened.readline, _PIECE), b""):
                if new and begins.match(piece):
                    return True
                new = piece.endswith(b"\n")
    except OSError:
        return True  # reading it says what is wrong
    return False


def _story(
    node: Node, schema: Schema, training: Training, taken: Dict[str, str], file: Path
) -> Iterator[Dialogue]:
    """A story's dialogues: one, or one for each choice at its OR steps."""
    story = fields(node, "a story", ("story", "steps", "metadata"), required=("story", "steps"))
    name = text(story.values["story"], "a story's name")
    line = story.lines["story"]
    if name in taken:
        message = f"a second story is called {quote(name)} (first at {taken[name]})"
        raise Mistake(message, "give each its own name", line)
    taken[name] = f"{file.name}:{line}"
    choices = [_choices(step) for step in items(story, "steps")]
    number = 1
    for choice in choices:
        number *= len(choice)
    if number > _ALTERNATIVES:
        message = f"its OR steps make {number} stories of {quote(name)}"
        raise Mistake(message, f"keep to {_ALTERNATIVES}, or write stories of their own", line)
    for place, steps in enumerate(product(*choices), start=1):
        made = _Story(schema, training)
        for step in steps:
            made.add(step)
        turns = made.turns.turns()
        if not turns:
            raise Mistake(f"nothing is said in story {quote(name)}", "add steps", line)
        yield Dialogue(f"{name} ({place})" if number > 1 else name, schema.name, turns)


def _choices(step: Node) -> Sequence[Fields]:
    if not isinstance(step, Fields):
        mend = "write - intent: …, - user: …, - action: … or - bot: …"
        raise Mistake("a step must be a mapping", mend, step.line)
    if "or" not in step.values:
        return (step,)
    options = items(step, "or")
    made = [option for option in options if isinstance(option, Fields)]
    if len(made) < len(options) or not made:
        mend = "list steps under it, one - a line"
        raise Mistake("an OR step lists its alternatives", mend, step.line)
    return made


class _Story:
    """One way through a story."""

    def __init__(self, schema: Schema, training: Training):
        self.turns = RasaTurns(schema)
        self.training = training
        self.slots: Dict[str, str] = {}
        self.intent = ""
        self.unanswered: Optional[int] = None  # line of a message
        self.room = Room("the story up to here", _STORY)
        self.room_now = _room_now()

    def add(self, step: Fields) -> None:
        """Take in a step. Raises Mistake."""
        kind = next((key for key in _STEPS if key in step.values), None)
        if kind is None:
            key, line = next(iter(step.lines.items()), ("", step.line))
            raise Mistake(f"no step is called {quote(key)}", did_you_mean(key, _STEPS, "it"), line)
        fields(step, f"a step `{kind}`", (kind, *_MORE))
        try:
            self._take(kind, step)
        except Misfit as error:
            raise Mistake(error.message, error.mend, step.line) from error

    def _take(self, kind: str, step: Fields) -> None:
        node = step.values[kind]
        if kind == "checkpoint":
            mend = "write the story out from its beginning to its end"
            raise Mistake("a checkpoint, which joins stories", mend, step.line)
        if kind in ("user", "intent"):
            self._message(kind, step)
        elif kind == "slot_was_set":
            self._slots(node)
        elif kind == "bot":
            self._say(text(node, "what the bot says"), step.line)
        elif kind == "action":
            self._action(text(node, "the action's name"), step.line)

    def _message(self, kind: str, step: Fields) -> None:
        if self.unanswered is not None:
            message = f"the bot says nothing to the message on line {self.unanswered}"
            mend = "write what it says before this step: - bot: ..."
            raise Mistake(message, mend, step.line)
        self.unanswered = step.line
        if "intent" in step.values:
            self.intent = text(step.values["intent"], "the intent")
        name = self.intent.split("/")[0] if "intent" in step.values else None
        if kind == "user":
            said = text(step.values["user"], "a message", "write what the user says").strip()
            try:
                plain, entities = parse_annotated(said)
            except ValueError as error:
                raise Mistake(f"{error}", "write [text](entity)", step.line) from error
        else:
            example = self.training.example(self.intent, list(_entities(step)), step.line)
            plain, entities = example.text, example.entities
        self.room_now = _room_now()
        self.room.take(len(plain), step.line)
        self.turns.user(plain, name, entities)

    def _slots(self, node: Node) -> None:
        listed = node.items if isinstance(node, Items) else (node,)
        for item in listed:
            # A name alone says that the slot has some value, not which.
            for name, value in item.values.items() if isinstance(item, Fields) else ():
                given = _scalar(value)
                self.turns.slot(name, given)
                if given is None:
                    self.slots.pop(name, None)
                else:
                    self.slots[name] = given

    def _action(self, name: str, line: int) -> None:
        self.turns.action(name)
        if not name.startswith("utter_"):
            return
        key = self.intent.partition("/")[2]
        response = self.training.responses.get(name) or self.training.responses.get(f"{name}/{key}")
        if response is None:
            mend = "read the folder that has it (domain.yml), or write what it says: - bot: ..."
            raise Mistake(f"no response {quote(name)} with a text", mend, line)
        tracked, room = self.turns.values(), Room(quote(name), _TURN)

        def value(found: re.Match) -> str:
            slot = found.group(1)
            given = self.slots.get(slot) or next(iter(tracked.get(slot, ())), None)
            if given is None:
                message = f"{quote(name)} speaks of {quote(slot)}, which isn't set here"
                mend = "set it before: - slot_was_set: ..., or write what is said: - bot: ..."
                raise Mistake(message, mend, line)
            room.take(len(given), line)
            return given

        self._say(_PLACEHOLDER.sub(value, response.text), line)
        self.turns.bot(None, response.buttons)

    def _say(self, said: str, line: int) -> None:
        self.room_now.take(len(said), line)
        self.room.take(len(said), line)
        self.turns.bot(said)
        self.unanswered = None


def _room_now() -> Room:
    """Between two messages."""
    return Room("what the bot says here", _TURN)


def _entities(step: Fields) -> Iterator[Entity]:
    """The entities of an `intent` step: `- city: Leeds`, `- city`, with `role:` beside it."""
    for item in items(step, "entities"):
        if isinstance(item, Text):
            yield Entity(item.value, None)
            continue
        if not isinstance(item, Fields):
            raise Mistake("an entity must be a name or {name: value}", "write so", item.line)
        role = item.values.get("role")
        for name, value in item.values.items():
            if name not in ("role", "group"):
                yield Entity(
                    name, _scalar(value), role=role.value if isinstance(role, Text) else None
                )


def _scalar(node: Node) -> Optional[str]:
    """A value as written; None for YAML's null. A list's items are joined by commas."""
    if isinstance(node, Items):
        texts = [_scalar(item) for item in node.items]
        return ", ".join(each for each in texts if each) or None
    if not isinstance(node, Text):
        raise Mistake("a value must be a text", "write it in quotes", node.line)
    return None if node.null or not node.value else node.value

"""What a Rasa bot's training files say that stories refer to: NLU examples and responses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.formats.nodes import Fields, Items, Mistake, Node, Text
from rasa_onramp.formats.rasa_parts import Button, Entity
from rasa_onramp.formats.rasa_text import parse_annotated
from rasa_onramp.formats.wording import quote

__all__ = ["Example", "Response", "Training"]

_BULLET = re.compile(r"\s*-\s+(\S.*)")


@dataclass(frozen=True)
class Example:
    """A message as a user might write it."""

    text: str
    entities: Tuple[Entity, ...] = ()


@dataclass(frozen=True)
class Response:
    """What a bot says; its text may have slots in {braces}."""

    text: str
    buttons: Tuple[Button, ...] = ()


@dataclass
class Training:
    """Examples by intent, responses by name. An example is used again only after all others."""

    examples: Dict[str, List[Example]] = field(default_factory=dict)
    responses: Dict[str, Response] = field(default_factory=dict)
    _used: Dict[Tuple[str, Tuple[str, ...]], int] = field(default_factory=dict)

    def add(self, file: Fields) -> None:
        """Take in what a file says under `nlu` and `responses`. Raises Mistake."""
        for item in _list(file.values.get("nlu")):
            intent = _of(item, "intent")
            if isinstance(intent, Text):
                made = [_example(text, line) for text, line in _texts(_of(item, "examples"))]
                # a step may name a retrieval intent, faq/hours, by its first part
                for name in {intent.value, intent.value.split("/")[0]}:
                    self.examples.setdefault(name, []).extend(made)
        responses = file.values.get("responses")
        for name, node in responses.values.items() if isinstance(responses, Fields) else ():
            said = _response(node)
            if said is not None:
                self.responses.setdefault(name, said)

    def example(self, intent: str, entities: Sequence[Entity], line: int) -> Example:
        """An example of `intent` that names the same entities, with the step's values in place of
        its own where the step has some. Raises Mistake.
        """
        names = tuple(sorted(entity.name for entity in entities))
        fitting = [
            example
            for example in self.examples.get(intent, ())
            if tuple(sorted(entity.name for entity in example.entities)) == names
        ]
        if not fitting:
            what = f" with the entities {', '.join(names)}" if names else " without entities"
            raise Mistake(
                f"no NLU example of {quote(intent)}{what}",
                "read the folder that has one, add one, or write the message: user: ...",
                line,
            )
        roles = _roles(entities)
        fitting = [each for each in fitting if _roles(each.entities) == roles] or fitting
        used = self._used.get((intent, names), 0)
        self._used[intent, names] = used + 1
        return _with_values(fitting[used % len(fitting)], entities)


def _with_values(example: Example, entities: Sequence[Entity]) -> Example:
    """`example` with the values that `entities` give put into its text."""
    given: Dict[str, List[Entity]] = {}
    for entity in entities:
        given.setdefault(entity.name, []).append(entity)
    text, end = "", 0
    made: List[Entity] = []
    for entity in example.entities:
        steps = given[entity.name]
        same = [n for n, each in enumerate(steps) if each.role == entity.role]
        step = steps.pop(same[0] if same else 0)
        assert entity.start is not None and entity.end is not None
        if entity.start < end:  # a second mark on the same words
            made.append(Entity(entity.name, entity.value, None, None, step.role or entity.role))
            continue
        inside = example.text[entity.start : entity.end]
        value = entity.value
        if step.value is not None:
            inside = value = str(step.value)
        text += example.text[end : entity.start]
        role = step.role or entity.role
        made.append(Entity(entity.name, value, len(text), len(text) + len(inside), role))
        text += inside
        end = entity.end
    return Example(text + example.text[end:], tuple(made))


def _roles(entities: Sequence[Entity]) -> List[Tuple[str, str]]:
    return sorted((entity.name, entity.role or "") for entity in entities)


def _example(text: str, line: int) -> Example:
    try:
        return Example(*parse_annotated(text))
    except ValueError as error:
        raise Mistake(f"{error} in {quote(text)}", "write [text](entity)", line) from error


def _texts(node: Optional[Node]) -> Iterator[Tuple[str, int]]:
    """The examples under `examples`: a block of - lines, or a list of texts or of {text: …}."""
    if isinstance(node, Text):
        for number, line in enumerate(node.value.split("\n"), start=1):
            bullet = _BULLET.match(line.rstrip())
            if bullet:
                yield bullet.group(1), node.line + number
    for item in _list(node):
        text = item if isinstance(item, Text) else _of(item, "text")
        if isinstance(text, Text):
            bullet = _BULLET.match(text.value.rstrip())
            yield (bullet.group(1) if bullet else text.value.strip()), text.line


def _response(node: Node) -> Optional[Response]:
    """The first variation that is said in any channel and under no condition."""
    for item in _list(node):
        text = _of(item, "text")
        if isinstance(text, Text) and text.value.strip() and not _conditional(item):
            pairs = ((_of(b, "title"), _of(b, "payload")) for b in _list(_of(item, "buttons")))
            buttons = tuple(
                Button(title.value, payload.value)
                for title, payload in pairs
                if isinstance(title, Text) and isinstance(payload, Text)
            )
            return Response(text.value.strip(), buttons)
    return None


def _conditional(item: Node) -> bool:
    return _of(item, "condition") is not None or _of(item, "channel") is not None


def _of(node: Optional[Node], key: str) -> Optional[Node]:
    values: Mapping[str, Node] = node.values if isinstance(node, Fields) else {}
    return values.get(key)


def _list(node: Optional[Node]) -> Tuple[Node, ...]:
    return node.items if isinstance(node, Items) else ()

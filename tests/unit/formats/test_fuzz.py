"""Whatever is read gives a Corpus or one FormatError of one line; what is written is read back."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rasa_onramp.dialogue import (
    DONTCARE,
    Action,
    Corpus,
    Dialogue,
    Intent,
    Schema,
    Slot,
    Span,
    State,
    Turn,
)
from rasa_onramp.errors import FormatError
from rasa_onramp.formats.jsonl import read_jsonl
from rasa_onramp.formats.multiwoz import read_multiwoz
from rasa_onramp.formats.rasa_events import read_conversation
from rasa_onramp.formats.sgd import read_sgd
from rasa_onramp.formats.stories import read_stories
from rasa_onramp.formats.yaml import parse_yaml, read_yaml, write_yaml
from valid_input import TAXI, VALID_EVENTS, VALID_LOG, VALID_SGD, VALID_STORIES, VALID_YAML

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 99) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def corpus_or_one_line(reading: Callable[[], Corpus]) -> None:
    try:
        corpus = reading()
    except FormatError as error:
        assert len(str(error).splitlines()) == 1
        assert str(error).endswith(f"; {error.mend}")
        assert error.line is None or error.line >= 1
    else:
        assert isinstance(corpus, Corpus)


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8")))
def test_any_bytes(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "x.yml").write_bytes(data)
        corpus_or_one_line(lambda: read_yaml(folder / "x.yml"))
        (folder / "schema.json").write_bytes(data)
        corpus_or_one_line(lambda: read_sgd(folder))
        (folder / "schema.json").write_text(json.dumps(VALID_SGD["schema.json"]))
        for suffix in ("", ".gz"):
            (folder / f"dialogues_001.json{suffix}").write_bytes(data)
            corpus_or_one_line(lambda: read_sgd(folder))
        corpus_or_one_line(lambda: read_multiwoz(folder))
        corpus_or_one_line(lambda: read_jsonl(folder / "x.yml", TAXI))
        corpus_or_one_line(lambda: read_stories(folder / "x.yml", TAXI))


@settings(max_examples=300)
@given(
    at=st.integers(0, len(VALID_YAML)),
    removed=st.integers(0, 30),
    put=st.text(alphabet="[](){}:,-#&*!|>'\"\\%@?\n\t\0\x85 ax0~", max_size=6)
    | st.text(max_size=4),
)
def test_a_valid_file_with_something_changed(at: int, removed: int, put: str) -> None:
    text = VALID_YAML[:at] + put + VALID_YAML[at + removed :]
    corpus_or_one_line(lambda: parse_yaml(text, "x.yml"))


@settings(max_examples=100)
@given(
    at=st.integers(0, len(VALID_STORIES)),
    removed=st.integers(0, 30),
    put=st.text(alphabet="[](){}:,-#&*!|>'\"\\%@?\n\t\0\x85 ax0~", max_size=6),
)
def test_valid_stories_with_something_changed(at: int, removed: int, put: str) -> None:
    text = VALID_STORIES[:at] + put + VALID_STORIES[at + removed :]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "stories.yml"
        path.write_text(text, encoding="utf-8")
        corpus_or_one_line(lambda: read_stories(path, TAXI))


@settings(max_examples=300)
@given(which=st.sampled_from(sorted(VALID_SGD)), seed=st.integers(0, 10**6), put=JSON)
def test_a_valid_folder_with_a_value_changed(which: str, seed: int, put: Any) -> None:
    content = json.loads(json.dumps(VALID_SGD))
    change(content[which], seed, put)
    with tempfile.TemporaryDirectory() as name:
        for file, value in content.items():
            (Path(name) / file).write_text(json.dumps(value))
        corpus_or_one_line(lambda: read_sgd(name))
        corpus_or_one_line(lambda: read_multiwoz(name))


def change(content: Any, seed: int, put: Any) -> None:
    """Puts something else somewhere into `content`."""
    containers: List[Any] = [content]
    for container in containers:  # grows as it goes
        inside = container.values() if isinstance(container, dict) else container
        containers.extend(item for item in inside if isinstance(item, (dict, list)) and item)
    choose = random.Random(seed)
    container = choose.choice(containers)
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    container[choose.choice(keys)] = put


@settings(max_examples=150)
@given(seed=st.integers(0, 10**6), put=JSON)
def test_a_valid_log_with_a_value_changed(seed: int, put: Any) -> None:
    content = json.loads(json.dumps(VALID_LOG))
    change(content, seed, put)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "chats.jsonl"
        path.write_text("\n".join(map(json.dumps, content)), encoding="utf-8")
        corpus_or_one_line(lambda: read_jsonl(path, TAXI))


@settings(max_examples=150)
@given(seed=st.integers(0, 10**6), put=JSON)
def test_valid_events_with_a_value_changed(seed: int, put: Any) -> None:
    content = json.loads(json.dumps(VALID_EVENTS))
    change(content, seed, put)
    rows = [
        (number, VALID_EVENTS[number]["event"], json.dumps(event))
        for number, event in enumerate(content)
    ]
    corpus_or_one_line(lambda: Corpus({}, tuple(read_conversation("ann", rows, TAXI, "rasa.db"))))


NAMES = st.from_regex(r"\w[\w.-]{0,8}", fullmatch=True).filter(lambda name: name != "none")
TEXTS = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=20
).filter(lambda text: text.strip())
SLOT_NAMES = ("free", "other-one", "listed")
FREE = st.lists(TEXTS, min_size=1, max_size=2).map(tuple)
LISTED = st.sampled_from(["True", "no", DONTCARE, "null"]).map(lambda value: (value,))
VALUES: st.SearchStrategy[Mapping[str, Any]] = st.fixed_dictionaries(
    {}, optional={"free": FREE, "other-one": FREE, "listed": LISTED}
)
ROWS = VALUES.map(lambda row: {slot: values[0] for slot, values in row.items()})


@st.composite
def said(draw: st.DrawFn) -> Dict[str, Any]:
    """A text with spans that marks can say: none overlap, none has spaces at its edges."""
    text = draw(TEXTS)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=4)))
    spans = [
        Span(draw(st.sampled_from(SLOT_NAMES)), start, end)
        for start, end in zip(cuts[::2], cuts[1::2])
        if text[start:end] == text[start:end].strip()
    ]
    return {"text": text, "spans": tuple(spans)}


USER_TURNS = st.builds(
    lambda parts, state: Turn("user", state=state, **parts),
    said(),
    st.builds(
        State,
        VALUES,
        st.sampled_from([None, "book", "a.b"]),
        st.lists(st.sampled_from(SLOT_NAMES), unique=True).map(tuple),
    ),
) | TEXTS.map(lambda text: Turn("user", text))
SYSTEM_TURNS = st.builds(
    lambda parts, call: Turn("system", **parts, **call),
    said(),
    st.just({})
    | st.fixed_dictionaries(
        {
            "action": st.just("send"),
            "parameters": ROWS,
            "results": st.lists(ROWS.filter(bool), max_size=2).map(tuple),
        }
    ),
)
DIALOGUES = st.builds(
    lambda name, split, first, rest: Dialogue(
        name, "taxi", (first, *(turn for pair in rest for turn in pair)), split
    ),
    TEXTS,
    st.sampled_from([None, "support", "held-out"]),
    USER_TURNS,
    st.lists(st.tuples(SYSTEM_TURNS, USER_TURNS), max_size=3),
)
SCHEMAS = st.builds(
    lambda description, intent, defaults, action, url: Schema(
        "taxi",
        description,
        (
            Slot("free", description),
            Slot("other-one"),
            Slot("listed", "", ("True", "no", "null")),
        ),
        (
            Intent("book", description, ("free",), defaults),
            Intent("a.b", "", SLOT_NAMES),  # a slot of no intent could be in no state
            Intent(intent),
        ),
        (Action("send", "", ("free", "listed"), ("listed",), url), Action(action)),
    ),
    st.just("") | TEXTS,
    NAMES.filter(lambda name: name not in ("book", "a.b")),
    ROWS,
    NAMES.filter(lambda name: name != "send"),
    st.sampled_from([None, "https://api.example.com/a?b=c"]),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS, st.lists(DIALOGUES, max_size=2, unique_by=lambda dialogue: dialogue.id))
def test_what_is_written_is_read_back(schema: Schema, dialogues: List[Dialogue]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "taxi.yml"
        write_yaml(path, schema, dialogues)
        assert read_yaml(path) == Corpus({"taxi": schema}, tuple(dialogues))

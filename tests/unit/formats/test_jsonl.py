"""Chat logs: what their columns mean, and what is said about wrong ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import pytest

from rasa_onramp.dialogue import (
    DONTCARE,
    Action,
    Dialogue,
    Intent,
    Schema,
    Slot,
    Span,
    State,
    Turn,
)
from rasa_onramp.errors import FormatError
from rasa_onramp.formats import read
from rasa_onramp.formats.yaml import parse_yaml, yaml_file

TAXI = Schema(
    "taxi",
    slots=(Slot("place"), Slot("size", "", ("small", "large")), Slot("price")),
    intents=(Intent("book", "", ("place",), {"size": DONTCARE}), Intent("cancel")),
    actions=(Action("send", "", ("place",), ("price",)),),
)


def user(text: str = "hi", **columns: Any) -> Dict[str, Any]:
    return {"conversation": "c", "speaker": "user", "text": text, **columns}


def system(text: str = "ok", **columns: Any) -> Dict[str, Any]:
    return {"conversation": "c", "speaker": "system", "text": text, **columns}


def read_lines(folder: Path, *lines: Any) -> Tuple[Dialogue, ...]:
    path = folder / "chats.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    corpus = read(path, schema=TAXI)
    assert corpus.schemas == {"taxi": TAXI}
    return corpus.dialogues


def states(folder: Path, *lines: Any) -> Tuple[Optional[State], ...]:
    (dialogue,) = read_lines(folder, *lines)
    return tuple(turn.state for turn in dialogue.turns if turn.is_user)


def test_the_example_in_the_docs(repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / "formats.md").read_text(encoding="utf-8")
    (log,) = [part.split("```")[0] for part in page.split("```jsonl\n")[1:]]
    (domain,) = [part.split("```")[0] for part in page.split("```yaml\n")[1:]]
    schema = parse_yaml(domain, "parcels.yml").schemas["parcel_delivery"]
    path = tmp_path / "chats.jsonl.GZ"
    path.write_bytes(gzip.compress(log.encode("utf-8")))
    first, second = read(path, schema=schema).dialogues
    number = {"tracking_number": ("RX4821",)}
    assert first == Dialogue(
        "c1",
        "parcel_delivery",
        (
            Turn("user", "where is RX4821?", State(number, "track_parcel", ("status",))),
            Turn(
                "system",
                "In transit.",
                action="find_parcel",
                parameters={"tracking_number": "RX4821"},
                results=({"status": "in transit"},),
            ),
            Turn("user", "ok thanks", State(number, "track_parcel")),
        ),
    )
    assert second == Dialogue("c2", "parcel_delivery", (Turn("user", "hello?"),))


def test_what_a_line_does_not_mention_stays(tmp_path: Path) -> None:
    found = states(
        tmp_path,
        user(slots={"place": "Leeds", "size": ["small", "large"]}, intent="book"),
        system(),
        user(slots={"place": None}, requested=["price", "price"]),
        system(),
        user(state={"size": DONTCARE}, slots={"place": "York"}),
        system(),
        user(state=None),
        system(),
        user(intent=None, slots={"place": " York "}),
        system(),
        user(intent="none"),
    )
    last = {"size": (DONTCARE,), "place": ("York",)}
    assert found == (
        State({"place": ("Leeds",), "size": ("small", "large")}, "book"),
        State({"size": ("small", "large")}, "book", ("price",)),
        State(last, "book"),
        None,
        State(last, "book"),  # null, as in dumps of tables, says nothing
        State(last),
    )


def test_columns_that_are_empty_throughout_are_no_labels(tmp_path: Path) -> None:
    """As a database or pandas writes them."""
    empty = dict.fromkeys(("state", "slots", "intent", "requested"))
    assert states(tmp_path, user(**empty), system(**empty), user(**empty)) == (None, None)
    bare = {"state": {}, "slots": {}, "intent": "", "requested": []}
    assert states(tmp_path, user(**bare), system(), user(**bare)) == (None, None)
    assert states(tmp_path, user(**empty), system(), user(slots={"place": "Leeds"})) == (
        None,  # a state of null: the line says nothing to the domain
        State({"place": ("Leeds",)}),
    )


def test_a_line_that_says_nothing_to_the_domain_has_no_spans(tmp_path: Path) -> None:
    """Nor could a YAML file hold any."""
    spans = [{"slot": "place", "start": 0, "end": 5}]
    (dialogue,) = read_lines(
        tmp_path,
        user("Leeds is lovely", state=None, spans=spans),
        system("Leeds it is", spans=spans),
        user("Leeds", slots={"place": "Leeds"}, spans=spans),
    )
    found = (Span("place", 0, 5),)
    assert [turn.spans for turn in dialogue.turns] == [(), found, found]
    written = yaml_file(TAXI, [dialogue]).decode("utf-8")
    assert parse_yaml(written, "taxi.yml").dialogues == (dialogue,)
    # without any label it isn't known what a line says
    (unlabelled,) = read_lines(tmp_path, user("Leeds is lovely", state=None, spans=spans))
    assert unlabelled.turns[0].spans == found


def test_a_state_of_null_beside_slots_is_a_contradiction(tmp_path: Path) -> None:
    line = user(state=None, slots={"place": "Leeds"}, intent="book", requested=[])
    with pytest.raises(FormatError, match=r":1: 'state' is null, but 'slots' isn't; leave 'state'"):
        read_lines(tmp_path, line)
    empty = user(state=None, slots={}, intent=None, requested=[])
    assert states(tmp_path, empty, user(intent="book")) == (State({}, "book"),)


def test_neighbours_become_one_turn_and_the_user_begins(tmp_path: Path) -> None:
    (dialogue,) = read_lines(
        tmp_path,
        system("Welcome!"),
        user("to", requested=["price"]),
        user("Leeds", slots={"place": "Leeds"}, spans=[{"slot": "place", "start": 0, "end": 5}]),
        system("One moment.", action="send", parameters={"place": "Leeds"}),
        {**system("It comes."), "speaker": "bot"},
    )
    place = {"place": ("Leeds",)}
    assert dialogue.turns == (
        Turn("user", "to Leeds", State(place, None, ("price",)), spans=(Span("place", 3, 8),)),
        Turn("system", "One moment. It comes.", action="send", parameters={"place": "Leeds"}),
    )


def test_times_order_the_lines(tmp_path: Path) -> None:
    (dialogue,) = read_lines(
        tmp_path,
        user("three", time="1970-01-01T01:00:03+01:00"),
        system("two", time=2.5),
        user("one", time="1970-01-01T00:00:01Z"),
    )
    assert [turn.text for turn in dialogue.turns] == ["one", "two", "three"]


@pytest.mark.parametrize(
    "time",
    [
        *("1970-01-01T00:00:01.5Z", "1970-01-01T00:00:01.50", "1970-01-01 00:00:01.500+00"),
        *("1970-01-01T00:00:01.5000+0000", "1970-01-01T00:00:01.50000Z"),
        *("1970-01-01T05:30:01.500000+05:30", "1970-01-01T05:30:01,5000000+0530"),
        *("1969-12-31T23:00:01.50000000-01", "1970-01-01T00:00:01.500000009Z"),
    ],
)
def test_times_as_programs_write_them(tmp_path: Path, time: str) -> None:
    lines = user("two", time=time), user("three", time=1.500001), user("one", time=1.499999)
    (dialogue,) = read_lines(tmp_path, *lines)
    assert dialogue.turns[0].text == "one two three"


def test_a_time_may_be_a_day_or_a_minute(tmp_path: Path) -> None:
    lines = user("three", time="1970-01-01T00:01+00"), user("one", time="1969-12-31")
    (dialogue,) = read_lines(tmp_path, *lines, user("two", time=1))
    assert dialogue.turns[0].text == "one two three"


def test_blanks_at_a_spans_edges_are_not_its_own(tmp_path: Path) -> None:
    spans = [{"slot": "place", "start": 2, "end": 9}]
    (dialogue,) = read_lines(
        tmp_path, user("to Leeds now", slots={"place": "Leeds"}, spans=spans), system()
    )
    assert dialogue.turns[0].spans == (Span("place", 3, 8),)
    written = yaml_file(TAXI, [dialogue]).decode("utf-8")
    assert parse_yaml(written, "taxi.yml").dialogues == (dialogue,)


def test_conversations_may_be_mixed_and_have_splits(tmp_path: Path) -> None:
    first, second = read_lines(
        tmp_path,
        {**user("a"), "conversation": 7},
        "",
        user("b", split="held-out", colour="columns of the log's own"),
        {**system("c"), "conversation": 7},
    )
    assert (first.id, len(first.turns), first.split) == ("7", 2, None)
    assert (second.id, len(second.turns), second.split) == ("c", 1, "held-out")


def test_a_conversation_without_a_user_is_none(tmp_path: Path) -> None:
    assert read_lines(tmp_path, system("anybody there?")) == ()


@pytest.mark.parametrize(
    ("line", "saying"),
    [
        ("{", "not valid JSON at column 2"),
        ('["a"]', "a line must be an object"),
        ('{"conversation": "c", "text": "\\ud800"}', "stands for no character"),
        (user(conversation=" "), "'conversation' is empty"),
        (user(conversation=True), "'conversation' must be a text"),
        (user(speaker="robot"), "unknown speaker 'robot'; write user or system"),
        (user(""), "'text' is empty"),
        (user(time="noon"), "'noon' is no time; write seconds"),
        (user(time=10**400), "is no time"),
        (user(split="test"), "unknown split 'test'"),
        (user(slots={"plaec": "Leeds"}), "unknown slot 'plaec'; did you mean 'place'?"),
        (user(slots={"price": "5"}), "'price' is in no intent"),
        (user(slots={"size": "tiny"}), "'tiny' is not among the values listed for 'size'"),
        (user(slots={"size": "dont care"}), "did you mean 'dontcare'?"),
        (user("to [Leeds](place)"), "'[Leeds](place)' is a mark, which only YAML has; write the"),
        (user(slots={"place": 5}), "'5' is no value for 'place'"),
        (user(slots={"place": []}), "'[]' is no value for 'place'"),
        (user(slots=["place"]), "'slots' must be an object"),
        (user(intent="bok"), "unknown intent 'bok'; did you mean 'book'?"),
        (user(intent=["book"]), "unknown intent"),
        (user(requested=["cost"]), "unknown slot 'cost'"),
        (user(requested=[["x"]]), "unknown slot"),
        (user(action="send"), "'action' on a user's line; take it out"),
        (user(spans=[{"slot": "place", "start": 0, "end": 9}]), "outside the text"),
        (user(text="to Leeds", spans=[{"slot": "place", "start": 2, "end": 3}]), "is blank; mark"),
        (system(state={}), "'state' on a system's line"),
        (system(action="sned"), "unknown action 'sned'; did you mean 'send'?"),
        (system(results=[{}]), "'results' on a line without an action"),
        (system(action="send", results={}), "'results' must be a list"),
        (system(action="send", results=[3]), "a result must be an object"),
        (system(action="send", results=[{"cost": "5"}]), "unknown slot 'cost'"),
        (system(action="send", parameters={"place": ""}), "is no value for 'place'"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, line: Any, saying: str) -> None:
    with pytest.raises(FormatError) as caught:
        read_lines(tmp_path, user("fine", slots={}), "", line)
    assert caught.value.line == 3
    assert saying in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'chats.jsonl'}:3: ")
    assert "\n" not in str(caught.value)


def test_lines_that_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r":2: no 'time' here, but on line 1"):
        read_lines(tmp_path, user(time=1), system())
    with pytest.raises(FormatError, match=r":2: split 'support', but 'held-out' on line 1"):
        read_lines(tmp_path, user(split="held-out"), system(split="support"))


def test_a_schema_is_needed_and_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps(user()), encoding="utf-8")
    with pytest.raises(FormatError, match="says nothing of its domain; name its schema"):
        read(path)
    with pytest.raises(FormatError, match="its domain is 'taxi'"):
        read(path, services=["bus"], schema=TAXI)
    text = "onramp: '1.0'\ndomain: {name: x, slots: [{name: y}]}"
    (tmp_path / "x.yml").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match="yaml brings its own schema"):
        read(tmp_path / "x.yml", schema=TAXI)
    (tmp_path / "x.yml").write_text("stories: []", encoding="utf-8")
    with pytest.raises(FormatError, match="read a Rasa bot's stories with --format stories"):
        read(tmp_path / "x.yml", schema=TAXI)

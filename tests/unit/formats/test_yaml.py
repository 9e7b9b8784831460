"""Our YAML format: what a file means, and what is said about a wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List

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
from rasa_onramp.formats.yaml import TooLarge, parse_yaml, read_yaml, write_yaml

HEAD = """\
onramp: "1.0"
domain:
  name: taxi
  slots:
    - {name: place, description: Where to}
    - {name: size, values: [Small, Extra large]}
    - {name: quiet, values: [True, False]}
  intents:
    - {name: book, required_slots: [place], optional_slots: {size: dontcare}}
    - {name: cancel, optional_slots: {quiet: "False"}}
  actions:
    - {name: send, required_slots: [place], result_slots: [size]}
"""
FIRST_TURN = HEAD.count("\n") + 4


def dialogue(*turns: str) -> Dialogue:
    (found,) = parse_yaml(file_with(*turns), "taxi.yml").dialogues
    return found


def file_with(*turns: str) -> str:
    return HEAD + "dialogues:\n  - id: d1\n    turns:\n" + "".join(f"      - {t}\n" for t in turns)


def states(*turns: str) -> List[State]:
    found = [turn.state for turn in dialogue(*turns).turns if turn.is_user]
    assert None not in found
    return [state for state in found if state]


def test_the_example_in_the_docs_is_complete_and_right(repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / "formats.md").read_text(encoding="utf-8")
    (example,) = [part.split("```")[0] for part in page.split("```yaml\n")[1:]]
    path = tmp_path / "parcel.yml"
    path.write_text(example, encoding="utf-8")
    corpus = read(path)
    assert corpus.schemas["parcel_delivery"] == Schema(
        name="parcel_delivery",
        description="Track parcels and move their delivery",
        slots=(
            Slot("tracking_number", "Number on the delivery note that identifies the parcel"),
            Slot("status", "Where the parcel is on its way"),
            Slot("delivery_day", "Day on which the parcel is to be delivered"),
            Slot(
                "delivery_window",
                "Part of the day for the delivery",
                ("morning", "afternoon", "evening"),
            ),
        ),
        intents=(
            Intent("track_parcel", "Find out where a parcel is", ("tracking_number",)),
            Intent(
                "reschedule_delivery",
                "Move a delivery to another day",
                ("tracking_number", "delivery_day"),
                {"delivery_window": DONTCARE},
            ),
        ),
        actions=(
            Action(
                "find_parcel",
                "Look up where a parcel is",
                ("tracking_number",),
                ("status",),
                "https://api.example.com/parcels",
            ),
        ),
    )
    (found,) = corpus.dialogues
    assert (found.id, found.domain, found.split) == ("parcel-01", "parcel_delivery", "support")
    turns = found.turns
    number = {"tracking_number": ("RX4821",)}
    assert turns[0] == Turn(
        "user",
        "hi where is my parcel, its RX4821",
        State(number, "track_parcel", ("status",)),
        spans=(Span("tracking_number", 27, 33),),
    )
    assert turns[1] == Turn(
        "system",
        "It is in transit.",
        action="find_parcel",
        parameters={"tracking_number": "RX4821"},
        results=({"status": "in transit"},),
        spans=(Span("status", 6, 16),),
    )
    assert turns[2] == Turn("user", "will it rain tomorrow?")
    assert turns[4].state == State(
        {**number, "delivery_day": ("saturday",), "delivery_window": ("afternoon",)},
        "reschedule_delivery",
    )
    assert turns[6].state == State(
        {**number, "delivery_day": ("saturday",), "delivery_window": (DONTCARE,)},
        "reschedule_delivery",
    )


def test_the_state_adds_up_but_what_is_requested_does_not() -> None:
    first, second, third = states(
        '{user: "to [Leeds](place)", intent: book, requested: [size]}',
        "{system: ok}",
        "{user: a small one, set: {size: Small}}",
        "{system: ok}",
        "{user: no wait, intent: cancel, clear: [place]}",
    )
    assert first == State({"place": ("Leeds",)}, "book", ("size",))
    assert second == State({"place": ("Leeds",), "size": ("Small",)}, "book")
    assert third == State({"size": ("Small",)}, "cancel")


def test_an_out_of_scope_turn_leaves_the_state_as_it_was() -> None:
    turns = dialogue(
        '{user: "[Leeds](place)"}',
        "{system: ok}",
        "{user: is it going to rain?, out_of_scope: true}",
        "{system: no idea}",
        "{user: fine, out_of_scope: false}",
    ).turns
    assert turns[2].state is None
    assert turns[4].state == turns[0].state == State({"place": ("Leeds",)})


def test_an_actions_optional_slots_are_written_and_read_back(tmp_path: Path) -> None:
    text = HEAD.replace("result_slots: [size]", "optional_slots: [size, quiet]")
    schema = parse_yaml(text, "x.yml").schemas["taxi"]
    assert schema.actions[0].optional_slots == ("size", "quiet")
    write_yaml(tmp_path / "taxi.yml", schema, ())
    assert read(tmp_path / "taxi.yml").schemas["taxi"] == schema


def test_values_are_text_as_written() -> None:
    (state,) = states("{user: hi, set: {place: 0123, quiet: True}}")
    assert state.values == {"place": ("0123",), "quiet": ("True",)}


def test_a_list_gives_equivalent_spellings() -> None:
    (state,) = states("{user: at five, set: {place: [the station, Leeds station]}}")
    assert state.values == {"place": ("the station", "Leeds station")}


def test_a_mark_of_a_listed_value_finds_it_whatever_its_case() -> None:
    (state,) = states('{user: "an [extra  LARGE](size) one"}')
    assert state.values == {"size": ("Extra large",)}


def test_the_last_mark_counts_and_set_counts_more() -> None:
    both, told = states(
        '{user: "[York](place), no, [Leeds](place)"}',
        "{system: sure?}",
        '{user: "[York](place), then, [York](place)", set: {place: York station}}',
    )
    assert both.values == {"place": ("Leeds",)}
    assert told.values == {"place": ("York station",)}


def test_a_mark_does_not_set_what_the_turn_clears() -> None:
    (state,) = states('{user: "not [Leeds](place)", clear: [place]}')
    assert state.values == {}


def test_the_intent_none_ends_an_intent() -> None:
    _, second = states("{user: a taxi, intent: book}", "{system: ok}", "{user: bye, intent: none}")
    assert second.active_intent is None


def test_system_turns_may_follow_each_other() -> None:
    turns = dialogue("{user: hi}", "{system: one moment, action: send}", "{system: done}").turns
    assert [turn.speaker for turn in turns] == ["user", "system", "system"]


def test_a_schema_alone_is_a_corpus_without_dialogues() -> None:
    corpus = parse_yaml(HEAD, "taxi.yml")
    assert set(corpus.schemas) == {"taxi"}
    assert corpus.dialogues == ()


# What is wrong with a turn list -> how many lines below the first turn, and what is said.
WRONG_TURNS = [
    (["{user: hi, set: {plaice: York}}"], 0, "unknown slot 'plaice'; did you mean 'place'?"),
    (["{user: hi, set: {size: Smal}}"], 0, "'Smal' is not among the values listed for 'size'"),
    (["{user: hi, set: {quiet: true}}"], 0, "did you mean 'True'?"),
    (["{user: hi, set: {size: dont care}}"], 0, "did you mean 'dontcare'?"),
    (["{user: hi, set: {place: null}}"], 0, "'place' is null, which is nothing; leave it out;"),
    (["{user: hi, set: {place: [~]}}"], 0, "takes a value back by clear: [place]"),
    (["{user: a}", "{system: b, action: send, results: [{size: NULL}]}"], 1, "'size' is NULL"),
    (["{user: hi, set: {place: []}}"], 0, "'place' is set to nothing"),
    (["{user: hi, set: {place: ' '}}"], 0, "the value of 'place' is empty"),
    (["{user: hi, set: {place: {a: b}}}"], 0, "the value of 'place' must be a text"),
    (["{user: hi, set: [place]}"], 0, "'set' must be a mapping"),
    (["{user: hi, intent: bok}"], 0, "unknown intent 'bok'; did you mean 'book'?"),
    (["{user: hi, intent: [book]}"], 0, "the intent's name must be a text"),
    (["{user: hi, requested: size}"], 0, "'requested' must be a list"),
    (["{user: hi, requested: [size, size]}"], 0, "'size' is listed twice"),
    (["{user: hi, clear: [place]}"], 0, "'place' has no value to clear"),
    (["{user: hi, set: {place: x}, clear: [place]}"], 0, "both set and cleared"),
    (['{user: "[Leeds](plaice)"}'], 0, "did you mean 'place'?"),
    (['{user: "a [tiny](size) one"}'], 0, "'tiny' is not among the values listed for 'size'"),
    (['{user: "a [tiny one"}'], 0, "a [ that is never closed in 'a [tiny one'"),
    (["{user: }"], 0, "a turn's text is empty; write what was said"),
    (["{intent: book}"], 0, "neither the user's nor the system's"),
    (["{user: a, system: b}"], 0, "neither the user's nor the system's"),
    (["hello"], 0, "neither the user's nor the system's"),
    (["{user: hi, intents: book}"], 0, "no key 'intents'; did you mean 'intent'?"),
    (["{user: hi, action: send}"], 0, "a user turn has no key 'action'"),
    (["{user: hi, out_of_scope: maybe}"], 0, "'maybe' is no answer; write true or false"),
    (["{user: hi, out_of_scope: true, intent: book}"], 0, "an out-of-scope turn says nothing"),
    (['{user: "[York](place)", out_of_scope: true}'], 0, "an out-of-scope turn says nothing"),
    (["{system: hi}"], 0, "the first turn is the system's"),
    (["{user: a}", "{user: b}"], 1, "two user turns in a row"),
    (["{user: a}", "{system: b, action: sent}"], 1, "unknown action 'sent'; did you mean 'send'?"),
    (["{user: a}", "{system: b, results: [{size: Small}]}"], 1, "'results' without an action"),
    (["{user: a}", "{system: b, parameters: {size: Small}}"], 1, "without an action"),
    (["{user: a}", "{system: b, action: send, results: [{siz: Small}]}"], 1, "unknown slot 'siz'"),
    (["{user: a}", "{system: b, action: send, results: [Small]}"], 1, "a result must be a mapping"),
    (["{user: a}", "{system: b, action: send, parameters: {size: XL}}"], 1, "'XL' is not among"),
    (["{user: a}", "{system: b, set: {size: Small}}"], 1, "a system turn has no key 'set'"),
]


@pytest.mark.parametrize(("turns", "below", "said"), WRONG_TURNS)
def test_wrong_turns(turns: List[str], below: int, said: str) -> None:
    expect(file_with(*turns), FIRST_TURN + below, said)


# What is replaced in HEAD -> by what, the line, and what is said.
WRONG_SCHEMAS = [
    ('onramp: "1.0"\n', "", 1, "not a file in rasa-onramp's format"),
    ("1.0", "2.0", 1, "no version '2.0' of the format"),
    ("domain:\n", "domain:\n  nmae: x\n", 3, "no key 'nmae'; did you mean 'name'?"),
    ("name: taxi", "description: x", 3, "the domain lacks 'name'"),
    ("name: taxi", "name: my taxi", 3, "'my taxi' can't be the name of a domain"),
    ("name: size", "name: place", 6, "a second slot is called 'place'"),
    ("Extra large", "Small", 6, "the value 'Small' is listed twice"),
    ("Extra large", "dontcare", 6, "take it out: every slot can have it"),
    ("Extra large", "''", 6, "a value of 'size' is empty"),
    ("[Small, Extra large]", "[]", 6, "slot 'size' lists no values"),
    ("[Small, Extra large]", "Small", 6, "'values' must be a list"),
    ("name: cancel", "name: book", 10, "a second intent is called 'book'"),
    ("name: cancel", "name: none", 10, "no intent can be called 'none'"),
    ("required_slots: [place]", "required_slots: [plaice]", 9, "did you mean 'place'?"),
    ("{size: dontcare}", "{size: Smal}", 9, "did you mean 'Small'?"),
    ("{size: dontcare}", "[size]", 9, "'optional_slots' must be a mapping"),
    ("result_slots", "optional_slots: [place], result_slots", 12, "'place' is required already"),
    ("result_slots", "results_slots", 12, "did you mean 'result_slots'?"),
    ("name: send", "name: send, url: example.com", 12, "start it with http:// or https://"),
    ("name: taxi", "name: taxi\n  name: taxi", 4, "'name' is here twice (first on line 3)"),
    ("name: taxi", "name: &x taxi", 3, "an anchor, &x; remove it"),
    ("name: taxi", "name: *x", 3, "an alias, *x"),
    ("name: taxi", "name: !!python/name:os.system taxi", 3, "a tag, "),
    ("name: taxi", "name: [taxi", 4, "not valid YAML at column"),
    ("name: taxi", "\tname: taxi", 3, "not valid YAML at column"),
    ("name: taxi", "name: ta\x07xi", 3, "the character U+0007"),
    ("name: taxi", 'name: "ta\\0xi"', 3, "stands for no character"),
    ("name: taxi", 'name: "ta\\ud800xi"', 3, "stands for no character"),
    ("name: taxi", "name: " + "[" * 100, 3, "nested too deeply"),
    ("name: taxi", "? [name]\n  : taxi", 3, "a key that is not a text"),
    ("domain:\n", "---\ndomain:\n", 2, "a second YAML document"),
]


@pytest.mark.parametrize(("old", "new", "line", "said"), WRONG_SCHEMAS)
def test_wrong_schemas(old: str, new: str, line: int, said: str) -> None:
    expect(HEAD.replace(old, new, 1), line, said)


def test_a_schema_without_slots() -> None:
    without = 'onramp: "1.0"\ndomain:\n  name: taxi\n  description: Taxis'
    expect(without, 3, "the domain lacks 'slots'; add 'slots'")
    expect(without + "\n  slots: []", 5, "the domain 'taxi' has no slots")


@pytest.mark.parametrize(
    ("dialogues", "below", "said"),
    [
        ("- {id: d1, turns: [{user: a}]}\n- {id: d1, turns: [{user: a}]}", 1, "first on line 14"),
        ("- {id: d1, turns: []}", 0, "dialogue 'd1' has no turns"),
        ("- {id: d1}", 0, "a dialogue lacks 'turns'"),
        ("- {turns: [{user: a}]}", 0, "a dialogue lacks 'id'"),
        ("- {id: '', turns: [{user: a}]}", 0, "a dialogue's id is empty"),
        ("- {id: d1, split: heldout, turns: [{user: a}]}", 0, "did you mean 'held-out'?"),
        ("- hello", 0, "a dialogue must be a mapping"),
        ("  {}", 0, "'dialogues' must be a list"),
    ],
)
def test_wrong_dialogues(dialogues: str, below: int, said: str) -> None:
    expect(f"{HEAD}dialogues:\n{dialogues}\n", HEAD.count("\n") + 2 + below, said)


def expect(text: str, line: int, said: str) -> None:
    with pytest.raises(FormatError) as raised:
        parse_yaml(text, "taxi.yml")
    message = str(raised.value)
    assert message.startswith(f"taxi.yml:{line}: ")
    assert said in message
    assert message.endswith(f"; {raised.value.mend}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n\n", "the file is empty"),
        (b"# nothing\n", "nothing but comments"),
        (b"onramp: '1.0'\nd\xff", "2: byte 15 (0xff) is not UTF-8; save the file as UTF-8"),
        ("onramp: '1.0'".encode("utf-16"), "1: byte 0 (0xff) is not UTF-8"),
        (b"hello", "not a file in rasa-onramp's format"),
        (b"- a\n- b\n", "not a file in rasa-onramp's format"),
        (b"version: '3.1'\nnlu: []\n", "not a file in rasa-onramp's format"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.yml"
    path.write_bytes(content)
    with pytest.raises(FormatError) as raised:
        read_yaml(path)
    assert said in str(raised.value)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode())
    assert read_yaml(path) == parse_yaml(HEAD, path)


def test_a_huge_line_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    with path.open("wb") as file:
        file.truncate(100 * 2**20)  # 100 MB of NUL in one line, sparse
    with pytest.raises(FormatError, match=r"x.yml: holds more than 4 MiB; split it"):
        read_yaml(path)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    for path, said in [
        (tmp_path / "none.yml", "no such file"),
        (tmp_path, "not a regular file"),
        (tmp_path / ("x" * 300), "can't be read"),
        (Path("a\0b"), "no such file"),
    ]:
        with pytest.raises(FormatError, match=said):
            read_yaml(path)


def test_read_guesses_the_format_or_says_that_it_cannot(tmp_path: Path) -> None:
    path = tmp_path / "taxi.txt"
    path.write_text(HEAD)
    assert set(read(path, format="yaml").schemas) == {"taxi"}
    for name, format, said in [
        ("taxi.txt", None, "name the format: one of yaml, sgd"),
        ("taxi.txt", "csv", "unknown format 'csv'; use one of 'yaml', 'sgd', 'multiwoz'"),
        ("taxi.txt", "yml", "did you mean 'yaml'"),
        ("none.yml", None, "no such file or folder"),
    ]:
        with pytest.raises(FormatError) as raised:
            read(tmp_path / name, format=format)
        assert said in str(raised.value)


def test_read_keeps_to_the_services_named(tmp_path: Path) -> None:
    path = tmp_path / "taxi.yml"
    path.write_text(HEAD)
    assert set(read(path, services=["taxi"]).schemas) == {"taxi"}
    with pytest.raises(FormatError, match="no domain called 'taxy'; did you mean 'taxi'"):
        read(path, services=["taxy"])


def test_every_file_in_dialogue_data_is_written_and_read_back(
    repository: Path, tmp_path: Path
) -> None:
    paths = sorted((repository / "dialogue_data").glob("*.yml"))
    assert paths
    for path in paths:
        corpus = read(path)
        (schema,) = corpus.schemas.values()
        write_yaml(tmp_path / "copy.yml", schema, corpus.dialogues)
        assert read_yaml(tmp_path / "copy.yml") == corpus


SCHEMA = parse_yaml(HEAD, "taxi.yml").schemas["taxi"]


@pytest.mark.parametrize(
    "unsayable",
    [
        Dialogue("d", "taxi", ()),
        Dialogue("d", "bus", (Turn("user", "hi", State()),)),
        Dialogue("d", "taxi", (Turn("user", " "),)),
        Dialogue("d", "taxi", (Turn("user", "hi", State({"size": ("Huge",)})),)),
        Dialogue("d", "taxi", (Turn("user", "hi", State({"place": ()})),)),
        Dialogue("d", "taxi", (Turn("user", "hi", State(), action="send"),)),
        Dialogue("d", "taxi", (Turn("user", "hi\ud800", State()),)),
        Dialogue(
            "d", "taxi", (Turn("user", "hi", State(), spans=(Span("a", 0, 2), Span("b", 0, 2))),)
        ),
    ],
)
def test_what_the_format_cannot_say_is_not_written(tmp_path: Path, unsayable: Dialogue) -> None:
    fine = Dialogue("before", "taxi", (Turn("user", "hi", State()),))
    with pytest.raises(ValueError, match="can't say dialogue 'd': "):
        write_yaml(tmp_path / "out.yml", SCHEMA, [fine, unsayable])
    assert not (tmp_path / "out.yml").exists()


def test_too_much_for_a_file_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rasa_onramp.formats.yaml.LIMIT", 2_000)
    long = Dialogue("d", "taxi", (Turn("user", "a " * 1_000, State()),))
    with pytest.raises(TooLarge, match="dialogue 'd' is too long for one file of 2000 bytes"):
        write_yaml(tmp_path / "out.yml", SCHEMA, [long])
    with pytest.raises(TooLarge, match="2 dialogues are too many"):
        write_yaml(tmp_path / "out.yml", SCHEMA, [long, replace(long, id="e")])
    assert not (tmp_path / "out.yml").exists()

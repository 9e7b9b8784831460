"""Rasa's stories as dialogues, and what is said about those that can't be."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import List, Tuple

import pytest

from rasa_onramp.dialogue import DONTCARE, Action, Dialogue, Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.errors import FormatError
from rasa_onramp.formats import read
from rasa_onramp.formats.yaml import parse_yaml

TAXI = Schema(
    "taxi",
    slots=(Slot("place"), Slot("size", "", ("small", "large")), Slot("price")),
    intents=(Intent("book", "", ("place",), {"size": DONTCARE}), Intent("cancel")),
    actions=(Action("send", "", ("place",), ("price",)),),
)

TRAINING = """\
nlu:
  - intent: book
    examples: |
      - a taxi please
      - to [Leeds](place)
      - a [small](size) taxi to [York]{"entity": "city", "role": "place"}
      - I want a taxi
  - intent: greet
    examples:
      - text: |
          - hello
      - hi
  - intent: faq/opening
    examples: |
      - when do you open?
  - lookup: place
    examples: |
      - Leeds
responses:
  utter_ok:
    - text: "On WhatsApp"
      channel: whatsapp
    - text: "Only sometimes"
      condition: [{type: slot, name: x, value: y}]
    - text: "It goes to {place}."
      buttons:
        - {title: The big one, payload: '/inform{"size": "large"}'}
    - text: "Never said"
  utter_picture:
    - image: "https://example.org/a.png"
  utter_faq/opening:
    - text: "At nine."
"""


def story(*steps: str, name: str = "s") -> str:
    return f"stories:\n  - story: {name}\n    steps:\n" + "".join(f"      - {s}\n" for s in steps)


def dialogues(folder: Path, text: str, training: str = TRAINING) -> Tuple[Dialogue, ...]:
    path = folder / "stories.yml"
    path.write_text(f'version: "3.1"\n{training}{text}', encoding="utf-8")
    corpus = read(path, "stories", schema=TAXI)
    assert corpus.schemas == {"taxi": TAXI}
    return corpus.dialogues


def turns(folder: Path, *steps: str) -> Tuple[Turn, ...]:
    (found,) = dialogues(folder, story(*steps))
    return found.turns


def test_the_example_in_the_docs(repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / "formats.md").read_text(encoding="utf-8")
    (stories,) = [part.split("```")[0] for part in page.split("```yml\n")[1:]]
    (domain,) = [part.split("```")[0] for part in page.split("```yaml\n")[1:]]
    schema = parse_yaml(domain, "parcels.yml").schemas["parcel_delivery"]
    path = tmp_path / "stories.yml"
    path.write_text(stories, encoding="utf-8")
    first, second = read(path, "stories", schema=schema).dialogues
    number = {"tracking_number": ("RX4821",)}
    assert first == Dialogue(
        "end to end",
        "parcel_delivery",
        (
            Turn(
                "user",
                "where is RX4821",
                State(number, "track_parcel"),
                spans=(Span("tracking_number", 9, 15),),
            ),
            Turn(
                "system",
                "It is in transit.",
                action="find_parcel",
                parameters={"tracking_number": "RX4821"},
                results=({"status": "in transit"},),
            ),
        ),
    )
    assert second.turns == (
        Turn(
            "user",
            "where is my parcel ZZ9",
            State({"tracking_number": ("ZZ9",)}, "track_parcel"),
            spans=(Span("tracking_number", 19, 22),),
        ),
        Turn("system", "ZZ9 is in transit."),
    )


def test_a_story_from_end_to_end(tmp_path: Path) -> None:
    found = turns(
        tmp_path,
        'user: "to [Leeds](place), [big](size:large)"\n        intent: book',
        "bot: ok",
        "slot_was_set: [{size: small}, mood, {mood: fine}]",
        'user: "no"\n        intent: cancel',
        "slot_was_set: [{place: null}]",
        "bot: gone",
        "active_loop: null",
    )
    assert found == (
        Turn(
            "user",
            "to Leeds, big",
            # an annotation sets a slot, what Rasa sets counts for more
            State({"place": ("Leeds",), "size": ("small",)}, "book"),
            spans=(Span("place", 3, 8), Span("size", 10, 13)),
        ),
        Turn("system", "ok"),
        Turn("user", "no", State({"size": ("small",)}, "cancel")),
        Turn("system", "gone"),
    )


def test_intents_take_examples_with_the_same_entities(tmp_path: Path) -> None:
    found = turns(
        tmp_path,
        "intent: book",
        "bot: where to?",
        "intent: book",
        "bot: where to?",
        "intent: book\n        entities: [{place: Hull}]",
        "bot: ok",
        "intent: book\n        entities: [size, {city: Bath, role: place}]",
        "bot: ok",
        "intent: greet",
        "bot: ok",
        "intent: greet",
        "bot: ok",
        "intent: book",
    )
    users = [turn for turn in found if turn.is_user]
    assert [turn.text for turn in users] == [
        "a taxi please",
        "I want a taxi",
        "to Hull",
        "a small taxi to Bath",
        "hello",
        "hi",
        "a taxi please",  # again, after all others
    ]
    assert users[3].spans == (Span("size", 2, 7), Span("place", 16, 20))
    assert users[3].state == State({"place": ("Bath",), "size": ("small",)}, "book")


def test_entities_of_one_name_go_by_their_roles(tmp_path: Path) -> None:
    nlu = """\
nlu:
  - intent: book
    examples: |
      - [York]{"entity": "city", "role": "size"} and [Hull]{"entity": "city", "role": "place"}
"""
    (tmp_path / "nlu.yml").write_text(nlu, encoding="utf-8")
    steps = "intent: book\n        entities: [{city: Bath, role: place}, {city: small, role: size}]"
    (tmp_path / "stories.yml").write_text(story(steps, "bot: ok"), encoding="utf-8")
    (found,) = read(tmp_path, format="stories", schema=TAXI).dialogues
    asked = found.turns[0]
    assert asked.text == "small and Bath"
    assert asked.state == State({"place": ("Bath",), "size": ("small",)}, "book")


def test_training_data_of_installed_packages_is_not_the_bots(tmp_path: Path) -> None:
    (tmp_path / "stories.yml").write_text(story("user: hi", "bot: ok"), encoding="utf-8")
    for folder, sign in (("env", "env/pyvenv.cfg"), ("venv/lib/site-packages", None)):
        (tmp_path / folder / "rasa").mkdir(parents=True)
        (tmp_path / folder / "rasa" / "stories.yml").write_bytes(b"stories:\n- \xff")
        if sign is not None:
            (tmp_path / sign).write_text("home = /usr/bin\n", encoding="utf-8")
    (found,) = read(tmp_path, format="stories", schema=TAXI).dialogues
    assert [turn.text for turn in found.turns] == ["hi", "ok"]


def test_a_bot_as_rasa_makes_one(tmp_path: Path) -> None:
    """Its test stories have the names of its stories, and are no support."""
    rasa = importlib.util.find_spec("rasa")  # importing it takes long
    if rasa is None or rasa.origin is None:
        pytest.skip("Rasa isn't installed")
    folder = tmp_path / "bot"
    shutil.copytree(Path(rasa.origin).parent / "cli" / "initial_project", folder)
    (folder / "results").mkdir()
    failed = story("user: hi", "bot: ho", name="happy path")
    (folder / "results" / "failed_test_stories.yml").write_text(failed, encoding="utf-8")
    found = read(folder, "stories", schema=TAXI).dialogues
    assert [dialogue.id for dialogue in found] == ["happy path", "sad path 1", "sad path 2"]
    tests = folder / "tests" / "test_stories.yml"
    assert "happy path" in tests.read_text(encoding="utf-8")
    tests.write_text(failed, encoding="utf-8")
    (named,) = read(tests, "stories", schema=TAXI).dialogues
    assert named.turns[1].text == "ho"
    with pytest.raises(FormatError, match=r"no stories; .*test_"):
        read(tests.parent, "stories", schema=TAXI)


def test_responses_are_filled_in_and_buttons_pressed(tmp_path: Path) -> None:
    found = turns(
        tmp_path,
        "intent: book\n        entities: [place]",
        "action: utter_ok",
        'user: \'/inform{"size": "large"}\'\n        intent: inform',
        "slot_was_set: [{size: large}]",
        "bot: ok",
    )
    assert found[1] == Turn("system", "It goes to Leeds.")
    assert found[2].text == "The big one"
    found = turns(tmp_path, "intent: faq/opening", "action: utter_faq", "intent: faq")
    assert [turn.text for turn in found] == ["when do you open?", "At nine.", "when do you open?"]


def test_or_makes_a_story_of_each_choice(tmp_path: Path) -> None:
    text = story(
        "or:\n          - intent: greet\n          - user: good day",
        "bot: hello",
        "or:\n          - user: to [Leeds](place)\n          - user: bye",
    )
    found = dialogues(tmp_path, text)
    assert [(d.id, d.turns[0].text, d.turns[2].text) for d in found] == [
        ("s (1)", "hello", "to Leeds"),
        ("s (2)", "hi", "bye"),
        ("s (3)", "good day", "to Leeds"),
        ("s (4)", "good day", "bye"),
    ]
    many = "or: [{user: a}, {user: b}]", "bot: x"
    with pytest.raises(FormatError, match="make 64 stories of 's'; keep to 32"):
        dialogues(tmp_path, story(*many * 6))


def test_a_bot_s_own_folder(repository: Path) -> None:
    """Stories, examples and responses stand in three files, rules in a fourth."""
    schema = Schema(
        "pizza",
        slots=(Slot("size"), Slot("topping")),
        intents=(Intent("order_pizza", "", ("size", "topping")), Intent("complain")),
    )
    found = read(repository / "tests" / "bots" / "pizzeria", "stories", schema=schema).dialogues
    assert [d.id for d in found] == ["A complaint, and a call", "A complaint, and no call"]
    texts = [turn.text for turn in found[0].turns]
    assert texts[1] == "I'm sorry. Shall the boss call you?"
    assert texts[3] == "The boss will call you."
    assert [turn.state for turn in found[0].turns[::2]] == [State({}, "complain")] * 2


def test_foreign_files_of_a_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("a: &x 1\nb: *x\n", encoding="utf-8")
    (tmp_path / "empty.yml").touch()
    (tmp_path / "blank.yml").write_text("\n", encoding="utf-8")
    (tmp_path / "latin.yml").write_bytes("price: 5 \xa3\n".encode("latin-1"))
    (tmp_path / "api.yml").write_text("paths:\n" + "  /x: y\n" * 300_000, encoding="utf-8")
    (tmp_path / "long.yml").write_text("x" * 70_000 + "stories:\n", encoding="utf-8")
    outside = tmp_path.with_name(f"{tmp_path.name}-credentials.yml")
    outside.write_text("rest:\n", encoding="utf-8")
    (tmp_path / "elsewhere.yml").symlink_to(outside)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "stories.yml").write_text("stories: 5", encoding="utf-8")
    (tmp_path / "data").mkdir()
    assert [d.id for d in dialogues(tmp_path / "data", story("user: hi", "bot: ho"))] == ["s"]
    corpus = read(tmp_path, "stories", schema=TAXI)
    assert [turn.state for turn in corpus.dialogues[0].turns] == [None, None]


def test_stories_in_another_encoding_are_not_passed_over(tmp_path: Path) -> None:
    dialogues(tmp_path, story("user: hi", "bot: ho"))
    (tmp_path / "more.yml").write_text("stories: []\n", encoding="utf-16")
    with pytest.raises(FormatError, match=r"more\.yml"):
        read(tmp_path, "stories", schema=TAXI)


MESSAGE = "user: hi"
BAD: List[Tuple[Tuple[str, ...], str]] = [
    (("checkpoint: c",), "a checkpoint, which joins stories; write the story out"),
    (("usr: hi",), "no step is called 'usr'; did you mean 'user'?"),
    (("hi",), "a step must be a mapping"),
    (("or: hi",), "'or' must be a list"),
    (("or: [hi]",), "an OR step lists its alternatives"),
    (('user: "x"\n        colour: red',), "a step `user` has no key 'colour'"),
    (('user: ""',), "a message is empty"),
    (("user: '[x]{\"entity\": }'",), "isn't valid JSON"),
    (('user: \'[x]{"role": "a"}\'',), "names no entity"),
    (("intent: cancel",), "no NLU example of 'cancel' without entities"),
    (("intent: book\n        entities: [price]",), "'book' with the entities price"),
    (("intent: book\n        entities: [[price]]",), "an entity must be a name"),
    ((MESSAGE, "user: ho"), "the bot says nothing to the message on line"),
    ((MESSAGE, "action: action_x", "user: ho"), "write what it says before this step"),
    ((MESSAGE, "action: utter_nothing"), "no response 'utter_nothing' with a text"),
    ((MESSAGE, "action: utter_picture"), "no response 'utter_picture' with a text"),
    ((MESSAGE, "action: utter_ok"), "'utter_ok' speaks of 'place', which isn't set here"),
    ((MESSAGE, "slot_was_set: [{size: tiny}]"), "'tiny' is not among the values listed"),
    ((MESSAGE, "slot_was_set: [{place: {a: b}}]"), "a value must be a text"),
    (("bot: hello",), "nothing is said in story 's'"),
]


@pytest.mark.parametrize(("steps", "saying"), BAD)
def test_wrong_steps_are_named(tmp_path: Path, steps: Tuple[str, ...], saying: str) -> None:
    with pytest.raises(FormatError) as caught:
        dialogues(tmp_path, story(*steps))
    message = str(caught.value)
    assert saying in message
    assert "\n" not in message
    first = TRAINING.count("\n") + 3
    assert caught.value.line is not None
    assert first <= caught.value.line <= first + 3 + sum(1 + s.count("\n") for s in steps)


def test_other_mistakes(tmp_path: Path) -> None:
    twice = story(MESSAGE, "bot: a") + story(MESSAGE, "bot: a").replace("stories:\n", "")
    for text, saying in (
        (twice, r"a second story is called 's' \(first at stories.yml:\d+\)"),
        ("stories: []", "no stories; name a file or folder"),
        ("stories: [{story: x}]", "a story lacks 'steps'"),
        ("stories: 5", "'stories' must be a list"),
    ):
        with pytest.raises(FormatError, match=saying):
            dialogues(tmp_path, text)
    (tmp_path / "list.yml").write_text("- 1", encoding="utf-8")
    with pytest.raises(FormatError, match="not a file of Rasa's training data"):
        read(tmp_path / "list.yml", "stories", schema=TAXI)

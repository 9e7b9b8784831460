"""Carelessly typed turns and invented values: marks stay on what they marked."""

import random
from pathlib import Path

import pytest

from rasa_onramp.dialogue import Dialogue, Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.formats import read
from rasa_onramp.metalearning.examples import Augmentation
from rasa_onramp.metalearning.noise import noisy, with_new_values
from tiny_tracker import examples_of, tiny_tracker

DATA = Path(__file__).parents[2] / "dialogue_data"
CORPORA = [read(str(path), format="yaml") for path in sorted(DATA.glob("*.yml"))]
DIALOGUES = [(c.schemas[d.domain], d) for c in CORPORA for d in c.dialogues]

CINEMA = Schema(
    "cinema",
    slots=(Slot("film"), Slot("day"), Slot("screen", values=("large", "small"))),
    intents=(Intent("book", required_slots=("film", "day", "screen")),),
)


def cinema(text="Two for Alien on Friday please, the large one", values=None):
    at = text.index("Alien")
    day = text.index("Friday")
    large = text.index("large")
    spans = (Span("film", at, at + 5), Span("day", day, day + 6), Span("screen", large, large + 5))
    values = values or {"film": ("Alien",), "day": ("Friday",), "screen": ("large",)}
    turns = (
        Turn("user", text, State(values, "book"), spans=spans),
        Turn("system", "Alien on Friday?", spans=(Span("film", 0, 5), Span("day", 9, 15))),
        Turn("user", "yes, Alien", State(values, "book"), spans=(Span("film", 5, 10),)),
    )
    return Dialogue("d", "cinema", turns)


@pytest.mark.parametrize("seed", range(4))
def test_noise_leaves_marks_on_their_values_and_the_bot_as_it_was(seed):
    changed, rng = 0, random.Random(seed)
    for _, dialogue in DIALOGUES:
        typed = noisy(dialogue, rng)
        assert len(typed.turns) == len(dialogue.turns)
        for before, after in zip(dialogue.turns, typed.turns):
            assert after.state == before.state and after.speaker == before.speaker
            changed += after.text != before.text
            if not before.is_user:
                assert after == before
            old = sorted((s.slot, before.text[s.start : s.end].lower()) for s in before.spans)
            new = sorted((s.slot, after.text[s.start : s.end].lower()) for s in after.spans)
            assert new == old
    assert changed > 50


def test_noise_is_one_persons_way_of_typing():
    styles = set()
    for seed in range(40):
        turns = noisy(cinema(), random.Random(seed)).turns
        styles.add(turns[0].text)
        assert turns[0].text.islower() == turns[2].text.islower()
    assert "two for alien on friday pls the large one" in styles
    assert len(styles) > 5


@pytest.mark.parametrize("seed", range(10))
def test_a_new_value_is_the_same_wherever_it_was_said(seed):
    dialogue = with_new_values(cinema(), CINEMA, random.Random(seed))
    first, bot, last = dialogue.turns
    assert first.state.values["screen"] == ("large",)
    for turn in dialogue.turns:
        for span in turn.spans:
            assert turn.text[span.start : span.end] == first.state.values[span.slot][0]
    assert bot.text == f"{first.state.values['film'][0]} on {first.state.values['day'][0]}?"
    assert last.state.values == first.state.values


def test_about_half_of_the_free_slots_get_codes_or_names():
    found = [
        with_new_values(cinema(), CINEMA, random.Random(seed)).turns[0].state.values["film"][0]
        for seed in range(200)
    ]
    new = [value for value in found if value != "Alien"]
    assert 60 < len(new) < 140
    assert any(c.isdigit() for v in new for c in v) and any(v.isalpha() for v in new)


def test_slots_with_equivalent_spellings_are_left_alone():
    values = {"film": ("Alien",), "day": ("Friday", "the 9th"), "screen": ("large",)}
    for seed in range(20):
        dialogue = with_new_values(cinema(values=values), CINEMA, random.Random(seed))
        assert dialogue.turns[0].state.values["day"] == ("Friday", "the 9th")
        assert "Friday" in dialogue.turns[0].text


def test_a_turn_that_marks_one_place_twice_is_left_as_it_is():
    """Such a turn, with one of its two slots chosen, used to stop the training."""
    turn = Turn("user", "Alien", State(), spans=(Span("film", 0, 5), Span("day", 0, 5)))
    for seed in range(20):
        dialogue = with_new_values(Dialogue("d", "cinema", (turn,)), CINEMA, random.Random(seed))
        assert dialogue.turns == (turn,)


def test_real_dialogues_stay_answerable():
    """No query that could be answered before is unanswerable with new values and noise."""
    tokens = tiny_tracker().tokens
    how = Augmentation(noise=1.0, new_values=1.0)
    for schema, dialogue in DIALOGUES:
        for seed in range(2):
            plain = examples_of(tokens, schema, dialogue, random.Random(seed))
            varied = examples_of(tokens, schema, dialogue, random.Random(seed), how)
            answered = [len({q for q, _, _ in t.points}) for _, t in plain]
            assert sum(len({q for q, _, _ in t.points}) for _, t in varied) >= sum(answered) - 1


def test_the_same_seed_gives_the_same_dialogue():
    for schema, dialogue in DIALOGUES[:8]:
        twice = [
            noisy(with_new_values(dialogue, schema, random.Random(3)), random.Random(4))
            for _ in range(2)
        ]
        assert twice[0] == twice[1]

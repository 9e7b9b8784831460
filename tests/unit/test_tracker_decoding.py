"""From scores to states, and dialogues followed turn by turn."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Dict, List, Optional, Tuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_onramp.dialogue import DONTCARE, Dialogue, Schema, Slot, Span, State, Turn
from rasa_onramp.metalearning.examples import group_of
from rasa_onramp.metalearning.finetuning import FineTuning, finetune
from rasa_onramp.metalearning.lora import initial_lora
from rasa_onramp.tracker.answers import MAX_SPAN, STAYING, TurnPrediction, answer
from rasa_onramp.tracker.batch import candidate_mask, collate
from rasa_onramp.tracker.decoding import prepare, track_dialogues
from rasa_onramp.tracker.model import Scores, StateTracker
from rasa_onramp.tracker.prompt import Prompt
from rasa_onramp.tracker.targets import known_before, label
from rasa_onramp.tracker.together import track
from tiny_tracker import CAFE, CONFIG, booking, bookings, prompt_of, system, tiny_tracker, user

LOWEST = torch.finfo(torch.float32).min


def blank(prompt: Prompt) -> Scores:
    """Scores that find every allowed place equally good, and request nothing."""
    batch = collate([prompt])
    allowed = candidate_mask(batch, batch)[:, prompt.history :]
    scores = torch.zeros(allowed.shape).masked_fill(~allowed, LOWEST)
    return Scores(scores, scores.clone(), torch.full(allowed.shape[:2], -4.0))


def aimed(prompt: Prompt, *aims: Tuple[int, int, int]) -> Scores:
    """Scores that prefer start and end of each (query, start, end), and no change elsewhere."""
    scores = blank(prompt)
    for query in range(prompt.queries_a_turn):
        scores.start[0, query, prompt.schema.none] = scores.end[0, query, prompt.schema.none] = 8
    for query, first, last in aims:
        scores.start[0, query, first] = scores.end[0, query, last] = 20.0
    return scores


def place(prompt: Prompt, text: str, turn: int) -> Tuple[int, int]:
    """First and last token of `text` in a turn."""
    start = prompt.turns[turn].text.index(text)
    here = [
        t
        for t in range(prompt.history)
        if prompt.utterance[t] == turn
        and prompt.start[t] >= start
        and prompt.end[t] <= start + len(text)
        and prompt.end[t]
    ]
    return here[0], here[-1]


TURNS = booking(0).turns


def test_a_span_of_the_users_text() -> None:
    prompt = prompt_of(TURNS[:1], 0)
    found = answer(prompt, aimed(prompt, (2, *place(prompt, "monday", 0))), 0, State())
    assert found.state == State({"visit_day": ("monday",)})
    assert found.changes == {"visit_day": ("monday",)}
    assert found.spans == (Span("visit_day", 18, 24),)
    assert TURNS[0].text[18:24] == "monday"
    assert set(found.slot_confidence) == {"guest_name", "seating", "visit_day"}
    assert found.slot_confidence["visit_day"] > 0.99


@pytest.mark.parametrize(("surer", "other"), [(0, 2), (2, 0)])
def test_words_are_one_slots_new_value(surer: int, other: int) -> None:
    prompt = prompt_of(TURNS[:1], 0)
    monday, name = place(prompt, "monday", 0), prompt.schema.schema.slots[surer].name
    scores = aimed(prompt, (surer, *monday), (other, *monday))
    scores.start[0, other, monday[0]] = 15.0
    found = answer(prompt, scores, 0, State())
    assert found.changes == {name: ("monday",)}
    assert found.spans == (Span(name, 18, 24),)
    unsure = prompt.schema.schema.slots[other].name
    assert found.slot_confidence[unsure] < 0.01 < 0.99 < found.slot_confidence[name]
    # what only touches it isn't the same words
    beside = place(prompt, TURNS[0].text[:17].split()[-1], 0)
    both = answer(prompt, aimed(prompt, (surer, *monday), (other, *beside)), 0, State())
    assert set(both.changes) == {name, unsure}


def test_a_value_keeps_the_accent_that_it_ends_in() -> None:
    """Also where that is a character of its own."""
    turn = user("for rene\u0301 please", {}, marks={"guest_name": "rene\u0301"})
    prompt = prompt_of([turn], 0)
    found = answer(prompt, aimed(prompt, (0, *place(prompt, "rene\u0301", 0))), 0, State())
    assert found.changes == {"guest_name": ("rene\u0301",)}
    assert found.spans == turn.spans


def test_a_value_has_no_emoji() -> None:
    turn = user("to Leeds🙂 on friday👍🏽tomorrow", {})
    prompt = prompt_of([turn], 0)
    found = answer(prompt, aimed(prompt, (0, *place(prompt, "Leeds", 0))), 0, State())
    assert found.changes == {"guest_name": ("Leeds",)}
    assert found.spans == (Span("guest_name", 3, 8),)
    # nor is one read across an emoji, however likely both ends are
    aims = (place(prompt, "friday", 0)[0], place(prompt, "tomorrow", 0)[1])
    found = answer(prompt, aimed(prompt, (0, *aims)), 0, State())
    assert found.changes["guest_name"][0] in ("friday", "tomorrow", "on friday")


def test_an_emoji_alone_is_tracked(tracker: StateTracker) -> None:
    for texts in (["👍"], ["a table on monday", "inside?", "👍"]):
        turns = [system(t) if n % 2 else user(t, {}) for n, t in enumerate(texts)]
        found = track(tracker, prepare(tracker, CAFE), turns, State())
        makes_sense(CAFE, turns, State(), found)
        assert not found.spans


def test_a_span_of_the_bots_text_has_no_place_in_the_users() -> None:
    prompt = prompt_of(TURNS[:3], 2)
    aims = (0, *place(prompt, "inside, terrace", 1))
    found = answer(prompt, aimed(prompt, aims), 0, State())
    assert found.changes == {"guest_name": ("inside, terrace",)}
    assert found.spans == ()


def test_listed_values_are_given_as_the_schema_spells_them() -> None:
    schema = Schema("S", slots=(Slot("seating", "", ("Terrace", "BAR")),))
    prompt = prompt_of([user("the bar", {})], 0, schema=schema)
    target = prompt.schema.targets[0]["bar"]
    found = answer(prompt, aimed(prompt, (0, target, target)), 0, State({"seating": ("Terrace",)}))
    assert found.state.values == {"seating": ("BAR",)}
    assert found.spans == ()


@pytest.mark.parametrize("value", ["none", "any", "clear", "span"])
def test_listed_values_may_be_called_anything(value: str) -> None:
    schema = Schema("S", slots=(Slot("extras", "", ("all", value)),))
    prompt = prompt_of([user("hm", {})], 0, schema=schema)
    target = prompt.schema.targets[0][value]
    found = answer(prompt, aimed(prompt, (0, target, target)), 0, State())
    assert found.changes == {"extras": (value,)}


def test_values_that_differ_only_in_case_share_a_place() -> None:
    schema = Schema("S", slots=(Slot("part", "", ("AM", "am", "PM")),))
    prompt = prompt_of([user("hm", {})], 0, schema=schema)
    targets = prompt.schema.targets[0]
    said = {}
    for name, target in targets.items():
        found = answer(prompt, aimed(prompt, (0, target, target)), 0, State())
        said[name] = found.changes["part"]
    assert said == {"am": ("AM",), "pm": ("PM",)}


def test_any_clear_and_no_change() -> None:
    known = {"visit_day": ("friday",), "seating": ("bar",), "guest_name": ("ann", "anna")}
    prompt = prompt_of(TURNS[:1], 0)
    schema = prompt.schema
    scores = aimed(prompt, (2, schema.any, schema.any), (1, schema.clear, schema.clear))
    found = answer(prompt, scores, 0, State(known, "CancelTable", ("seating",)))
    assert found.state.values == {"visit_day": (DONTCARE,), "guest_name": ("ann", "anna")}
    assert found.changes == {"visit_day": (DONTCARE,), "seating": ()}
    # intent and requested slots are this turn's own
    assert (found.state.active_intent, found.state.requested_slots) == (None, ())
    assert known["seating"] == ("bar",)  # the state before is left as it was


def test_clearing_what_is_empty_changes_nothing() -> None:
    prompt = prompt_of(TURNS[:1], 0)
    clear = prompt.schema.clear
    found = answer(prompt, aimed(prompt, (1, clear, clear)), 0, State())
    assert (found.state.values, found.changes) == ({}, {})
    assert found.slot_confidence["seating"] > 0.99


def test_slots_that_no_intent_names_are_only_reported() -> None:
    schema = replace(CAFE, slots=(*CAFE.slots, Slot("deposit", "What the guests pay beforehand")))
    prompt = prompt_of(TURNS[:1], 0, schema=schema)
    scores = aimed(prompt, (3, *place(prompt, "monday", 0)))
    scores.requested[0, 3] = 5.0
    found = answer(prompt, scores, 0, State())
    assert found.changes == {}
    assert found.state.requested_slots == ("deposit",)
    assert found.slot_confidence["deposit"] == 1


def test_a_span_never_crosses_utterances() -> None:
    prompt = prompt_of(TURNS[:3], 2)
    first, _ = place(prompt, "table", 0)
    _, last = place(prompt, "please", 2)
    scores = aimed(prompt, (0, first, last))
    # a weaker, whole one must win
    a, b = place(prompt, "inside please", 2)
    scores.start[0, 0, a], scores.end[0, 0, b] = 15.0, 20.0
    found = answer(prompt, scores, 0, State())
    assert found.changes == {"guest_name": ("inside please",)}


def test_a_span_does_not_run_backwards_nor_too_far() -> None:
    words = " ".join(f"w{chr(97 + n)}" for n in range(20)) * 2
    prompt = prompt_of([user(words, {})], 0)
    a, b = len(prompt.schema) + 1, prompt.history - 1
    assert b - a > MAX_SPAN
    for first, last in ((b, a), (a, b)):
        found = answer(prompt, aimed(prompt, (0, first, last)), 0, State())
        spans = [s for s in found.spans if s.slot == "guest_name"]
        for span in spans:
            inside = [t for t in range(a, b + 1) if span.start <= prompt.start[t] < span.end]
            assert 1 <= len(inside) <= MAX_SPAN
        assert found.changes.get("guest_name") != (words,)


def test_intent_action_and_their_confidence() -> None:
    prompt = prompt_of(TURNS[:1], 0)
    intent = prompt.schema.intents["CancelTable"]
    action = prompt.schema.actions["find_days"]
    found = answer(prompt, aimed(prompt, (3, intent, intent), (4, action, action)), 0, State())
    assert (found.state.active_intent, found.action) == ("CancelTable", "find_days")
    assert found.intent_confidence > 0.99 and found.action_confidence > 0.99
    found = answer(prompt, blank(prompt), 0, State())
    # three places are equally good: none and two intents
    assert found.intent_confidence == pytest.approx(1 / 3)
    assert found.action_confidence == pytest.approx(1 / 3)


def test_confidence_is_a_probability_of_the_answer() -> None:
    """Of one place: the mean of its two; of a span: both ends must be right."""
    prompt = prompt_of([user("ann bo", {})], 0)
    scores = blank(prompt)
    one, two = prompt.history - 2, prompt.history - 1
    for kind, p in ((scores.start, 0.8), (scores.end, 0.6)):
        kind[0, 0] = LOWEST
        kind[0, 0, one], kind[0, 0, two] = math.log(p), math.log(1 - p)
        kind[0, 1] = LOWEST
        kind[0, 1, prompt.schema.none] = math.log(p)
        kind[0, 1, prompt.schema.any] = math.log(1 - p)
    found = answer(prompt, scores, 0, State())
    assert found.changes["guest_name"] == ("ann",)
    assert found.slot_confidence["guest_name"] == pytest.approx(0.8 * 0.6, rel=1e-5)
    assert found.slot_confidence["seating"] == pytest.approx(math.sqrt(0.8 * 0.6), rel=1e-5)


def test_several_likely_places_outweigh_no_change() -> None:
    prompt = prompt_of([user("ann bo", {})], 0)
    scores = blank(prompt)
    for kind in (scores.start, scores.end):
        kind[0, 0] = LOWEST
        kind[0, 0, prompt.schema.none] = math.log(0.45)
        kind[0, 0, prompt.history - 2] = math.log(0.3)
        kind[0, 0, prompt.history - 1] = math.log(0.25)
        kind[0, 1] = LOWEST
        kind[0, 1, prompt.schema.none] = math.log(0.45)
        for place, p in zip(prompt.schema.targets[1].values(), (0.2, 0.35)):
            kind[0, 1, place] = math.log(p)
        kind[0, 2, prompt.schema.none] = 9.0
    found = answer(prompt, scores, 0, State())
    assert found.changes == {"guest_name": ("ann",), "seating": (CAFE.slots[1].values[1],)}
    assert found.slot_confidence["guest_name"] == pytest.approx(0.09)
    assert found.slot_confidence["seating"] == pytest.approx(0.35)


def test_the_intent_so_far_stays_unless_another_is_clearly_likelier() -> None:
    prompt = prompt_of(TURNS[:1], 0)
    old, new = list(prompt.schema.intents)[:2]
    for lead, wanted in ((STAYING - 0.1, old), (STAYING + 0.1, new)):
        scores = blank(prompt)
        for kind in (scores.start, scores.end):
            kind[0, -2, prompt.schema.intents[new]] = 9 + lead / 2
            kind[0, -2, prompt.schema.intents[old]] = 9
        found = answer(prompt, scores, 0, State({}, old))
        assert found.state.active_intent == wanted
        fresh = answer(prompt, scores, 0, State())
        assert fresh.state.active_intent == new
        # how sure the tracker is, it was before anything was preferred
        if wanted == new:
            assert found.intent_confidence == fresh.intent_confidence
        else:
            assert found.intent_confidence < 0.5 < fresh.intent_confidence


@pytest.mark.parametrize(("score", "asked"), [(0.01, True), (-0.01, False)])
def test_requested_slots_are_those_more_likely_than_not(score: float, asked: bool) -> None:
    prompt = prompt_of(TURNS[:1], 0)
    scores = blank(prompt)
    scores.requested[0, 1] = score
    scores.requested[0, 3] = 9.0  # the intent's query
    found = answer(prompt, scores, 0, State(requested_slots=("visit_day",)))
    assert found.state.requested_slots == (("seating",) if asked else ())


def test_text_without_a_single_token() -> None:
    prompt = prompt_of([user("", {})], 0)
    found = answer(prompt, blank(prompt), 0, State())
    assert found.spans == ()


@given(st.integers(0, 10_000), st.floats(0.1, 30))
@settings(max_examples=60)
def test_whatever_the_scores_an_answer_makes_sense(seed: int, spread: float) -> None:
    prompt = prompt_of(TURNS[:5], 4)
    generator = torch.Generator().manual_seed(seed)
    scores = blank(prompt)
    for part in (scores.start, scores.end, scores.requested):
        noise = torch.randn(part.shape, generator=generator) * spread
        part += torch.where(part > LOWEST, noise, torch.zeros(()))
    before = State({"seating": ("bar",), "guest_name": (DONTCARE,)})
    found = answer(prompt, scores, 0, before)
    makes_sense(CAFE, list(TURNS[:5]), before, found)


def makes_sense(schema: Schema, turns: List[Turn], before: State, found: TurnPrediction) -> None:
    """Whatever is answered was said, is listed, or is one of the special answers."""
    texts = [turn.text for turn in turns]
    for name, values in found.changes.items():
        slot = schema.slot(name)
        if values in ((), (DONTCARE,)):
            continue
        assert len(values) == 1
        if slot.categorical:
            assert values[0] in slot.values
        else:
            assert any(values[0] in text for text in texts)
    after: Dict[str, Tuple[str, ...]] = {**before.values, **found.changes}
    assert found.state.values == {name: values for name, values in after.items() if values}
    for span in found.spans:
        assert found.changes[span.slot] == (texts[-1][span.start : span.end],)
    confidences = [*found.slot_confidence.values(), found.intent_confidence]
    assert all(0 <= c <= 1 for c in [*confidences, found.action_confidence])
    assert set(found.slot_confidence) == {slot.name for slot in schema.slots}
    assert found.state.active_intent in {None, *(i.name for i in schema.intents)}
    assert found.action in {None, *(a.name for a in schema.actions)}


@pytest.mark.parametrize("number", range(4))
def test_right_pointers_decode_to_the_labelled_states(number: int) -> None:
    """label() and answer() say the same thing in two directions."""
    turns = booking(number).turns
    for index in (0, 2, 4):
        state, before = turns[index].state, known_before(turns)[index]
        assert state is not None
        prompt = prompt_of(turns, index, known=[before])
        targets = label(prompt, [before])
        found = answer(prompt, aimed(prompt, *targets.points), 0, State(before))
        assert found.state == state
        assert found.action == turns[index + 1].action


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    """Untrained: it answers anything."""
    tracker = tiny_tracker(seed=5, spread=4.0)
    tracker.weights["offer.weight"] = torch.ones(CONFIG.hidden_size)
    return tracker


def long_dialogue(turns: int = 60) -> Dialogue:
    """More than the encoder's positions: several windows."""
    filler = [user("we were in the mountains last year " * 2, {}), system("how nice " * 8)]
    found = list(booking(1).turns) + filler * (turns // 2 - 3) + list(booking(2).turns)
    return Dialogue("long", CAFE.name, tuple(found))


def live(
    tracker: StateTracker, dialogue: Dialogue, adapter=None, offers: bool = False
) -> List[Optional[TurnPrediction]]:
    """As a running bot tracks: a turn at a time, nothing known of what follows."""
    domain = prepare(tracker, CAFE, adapter)
    state, found = State(), []
    for index, turn in enumerate(dialogue.turns):
        if not turn.is_user:
            continue
        if turn.state is None:
            found.append(None)
            continue
        prediction = track(tracker, domain, dialogue.turns[: index + 1], state, offers=offers)
        makes_sense(CAFE, list(dialogue.turns[: index + 1]), state, prediction)
        state = prediction.state
        found.append(prediction)
    return found


def same(one: Optional[TurnPrediction], two: Optional[TurnPrediction]) -> None:
    if one is None or two is None:
        assert one is two
        return
    assert (one.state, one.changes, one.spans, one.action) == (
        two.state,
        two.changes,
        two.spans,
        two.action,
    )
    assert one.slot_confidence == pytest.approx(two.slot_confidence, abs=1e-4)
    assert one.intent_confidence == pytest.approx(two.intent_confidence, abs=1e-4)
    assert one.action_confidence == pytest.approx(two.action_confidence, abs=1e-4)


@pytest.mark.parametrize("offers", [False, True])
def test_tracking_live_and_afterwards_agree(tracker: StateTracker, offers: bool) -> None:
    lora = initial_lora(CONFIG, 2, generator=torch.Generator().manual_seed(0))
    adapter = {**tracker.weights, **{k: torch.full_like(v, 0.1) for k, v in lora.items()}}
    digression = replace(
        booking(3), turns=(*booking(3).turns[:2], user("weather?", None), *booking(3).turns[1:])
    )
    dialogues = [booking(0), long_dialogue(), digression, Dialogue("empty", CAFE.name, ())]
    together = track_dialogues(tracker, CAFE, dialogues, adapter, offers=offers, batch_size=3)
    assert [len(found) for found in together] == [3, 33, 4, 0]
    for dialogue, found in zip(dialogues, together):
        for one, two in zip(found, live(tracker, dialogue, adapter, offers)):
            same(one, two)
    assert together[2][1] is None
    # the adapter and the marks count: without them other things are found
    plain = track_dialogues(tracker, CAFE, dialogues, None, offers=not offers)
    assert plain != together


def test_one_dialogue_is_tracked_as_among_others(tracker: StateTracker) -> None:
    dialogues = list(bookings(5))
    together = track_dialogues(tracker, CAFE, dialogues, batch_size=2)
    for dialogue, found in zip(dialogues, together):
        (alone,) = track_dialogues(tracker, CAFE, [dialogue])
        for one, two in zip(found, alone):
            same(one, two)


def test_states_carry_over_from_window_to_window(tracker: StateTracker) -> None:
    (found,) = track_dialogues(tracker, CAFE, [long_dialogue()])
    state = State()
    for prediction in found:
        assert prediction is not None
        after = {**state.values, **prediction.changes}
        assert prediction.state.values == {k: v for k, v in after.items() if v}
        state = prediction.state


def test_a_tracker_that_learned_its_dialogues_repeats_their_states() -> None:
    """Labels, loss and decoding in one: training on what is to be said leads to it being said."""
    start = tiny_tracker(seed=0)
    dialogues = bookings(2)
    found = [group_of(start.tokens, CAFE, [d], random.Random(0)) for d in dialogues]
    groups = [group for group in found if group is not None]
    how = FineTuning(rate=5e-3, epochs=80, dialogues_a_step=2)
    learned = finetune(start, groups, how)
    for dialogue, found in zip(dialogues, track_dialogues(learned, CAFE, dialogues)):
        states = [turn.state for turn in dialogue.turns if turn.is_user]
        assert [p.state for p in found if p is not None] == states
        assert [p.action for p in found if p is not None] == [None, None, "BookTable"]
    before = track_dialogues(start, CAFE, dialogues)
    assert [p.state for p in before[0] if p is not None] != [
        turn.state for turn in dialogues[0].turns if turn.is_user
    ]

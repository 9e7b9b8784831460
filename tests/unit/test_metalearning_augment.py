"""The same dialogues in other words and orders: labels must stay true."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_onramp.dialogue import Action, Dialogue, Intent, Schema, Slot, Span, State, Turn
from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.augment import (
    crop,
    forget,
    renaming,
    shuffled,
    translate,
    undescribed,
)
from rasa_onramp.metalearning.examples import Augmentation, group_of
from rasa_onramp.tracker.batch import collate, collate_labels
from rasa_onramp.tracker.prompt import Prompt
from rasa_onramp.tracker.roles import Flag, Role
from rasa_onramp.tracker.targets import Targets
from tiny_tracker import CAFE, booking, bookings, examples_of, shared_tokens, system, user

TOKENS = shared_tokens()

OTHER = Schema(
    "Reservations",
    "Reserve seats to eat",
    (
        Slot("reservation_holder", "Who comes"),
        Slot("area", "Part of the house", ("inside", "terrace", "bar")),
        Slot("date", "When"),
    ),
    (Intent("Reserve", "", ("date",)), Intent("Withdraw")),
    (Action("Reserve"), Action("look_up")),
)


def test_a_dialogue_is_translated_with_all_that_names_something() -> None:
    turn = Turn(
        "user",
        "anna, monday",
        State({"guest_name": ("anna",), "visit_day": ("monday",)}, "BookTable", ("seating",)),
        spans=(Span("guest_name", 0, 4),),
    )
    reply = Turn("system", "ok", action="find_days", parameters={"visit_day": "monday"})
    nothing = Turn("user", "bye", None)
    dialogue = Dialogue("d", CAFE.name, (turn, reply, nothing), "support")
    found = translate(dialogue, renaming(CAFE, OTHER), OTHER.name)
    assert (found.id, found.domain, found.split) == ("d", "Reservations", "support")
    assert found.turns[0].state == State(
        {"reservation_holder": ("anna",), "date": ("monday",)}, "Reserve", ("area",)
    )
    assert found.turns[0].spans == (Span("reservation_holder", 0, 4),)
    assert (found.turns[1].action, found.turns[1].parameters) == ("look_up", {"date": "monday"})
    assert found.turns[2] == nothing
    assert [t.text for t in found.turns] == [t.text for t in dialogue.turns]
    # and back again
    assert translate(found, renaming(OTHER, CAFE), CAFE.name) == dialogue


@pytest.mark.parametrize("part", ["slots", "intents", "actions"])
def test_schemas_that_do_not_correspond_are_refused(part: str) -> None:
    fewer = replace(OTHER, **{part: getattr(OTHER, part)[1:]})
    with pytest.raises(ConfigError, match="TableBooking_1 and its paraphrase Reservations"):
        renaming(CAFE, fewer)


def test_a_paraphrase_lists_the_same_values() -> None:
    listed = next(slot for slot in CAFE.slots if slot.values)
    place = CAFE.slots.index(listed)
    values = [tuple(reversed(listed.values)), (*listed.values[1:], "petite"), ()]
    for new, same in zip(values, (True, False, False)):
        slots = list(OTHER.slots)
        slots[place] = replace(slots[place], values=new)
        if same:
            renaming(CAFE, replace(OTHER, slots=tuple(slots)))
            continue
        with pytest.raises(ConfigError, match=f"slot '{listed.name}' of .* list the same values"):
            renaming(CAFE, replace(OTHER, slots=tuple(slots)))


@given(st.integers(0, 1000))
def test_a_shuffled_schema_says_the_same_in_another_order(seed: int) -> None:
    found = shuffled(CAFE, random.Random(seed))

    def contents(schema: Schema):
        slots = {slot.name: (slot.description, frozenset(slot.values)) for slot in schema.slots}
        return schema.name, slots, frozenset(i.name for i in schema.intents), set(schema.actions)

    assert contents(found) == contents(CAFE)
    assert len(found.slot("seating").values) == 3


def test_shuffling_reaches_every_order() -> None:
    orders = {
        (
            tuple(s.name for s in found.slots),
            found.slot("seating").values,
            tuple(i.name for i in found.intents),
        )
        for found in (shuffled(CAFE, random.Random(seed)) for seed in range(600))
    }
    assert len(orders) == 6 * 6 * 2


def pointed(prompt: Prompt, targets: Targets, turn: int):
    """What each slot's query says of the turn asked `turn`-th, by the slot's name."""
    found = {}
    for query, first, last in targets.points:
        row, column = divmod(query, prompt.queries_a_turn)
        if row != turn or column >= len(prompt.schema.schema.slots):
            continue
        slot = prompt.schema.schema.slots[column]
        if prompt.role[first] == Role.TEXT:
            where = prompt.turns[prompt.utterance[first]]
            value = where.text[prompt.start[first] : prompt.end[last]]
        elif prompt.role[first] == Role.VALUE:
            places = prompt.schema.targets[column]
            value = next(v for v, place in places.items() if place == first)
        else:
            value = Role(prompt.role[first]).name
        found.setdefault(slot.name, value)
    return found


@given(st.integers(0, 1000), st.integers(0, 11))
def test_labels_stay_true_under_every_augmentation(seed: int, number: int) -> None:
    """Renamed, shuffled, undescribed: the pointed-at text is still the slot's value."""
    rng = random.Random(seed)
    names = renaming(CAFE, OTHER)
    dialogue = translate(booking(number), names, OTHER.name)
    how = Augmentation(forget=0.5, offers=0.5, shuffle=True, undescribed=0.5)
    ((prompt, targets),) = examples_of(TOKENS, OTHER, dialogue, rng, how)
    assert prompt.asked == (0, 2, 4)
    for turn, index in enumerate(prompt.asked):
        state = dialogue.turns[index].state
        assert state is not None
        found = pointed(prompt, targets, turn)
        flags = prompt.flag[prompt.history :].reshape(3, -1)[turn]
        for column, slot in enumerate(prompt.schema.schema.slots):
            value = state.values.get(slot.name, ("NONE",))[0]
            if flags[column] != Flag.EMPTY:  # known already
                value = "NONE"
            assert found[slot.name] == value


def test_examples_differ_with_the_seed_and_agree_with_it() -> None:
    how = Augmentation(shuffle=True, forget=0.5, offers=0.5)

    def drawn(seed: int):
        ((prompt, targets),) = examples_of(TOKENS, CAFE, booking(0), random.Random(seed), how)
        return prompt.ids.tolist(), prompt.flag.tolist(), prompt.offer.tolist(), targets.points

    assert drawn(1) == drawn(1)
    assert len({str(drawn(seed)) for seed in range(8)}) > 4


def test_without_augmentation_nothing_is_varied() -> None:
    found = [examples_of(TOKENS, CAFE, booking(0), random.Random(seed)) for seed in range(3)]
    ids = {tuple(prompt.ids.tolist()) for ((prompt, _),) in found}
    assert len(ids) == 1
    prompt, _ = found[0][0]
    assert prompt.schema.schema == CAFE and not prompt.offer.any()


def test_an_example_ends_with_the_last_turn_it_asks_about() -> None:
    dialogue = booking(0)
    ((prompt, targets),) = examples_of(TOKENS, CAFE, dialogue, random.Random(0))
    assert prompt.utterance.max() == 4  # the bot's last reply has nothing to teach …
    action = prompt.schema.actions["BookTable"]
    assert (3 * prompt.queries_a_turn - 1, action, action) in targets.points  # … but its action


def test_a_share_of_turns_about_something_else_is_asked() -> None:
    turns = [user("monday please", {"visit_day": "monday"})]
    for _ in range(30):
        turns += [system("ok"), user("nice weather", None)]
    dialogue = Dialogue("d", CAFE.name, tuple(turns))

    def asked(share: float) -> int:
        how = Augmentation(elsewhere=share)
        found = examples_of(TOKENS, CAFE, dialogue, random.Random(0), how)
        return sum(len(prompt.asked) for prompt, _ in found)

    assert (asked(0), asked(1)) == (1, 31)
    assert 4 < asked(0.5) < 27


def test_a_dialogue_without_user_turns_has_no_examples() -> None:
    assert examples_of(TOKENS, CAFE, Dialogue("d", CAFE.name, ()), random.Random(0)) == []
    silent = Dialogue("d", CAFE.name, (user("hello", None),))
    how = Augmentation(elsewhere=0)
    assert examples_of(TOKENS, CAFE, silent, random.Random(0), how) == []


def test_descriptions_are_left_out_by_share() -> None:
    def left(share: float) -> int:
        found = [undescribed(CAFE, random.Random(seed), share) for seed in range(50)]
        assert all(
            [s.name for s in schema.slots] == [s.name for s in CAFE.slots] for schema in found
        )
        return sum(bool(item.description) for s in found for item in (*s.slots, *s.intents))

    assert (left(0), left(1)) == (250, 0)
    assert 75 < left(0.5) < 175


def test_an_intents_description_is_left_out_of_its_action_too() -> None:
    """A prompt says what both have in common once, at the intent; else it would only move."""
    for seed in range(20):
        found = undescribed(CAFE, random.Random(seed), 0.5)
        table, days = found.actions
        assert table.description == found.intents[0].description
        assert days == CAFE.actions[1]
    assert undescribed(CAFE, random.Random(0), 1.0).actions[0].description == ""


def test_values_are_forgotten_by_share() -> None:
    known = [{f"slot{n}": ("v",) for n in range(20)} for _ in range(10)]

    def left(share: float) -> int:
        found = forget(known, random.Random(0), share)
        assert all(f.items() <= k.items() for f, k in zip(found, known))
        return sum(map(len, found))

    assert (left(0), left(1)) == (200, 0)
    assert 60 < left(0.5) < 140
    assert sum(map(len, known)) == 200  # the dialogue itself is left as it is


def test_cropping_keeps_what_is_about_the_domain() -> None:
    def dialogue(before: int, after: int) -> Dialogue:
        other = [user("about something else", None), system("yes")]
        about = list(booking(0).turns)
        return Dialogue("d", CAFE.name, tuple(other * before + about + other * after))

    found = crop(dialogue(10, 4), context=6)
    assert len(found.turns) == 6 + 6
    assert found.turns[6:] == booking(0).turns  # the last reply included
    assert found.turns[0].is_user
    assert crop(dialogue(0, 3)).turns == booking(0).turns
    assert crop(Dialogue("d", CAFE.name, (user("no", None),))).turns == ()


def several(count: int) -> List[Dialogue]:
    """Dialogues of different lengths."""
    return [Dialogue(str(n), CAFE.name, booking(n).turns[: 2 * (n % 3) + 1]) for n in range(count)]


def test_a_group_is_its_dialogues_under_one_schema() -> None:
    how = Augmentation(shuffle=True)
    group = group_of(TOKENS, CAFE, several(24), random.Random(0), how, tokens_a_part=300)
    assert group is not None
    assert len(group.schema) == 1 and len(group.parts) > 1
    assert group.turns == sum(1 + n % 3 for n in range(24))
    assert group.tokens == group.schema.ids.numel() + sum(b.ids.numel() for b, _ in group.parts)
    rows = 0
    for batch, labels in group.parts:
        rows += len(batch)
        assert batch.ids.numel() <= 300
        assert (batch.role != int(Role.SCHEMA)).all()  # it isn't said again
        width = group.schema.ids.shape[1] + batch.ids.shape[1]
        assert labels.start.shape[::2] == (len(batch), width)
        assert labels.turns == int(labels.slot.sum()) // 3
    assert rows == 24
    # dialogues of like length go together, so there is less padding than in one part
    whole = group_of(TOKENS, CAFE, several(24), random.Random(0), how, tokens_a_part=10_000)
    assert whole is not None and len(whole.parts) == 1
    used = sum(int((batch.role != Role.PAD).sum()) for batch, _ in group.parts)
    assert used == sum(int((batch.role != Role.PAD).sum()) for batch, _ in whole.parts)
    assert used <= group.tokens - 80 < 0.8 * (whole.tokens - 80)


def test_a_group_stops_at_its_tokens_but_has_a_dialogue() -> None:
    whole = group_of(TOKENS, CAFE, several(9), random.Random(0))
    some = group_of(TOKENS, CAFE, several(9), random.Random(0), most_tokens=300)
    one = group_of(TOKENS, CAFE, several(9), random.Random(0), most_tokens=1)
    assert whole is not None and some is not None and one is not None
    assert [sum(len(batch) for batch, _ in g.parts) for g in (whole, one)] == [9, 1]
    assert 1 < sum(len(batch) for batch, _ in some.parts) < 9


def test_dialogues_that_ask_nothing_make_no_group() -> None:
    assert group_of(TOKENS, CAFE, [], random.Random(0)) is None
    silent = Dialogue("s", CAFE.name, (system("hello"),))
    assert group_of(TOKENS, CAFE, [silent], random.Random(0)) is None


def test_examples_side_by_side_are_padded() -> None:
    found = [e for d in bookings(2) for e in examples_of(TOKENS, CAFE, d, random.Random(0))]
    prompts, wanted = [prompt for prompt, _ in found], [targets for _, targets in found]
    batch = collate(prompts)
    labels = collate_labels(prompts, wanted, batch.ids.shape[1])
    for row, (prompt, targets) in enumerate(found):
        assert batch.ids[row, : len(prompt)].tolist() == prompt.ids.tolist()
        assert (batch.role[row, len(prompt) :] == Role.PAD).all()
        assert int(labels.start[row].any(-1).sum()) == len({q for q, _, _ in targets.points})

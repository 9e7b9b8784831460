"""Episodes: support and query apart, zero-shot ones, slots whose names say nothing."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any, List, Optional, Set, Tuple

import pytest

from rasa_onramp.dialogue import Dialogue
from rasa_onramp.metalearning.augment import translate
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.episodes import (
    Episode,
    EpisodeConfig,
    draw_episode,
    inner_groups,
    opaque,
)
from rasa_onramp.metalearning.examples import Augmentation, Group, group_of
from rasa_onramp.metalearning.training import QUERY, SUPPORT
from rasa_onramp.tracker.roles import Role
from tiny_tracker import CAFE, booking, bookings, corpus, shared_tokens

TASKS = tasks_of(corpus(services=3, dialogues=12))


def drawn(seed: int, shots: int = 3, *, queries: int = 2, opaque: float = 0.0, **how) -> Episode:
    return draw_episode(
        shared_tokens(),
        TASKS,
        how.pop("weights", [1.0] * len(TASKS)),
        EpisodeConfig({shots: 1.0}, queries, opaque),
        random.Random(seed),
        query=how.pop("query", QUERY),
    )


def words_of(group: Optional[Group]) -> Set[Tuple[int, ...]]:
    """The dialogues of a group, by their words."""
    assert group is not None
    rows = [(batch.ids[n], batch.role[n]) for batch, _ in group.parts for n in range(len(batch))]
    return {tuple(ids[role == int(Role.TEXT)].tolist()) for ids, role in rows}


PLAIN = Augmentation()


@pytest.mark.parametrize("seed", range(10))
def test_support_and_query_are_different_dialogues(seed: int) -> None:
    episode = drawn(seed, opaque=0.5, query=PLAIN)
    read = group_of(shared_tokens(), episode.schema, episode.support, random.Random(0))
    supported, asked = words_of(read), words_of(episode.query)
    assert (len(supported), len(asked)) == (3, 2)
    assert not supported & asked


@pytest.mark.parametrize("seed", range(5))
def test_an_episode_is_one_wording_of_one_service(seed: int) -> None:
    episode = drawn(seed, opaque=1.0)
    names = {slot.name for slot in episode.schema.slots}
    assert any(name.startswith("slot_") for name in names)
    for dialogue in episode.support:
        assert dialogue.domain == episode.schema.name
        for turn in dialogue.turns:
            assert set(turn.state.values if turn.state else ()) <= names


def test_zero_shot_episodes_have_no_support() -> None:
    episode = drawn(0, shots=0, opaque=1.0, query=PLAIN)
    assert episode.support == ()
    assert len(words_of(episode.query)) == 2
    # and nothing is hidden that only a support could tell
    assert {slot.name for slot in episode.schema.slots} == {slot.name for slot in CAFE.slots}


def test_sizes_and_services_are_drawn_by_weight() -> None:
    config = EpisodeConfig({0: 1.0, 2: 3.0}, 1, 0.0)
    rng = random.Random(0)
    found = [
        draw_episode(shared_tokens(), TASKS, [0.0, 1.0, 1.0], config, rng, query=QUERY)
        for _ in range(200)
    ]
    sizes = Counter(len(episode.support) for episode in found)
    assert set(sizes) == {0, 2} and 120 < sizes[2] < 175
    services = Counter(episode.schema.name for episode in found)
    assert set(services) == {"TableBooking_2", "TableBooking_3"}
    assert 70 < services["TableBooking_2"] < 130


def test_the_bots_values_are_marked_in_all_of_an_episode_or_in_none() -> None:
    kinds = set()
    for seed in range(20):
        episode = drawn(seed, query=replace(QUERY, offers=0.5))
        assert episode.query is not None
        marked = {bool(batch.offer.any()) for batch, _ in episode.query.parts}
        assert marked == {episode.offers}
        kinds |= marked
    assert kinds == {True, False}


def test_the_same_seed_draws_the_same_episode() -> None:
    def spelled(seed: int):
        episode = drawn(seed)
        return words_of(episode.query), [d.id for d in episode.support]

    assert spelled(4) == spelled(4)
    assert spelled(4) != spelled(5)


def test_too_small_a_service_leaves_one_to_ask() -> None:
    (task,) = tasks_of(corpus(services=1, dialogues=3))

    def episode(shots: int) -> Episode:
        config = EpisodeConfig({shots: 1.0}, queries=5)
        return draw_episode(shared_tokens(), [task], [1.0], config, random.Random(0), query=PLAIN)

    assert (len(episode(2).support), len(words_of(episode(2).query))) == (2, 1)
    assert (len(episode(5).support), len(words_of(episode(5).query))) == (2, 1)
    (task,) = tasks_of(corpus(services=1, dialogues=1))
    assert (len(episode(1).support), len(words_of(episode(1).query))) == (0, 1)


def test_opaque_slots_say_nothing_but_hold_the_same() -> None:
    hidden, names = opaque(CAFE, random.Random(0), share=1.0)
    assert [slot.name for slot in hidden.slots] == ["slot_1", "slot_2", "slot_3"]
    assert not any(slot.description for slot in hidden.slots)
    assert hidden.slots[1].values == CAFE.slots[1].values  # listed values still tell something
    dialogue = translate(booking(0), names, hidden.name)
    state = dialogue.turns[4].state
    assert state is not None
    assert state.values == {"slot_1": ("anna",), "slot_2": ("inside",), "slot_3": ("monday",)}
    assert hidden.tracked_slots == {"slot_1", "slot_2", "slot_3"}
    assert hidden.intents[0].required_slots == ("slot_3",)
    assert {i.name for i in hidden.intents} == {i.name for i in CAFE.intents}
    slots = {old.name: new.name for old, new in zip(CAFE.slots, hidden.slots)}
    assert [
        (tuple(slots[s] for s in a.required_slots), tuple(slots[s] for s in a.result_slots))
        for a in CAFE.actions
    ] == [(a.required_slots, a.result_slots) for a in hidden.actions]
    assert any(a.required_slots for a in CAFE.actions)


def test_opaque_hides_a_share() -> None:
    assert opaque(CAFE, random.Random(0), share=0.0)[0] == CAFE
    hidden = [
        sum(slot.name.startswith("slot_") for slot in opaque(CAFE, random.Random(s))[0].slots)
        for s in range(200)
    ]
    assert 250 < sum(hidden) < 350
    kept = opaque(CAFE, random.Random(1))[0]
    for old, new in zip(CAFE.slots, kept.slots):
        assert new == old or (new.name.startswith("slot_") and new.values == old.values)


@pytest.mark.parametrize(("size", "available"), [(1, 5), (2, 5), (2, 3), (3, 3), (5, 2), (2, 1)])
def test_inner_batches_go_round_the_support(size: int, available: int) -> None:
    found = list(
        inner_groups(
            shared_tokens(),
            CAFE,
            bookings(available),
            random.Random(0),
            PLAIN,
            steps=20,
            size=size,
        )
    )
    assert len(found) == 20
    read = [words_of(group) for group in found]
    assert {len(words) for words in read} == {min(size, available)}
    used = Counter(words for group in read for words in group)
    assert len(used) == available
    assert max(used.values()) - min(used.values()) <= max(4, 20 * size // available // 3)


def test_the_first_round_uses_every_dialogue() -> None:
    found = list(
        inner_groups(shared_tokens(), CAFE, bookings(6), random.Random(1), PLAIN, steps=3, size=2)
    )
    assert len(set().union(*map(words_of, found))) == 6


def test_the_support_is_read_anew_at_every_step() -> None:
    def read(how: Augmentation) -> Set[Tuple[int, ...]]:
        found = list(
            inner_groups(shared_tokens(), CAFE, bookings(1), random.Random(0), how, steps=8, size=1)
        )
        return set().union(*map(words_of, found))

    assert len(read(PLAIN)) == 1
    assert len(read(replace(SUPPORT, noise=1.0))) > 2
    assert len(read(replace(SUPPORT, new_values=1.0))) > 2


def test_a_dialogue_without_a_user_turn_is_no_support() -> None:
    empty = Dialogue("empty", CAFE.name, ())
    found = list(
        inner_groups(
            shared_tokens(), CAFE, [*bookings(2), empty], random.Random(0), PLAIN, steps=4, size=3
        )
    )
    assert [len(words_of(group)) for group in found] == [2] * 4
    assert (
        list(inner_groups(shared_tokens(), CAFE, [empty], random.Random(0), PLAIN, steps=4, size=2))
        == []
    )


def test_what_a_step_reads_is_made_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: List[int] = []

    def counted(*args: Any, **how: Any) -> Optional[Group]:
        made.append(1)
        return group_of(*args, **how)

    monkeypatch.setattr("rasa_onramp.metalearning.episodes.group_of", counted)
    found = inner_groups(
        shared_tokens(), CAFE, bookings(4), random.Random(0), SUPPORT, steps=6, size=2
    )
    assert not made
    for number in range(1, 7):
        assert words_of(next(found))
        assert len(made) == number
    assert next(found, None) is None

"""Episodes: support and query apart, zero-shot ones, slots whose names say nothing."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Set

import pytest

from rasa_onramp.dialogue import Dialogue
from rasa_onramp.metalearning.augment import translate
from rasa_onramp.metalearning.corpus import tasks_of
from rasa_onramp.metalearning.episodes import Episode, EpisodeConfig, draw_episode, opaque
from rasa_onramp.metalearning.examples import Augmentation, Example
from rasa_onramp.metalearning.training import QUERY, SUPPORT, support_batches
from tiny_tracker import CAFE, booking, corpus, shared_tokens

TASKS = tasks_of(corpus(services=3, dialogues=12))


def drawn(seed: int, shots: int = 3, *, queries: int = 2, opaque: float = 0.0, **how) -> Episode:
    return draw_episode(
        shared_tokens(),
        TASKS,
        how.pop("weights", [1.0] * len(TASKS)),
        EpisodeConfig({shots: 1.0}, queries, opaque),
        random.Random(seed),
        support=how.pop("support", SUPPORT),
        query=how.pop("query", QUERY),
    )


def dialogue_of(example: Example) -> str:
    """Which dialogue an example is of: by its words."""
    return " / ".join(turn.text for turn in example[0].turns)


@pytest.mark.parametrize("seed", range(10))
def test_support_and_query_are_different_dialogues(seed: int) -> None:
    episode = drawn(seed, opaque=0.5)
    support = [{dialogue_of(e) for e in examples} for examples in episode.support]
    assert [len(texts) for texts in support] == [1, 1, 1]
    supported: Set[str] = set().union(*support)
    asked = {dialogue_of(e) for e in episode.query}
    assert (len(supported), len(asked)) == (3, 2)
    assert not supported & asked


@pytest.mark.parametrize("seed", range(5))
def test_an_episode_is_one_wording_of_one_service(seed: int) -> None:
    episode = drawn(seed, opaque=1.0)
    prompts = [prompt for examples in episode.support for prompt, _ in examples]
    prompts += [prompt for prompt, _ in episode.query]
    schemas = [prompt.schema.schema for prompt in prompts]
    assert {schema.name for schema in schemas} == {episode.service}
    assert len({frozenset(slot.name for slot in schema.slots) for schema in schemas}) == 1
    orders = {tuple(slot.name for slot in schema.slots) for schema in schemas}
    assert len(orders) > 1  # each dialogue in an order of its own


def test_zero_shot_episodes_have_no_support() -> None:
    episode = drawn(0, shots=0, opaque=1.0)
    assert episode.support == ()
    assert len({dialogue_of(e) for e in episode.query}) == 2
    # and nothing is hidden that only a support could tell
    names = {slot.name for prompt, _ in episode.query for slot in prompt.schema.schema.slots}
    assert names == {slot.name for slot in CAFE.slots}


def test_sizes_and_services_are_drawn_by_weight() -> None:
    config = EpisodeConfig({0: 1.0, 2: 3.0}, 1, 0.0)
    rng = random.Random(0)
    found = [
        draw_episode(
            shared_tokens(), TASKS, [0.0, 1.0, 1.0], config, rng, support=SUPPORT, query=QUERY
        )
        for _ in range(200)
    ]
    sizes = Counter(len(episode.support) for episode in found)
    assert set(sizes) == {0, 2} and 120 < sizes[2] < 175
    services = Counter(episode.service for episode in found)
    assert set(services) == {"TableBooking_2", "TableBooking_3"}
    assert 70 < services["TableBooking_2"] < 130


def test_the_bots_values_are_marked_in_all_of_an_episode_or_in_none() -> None:
    kinds = set()
    for seed in range(20):
        episode = drawn(seed, query=replace(QUERY, offers=0.5))
        examples = [e for group in episode.support for e in group] + list(episode.query)
        marked = {bool(prompt.offer.any()) for prompt, _ in examples}
        assert len(marked) == 1
        kinds |= marked
    assert kinds == {True, False}


def test_the_same_seed_draws_the_same_episode() -> None:
    def spelled(seed: int):
        episode = drawn(seed)
        return [prompt.ids.tolist() for prompt, _ in episode.query], episode.service

    assert spelled(4) == spelled(4)
    assert spelled(4) != spelled(5)


def test_too_small_a_service_leaves_fewer_to_ask() -> None:
    (task,) = tasks_of(corpus(services=1, dialogues=3))
    episode = draw_episode(
        shared_tokens(),
        [task],
        [1.0],
        EpisodeConfig({2: 1.0}, queries=5),
        random.Random(0),
        support=Augmentation(),
        query=Augmentation(),
    )
    assert (len(episode.support), len({dialogue_of(e) for e in episode.query})) == (2, 1)


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
    support = [[f"{n}a", f"{n}b"] for n in range(available)]
    found = support_batches(support, 20, size, random.Random(0))  # type: ignore[arg-type]
    assert len(found) == 20
    for batch in found:
        dialogues = {example[:-1] for example in batch}
        assert len(batch) == 2 * len(dialogues) == 2 * min(size, available)
    used = Counter(example for batch in found for example in batch)
    assert len(used) == 2 * available
    assert max(used.values()) - min(used.values()) <= max(4, 20 * size // available // 3)


def test_the_first_round_uses_every_dialogue() -> None:
    support = [[n] for n in range(6)]
    found = support_batches(support, 3, 2, random.Random(1))  # type: ignore[arg-type]
    assert sorted(n for batch in found for n in batch) == list(range(6))


def test_a_dialogue_without_examples_is_no_support() -> None:
    data = corpus(services=1, dialogues=4)
    (task,) = tasks_of(data)
    task = replace(task, alone=(*task.alone, Dialogue("empty", CAFE.name, ())))
    episode = draw_episode(
        shared_tokens(),
        [task],
        [1.0],
        EpisodeConfig({5: 1.0}, queries=1),
        random.Random(0),
        support=Augmentation(),
        query=Augmentation(),
    )
    assert len(episode.support) == 4
    assert episode.query == ()

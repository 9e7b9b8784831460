"""The few-shot protocol: what is adapted on, and what is held out."""

from __future__ import annotations

from dataclasses import replace
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.protocol import Protocol, choose_services, own_split, split, splits
from rasa_onramp.metalearning.corpus import tasks_of
from tiny_tracker import bookings, corpus

DIALOGUES = bookings(12)


@given(st.integers(0, 99), st.lists(st.integers(0, 8), min_size=1, max_size=4))
def test_supports_are_nested_and_apart_from_what_is_held_out(seed: int, shots: List[int]) -> None:
    pool, held_out = split(DIALOGUES, shots, seed, None)
    assert len(pool) == max(shots)
    assert sorted(d.id for d in (*pool, *held_out)) == sorted(d.id for d in DIALOGUES)
    # a smaller support of the same seed is the beginning of a larger one
    for fewer in shots:
        assert split(DIALOGUES, (fewer,), seed, None)[0] == pool[:fewer]
    # and a limit takes from what is held out, never from the support
    limited, some = split(DIALOGUES, shots, seed, 3)
    assert (limited, some) == (pool, held_out[:3])


def test_seeds_draw_different_supports() -> None:
    drawn = [split(DIALOGUES, (5,), seed, None) for seed in range(5)]
    assert drawn[2] == split(DIALOGUES, (5,), 2, None)
    assert len({frozenset(d.id for d in pool) for pool, _ in drawn}) == 5


def test_a_corpuss_own_split_is_kept() -> None:
    splits = ["support", "held-out", None, "support", "held-out", "held-out"]
    dialogues = [replace(d, split=s) for d, s in zip(DIALOGUES, splits)]
    drawn = [own_split(dialogues, seed, None) for seed in range(8)]
    for pool, held_out in drawn:
        assert {d.id for d in pool} == {dialogues[n].id for n in (0, 2, 3)}
        assert held_out == [dialogues[n] for n in (1, 4, 5)]
    assert len({tuple(d.id for d in pool) for pool, _ in drawn}) > 1
    assert own_split(dialogues, 0, 2)[1] == [dialogues[1], dialogues[4]]


def test_equal_ids_of_two_files_are_two_conversations() -> None:
    """Of one conversation, views from several services are no single-service dialogues."""
    first, second = corpus(services=2, dialogues=3).schemas.values()
    other = bookings(3, second.name)
    own = tuple(replace(d, id=o.id) for d, o in zip(bookings(6, first.name)[3:], other))
    both = Corpus({first.name: first, second.name: second}, (*own, *other))
    one_shot = Protocol(shots=(1,), seeds=1)
    found = {s.schema.name: s for s in splits(both, list(both.schemas), one_shot)}
    assert {len(s.pool) + len(s.held_out) for s in found.values()} == {3} and len(found) == 2
    assert [len(task.alone) for task in tasks_of(both)] == [3, 3]
    views = tuple(replace(d, domain=first.name) for d in other)
    seen_twice = Corpus(both.schemas, (*views, *other))
    assert not list(splits(seen_twice, list(both.schemas), one_shot))
    assert [(len(t.alone), len(t.mixed)) for t in tasks_of(seen_twice)] == [(0, 3), (0, 3)]


def test_services_are_chosen_by_what_was_trained_on() -> None:
    data = corpus(services=3, dialogues=1)
    one, two, three = data.schemas
    assert choose_services(data, "all", [one]) == [one, two, three]
    assert choose_services(data, "unseen", [one, "Elsewhere_1"]) == [two, three]
    assert choose_services(data, f" {three}, {one} ,{three}", [one]) == [three, one]
    only = Corpus(data.schemas, tuple(d for d in data.dialogues if d.domain == two))
    assert choose_services(only, "all", []) == [two]
    with pytest.raises(ConfigError, match=f"no service 'Cafe_9' in this data; it has {one}, {two}"):
        choose_services(data, f"{one},Cafe_9", [])
    with pytest.raises(ConfigError, match="--services unseen leaves no service with dialogues"):
        choose_services(only, "unseen", [two])


def test_the_time_of_adapting_must_be_known_first() -> None:
    for methods in (("finetune-time",), ("finetune-time", "adapted")):
        with pytest.raises(ConfigError, match="name adapted before it"):
            Protocol(methods=methods)

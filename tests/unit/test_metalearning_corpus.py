"""The training corpus as tasks, and what is drawn from it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest

from rasa_onramp.dialogue import Corpus, Dialogue, Schema
from rasa_onramp.errors import ConfigError
from rasa_onramp.metalearning.corpus import Task, draw, stream, tasks_of
from tiny_tracker import CAFE, bookings, corpus, system, user


def reworded(schemas, number: int):
    """Another wording of each schema, item for item, as SGD-X has them."""

    def other(schema: Schema) -> Schema:
        slots = tuple(replace(s, name=f"{s.name}_{number}") for s in schema.slots)
        return replace(schema, name=f"{schema.name}{number}", slots=slots)

    return {f"{name}{number}": other(schema) for name, schema in schemas.items()}


def test_a_task_is_a_service_with_its_dialogues_and_wordings() -> None:
    data = corpus(services=3, dialogues=4)
    tasks = tasks_of(data, [reworded(data.schemas, n) for n in (1, 2)])
    assert [task.schema.name for task in tasks] == list(data.schemas)
    for task in tasks:
        assert {d.domain for d in task.alone} == {task.schema.name}
        assert (len(task.alone), task.mixed, len(task.variants)) == (4, (), 2)
        assert task.weight == pytest.approx((4 * 6) ** 0.3)
        for number, (schema, names) in enumerate(task.variants, start=1):
            assert schema.name == f"{task.schema.name}{number}"
            assert names.slots["seating"] == f"seating_{number}"


def test_dialogues_about_several_services_are_cropped() -> None:
    data = corpus(services=2, dialogues=1)
    other = (user("what is the weather", None), system("fine")) * 6
    turns = other + bookings(1)[0].turns
    mixed = [Dialogue("both", name, turns) for name in data.schemas]
    said = tuple(replace(turn, state=None) for turn in turns)  # the same, seen from elsewhere
    silent = Dialogue("both", "TableBooking_2", said)
    tasks = tasks_of(Corpus(data.schemas, (*data.dialogues, mixed[0], silent)))
    assert [(len(t.alone), len(t.mixed)) for t in tasks] == [(1, 1), (1, 0)]
    assert len(tasks[0].mixed[0].turns) == 6 + 6


def test_services_without_dialogues_are_no_tasks() -> None:
    data = corpus(services=2, dialogues=1)
    only = tuple(d for d in data.dialogues if d.domain == "TableBooking_2")
    assert [t.schema.name for t in tasks_of(Corpus(data.schemas, only))] == ["TableBooking_2"]


def test_paraphrases_that_do_not_correspond_are_refused() -> None:
    data = corpus(services=2, dialogues=1)
    fewer = dict(list(reworded(data.schemas, 1).items())[:1])
    with pytest.raises(ConfigError, match="1 services, but the corpus has 2"):
        tasks_of(data, [fewer])
    other = {k: replace(v, slots=v.slots[1:]) for k, v in reworded(data.schemas, 1).items()}
    with pytest.raises(ConfigError, match="correspond item for item"):
        tasks_of(data, [other])


@pytest.fixture
def task() -> Task:
    data = corpus(services=1, dialogues=6)
    (found,) = tasks_of(data, [reworded(data.schemas, 1)])
    mixed = tuple(Dialogue(f"mixed-{n}", CAFE.name, bookings(1)[0].turns) for n in range(4))
    return replace(found, mixed=mixed)


def test_what_is_drawn_is_different_dialogues_under_one_wording(task: Task) -> None:
    seen = set()
    for seed in range(40):
        schema, dialogues = draw(task, random.Random(seed), 5)
        ids = [d.id for d in dialogues]
        assert len(set(ids)) == 5
        assert {d.domain for d in dialogues} == {schema.name}
        slots = {slot.name for slot in schema.slots}
        assert all(
            s in slots for d in dialogues for t in d.turns if t.state for s in t.state.values
        )
        seen.add(schema.name)
    assert seen == {"TableBooking_1", "TableBooking_11"}
    assert len(draw(task, random.Random(0), 99)[1]) == 10  # no more than there are


def test_shares_of_mixed_dialogues_and_wordings(task: Task) -> None:
    def shares(**how: float):
        found = [draw(task, random.Random(seed), 1, **how) for seed in range(300)]
        mixed = sum(d.id.startswith("mixed") for _, (d,) in found)
        return mixed / 300, sum(schema.name != "TableBooking_1" for schema, _ in found) / 300

    assert shares(mixed=0, paraphrase=0) == (0, 0)
    assert shares(mixed=1, paraphrase=1) == (1, 1)
    mixed, paraphrased = shares()
    assert 0.08 < mixed < 0.24 and 0.65 < paraphrased < 0.85


def test_one_kind_of_dialogue_is_enough(task: Task) -> None:
    only_mixed, only_alone = replace(task, alone=()), replace(task, mixed=())
    assert len(draw(only_mixed, random.Random(0), 9)[1]) == 4
    assert len(draw(only_alone, random.Random(0), 9)[1]) == 6


def test_services_of_many_turns_come_more_often_but_not_in_proportion() -> None:
    schemas = corpus(services=2).schemas
    dialogues = (*bookings(1, "TableBooking_1"), *bookings(9, "TableBooking_2"))
    tasks = tasks_of(Corpus(schemas, dialogues))
    drawn = Counter(t.schema.name for t in islice(stream(tasks, random.Random(0)), 2000))
    # nine times the turns, 9 ** 0.3 = 1.93 times as often
    assert drawn["TableBooking_2"] / drawn["TableBooking_1"] == pytest.approx(1.93, abs=0.3)


def test_the_stream_is_the_same_for_the_same_seed(task: Task) -> None:
    def first(seed: int):
        rng = random.Random(seed)
        drawn = [draw(one, rng, 1) for one in islice(stream([task], rng), 30)]
        return [(schema.name, dialogue.id) for schema, (dialogue,) in drawn]

    assert first(3) == first(3) != first(4)

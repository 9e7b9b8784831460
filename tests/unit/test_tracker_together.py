"""Turns of several domains in one pass are each as if read alone."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Dict, List, Optional, Sequence

import pytest
import torch

from rasa_onramp.dialogue import Schema, State
from rasa_onramp.metalearning.lora import initial_lora
from rasa_onramp.runtime import turn_reader
from rasa_onramp.runtime.turn_reader import TurnReader
from rasa_onramp.tracker.decoding import TurnPrediction, prepare
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.together import AskedTurn, track, track_together
from tiny_tracker import CAFE, CONFIG, bookings, tiny_tracker


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    return tiny_tracker(seed=3, rank=2, spread=3.0)


def adapter(tracker: StateTracker, seed: int, rank: int = 2) -> Dict[str, torch.Tensor]:
    """Other weights than the tracker's, of the same kind, or of another rank."""
    draw = torch.Generator().manual_seed(seed)
    weights = {k: v for k, v in tracker.weights.items() if ".lora_" not in k}
    weights.update(initial_lora(CONFIG, rank, generator=draw))
    return {k: v + 0.2 * torch.randn(v.shape, generator=draw) for k, v in weights.items()}


def small(name: str, slots: int) -> Schema:
    return replace(CAFE, name=name, slots=CAFE.slots[:slots], intents=(), actions=CAFE.actions[1:])


def asked(tracker: StateTracker) -> List[AskedTurn]:
    """Turns of domains whose schemas and histories differ in length, some with adapters."""
    domains = [
        prepare(tracker, CAFE),
        prepare(tracker, small("small", 1), adapter(tracker, 1)),
        prepare(tracker, small("middle", 2), adapter(tracker, 2)),
        prepare(tracker, CAFE, adapter(tracker, 3)),
        prepare(tracker, CAFE, adapter(tracker, 4, rank=3)),
    ]
    found = []
    for number, dialogue in enumerate(bookings(10)):
        length = (1, 3, 5)[number % 3]
        before = dialogue.turns[length - 3].state if length > 1 else None
        domain = domains[number % len(domains)]
        known = {slot.name for slot in domain.schema.schema.slots}
        values = {} if before is None else before.values
        state = State({k: v for k, v in values.items() if k in known})
        found.append(AskedTurn(domain, dialogue.turns[:length], state, offers=bool(number % 2)))
    return found


def alone(tracker: StateTracker, one: AskedTurn) -> TurnPrediction:
    return track(tracker, one.domain, one.turns, one.previous, offers=one.offers)


def assert_alike(found: TurnPrediction, wanted: TurnPrediction) -> None:
    assert found.state == wanted.state
    assert (found.changes, found.spans, found.action) == (
        wanted.changes,
        wanted.spans,
        wanted.action,
    )
    assert found.slot_confidence == pytest.approx(wanted.slot_confidence, abs=1e-4)
    assert found.intent_confidence == pytest.approx(wanted.intent_confidence, abs=1e-4)
    assert found.action_confidence == pytest.approx(wanted.action_confidence, abs=1e-4)


def test_turns_of_different_domains_are_read_as_if_alone(tracker: StateTracker) -> None:
    turns = asked(tracker)
    wanted = [alone(tracker, one) for one in turns]
    for found, one in zip(track_together(tracker, turns), wanted):
        assert_alike(found, one)
    assert len({str(one.slot_confidence) for one in wanted}) == len(wanted)  # no two say the same
    for found, one in zip(track_together(tracker, turns[::5]), wanted[::5]):  # all of one domain
        assert_alike(found, one)
    assert track_together(tracker, []) == []


def test_turns_that_wait_are_read_together(
    tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: List[int] = []
    begun, go = threading.Event(), threading.Event()

    def slowly(tracker: StateTracker, some: Sequence[AskedTurn]) -> List[TurnPrediction]:
        sizes.append(len(some))
        begun.set()
        assert go.wait(30)
        return track_together(tracker, some)

    monkeypatch.setattr(turn_reader, "track_together", slowly)
    reader, turns = TurnReader(tracker, together=4), asked(tracker)
    found: Dict[int, TurnPrediction] = {}

    def work(number: int) -> None:
        found[number] = reader.read(turns[number])

    threads = [threading.Thread(target=work, args=(0,))]
    threads[0].start()
    assert begun.wait(30)
    for number in range(1, 8):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
    while len(reader._waiting) < 7:
        threads[-1].join(0.01)
    go.set()
    for thread in threads:
        thread.join(60)
    assert sizes == [1, 4, 3]
    for number in range(8):
        assert_alike(found[number], alone(tracker, turns[number]))


def test_a_turn_that_cant_be_read_spoils_no_other(tracker: StateTracker) -> None:
    good, broken = asked(tracker)[0], replace(asked(tracker)[1], turns=())
    assert_alike(TurnReader(tracker).read(good), alone(tracker, good))  # by itself, on a CPU
    reader = TurnReader(tracker, together=4)
    caught: List[Optional[BaseException]] = [None, None]
    found: Dict[int, TurnPrediction] = {}
    reader._reading.acquire()

    def work(number: int, one: AskedTurn) -> None:
        try:
            found[number] = reader.read(one)
        except IndexError as error:
            caught[number] = error

    threads = [threading.Thread(target=work, args=each) for each in enumerate((good, broken))]
    for thread in threads:
        thread.start()
    while len(reader._waiting) < 2:
        threads[0].join(0.01)
    reader._reading.release()
    for thread in threads:
        thread.join(60)
    assert caught[0] is None and isinstance(caught[1], IndexError)
    assert_alike(found[0], alone(tracker, good))

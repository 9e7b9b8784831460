"""What adapting can be told: which tensors take steps, at which rates, on how much history."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Set

import pytest
import torch
from torch import Tensor

from rasa_onramp.dialogue import Dialogue
from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.metalearning.adaptation import (
    PARTS,
    Adaptation,
    adapt_to_support,
    inner_batches,
)
from rasa_onramp.metalearning.examples import Augmentation, Group, group_of
from rasa_onramp.metalearning.inner_loop import InnerLoop, adapt, stretched
from rasa_onramp.metalearning.objective import group_loss
from rasa_onramp.tracker.decoding import track_dialogues
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.windows import MAX_POSITIONS, windows
from tiny_tracker import CAFE, bookings, examples_of, shared_tokens, system, tiny_tracker, user

SUPPORT = bookings(4)
HOW = Adaptation(steps=3, noise=0.0, new_values=0.0, offers=True)


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    return tiny_tracker(seed=3, rank=2, steps=3, spread=3.0)


def moved(tracker: StateTracker, how: Adaptation) -> Dict[str, Tensor]:
    adapted = adapt_to_support(tracker, CAFE, SUPPORT, how)
    assert adapted.keys() == tracker.weights.keys()
    changes = {name: adapted[name] - value for name, value in tracker.weights.items()}
    return {name: change for name, change in changes.items() if change.abs().max() > 0}


def wanted(part: str, names: Set[str]) -> Set[str]:
    updates = {name for name in names if ".lora_" in name}
    halves = {
        "heads+lower": {name for name in updates if ".layer.0." in name},
        "heads+upper": {name for name in updates if ".layer.1." in name},
    }
    heads = names - updates
    return {"all": names, "heads": heads, "lora": updates}.get(
        part, heads | halves.get(part, set())
    )


@pytest.mark.parametrize("part", PARTS)
def test_only_what_is_named_takes_steps(tracker: StateTracker, part: str) -> None:
    everything = set(moved(tracker, HOW))
    assert any(".layer.0." in name for name in everything)
    assert any(".layer.1." in name for name in everything)
    assert "start_query.weight" in everything
    assert set(moved(tracker, replace(HOW, adapts=part))) == wanted(part, everything)


def test_a_recommended_setting_that_there_is_none_of_is_told(tracker: StateTracker) -> None:
    card = {"adaptation": {"steps": 5, "warp": 9}}
    with pytest.raises(CheckpointError, match=r"^tracker\.json: card\.adaptation .* 'warp'; tak"):
        Adaptation.of(replace(tracker, card=card))
    assert Adaptation.of(replace(tracker, card={"adaptation": {"steps": 5}})).steps == 5


@pytest.mark.parametrize("recommended", [None, [], "ten steps"])
def test_a_recommendation_that_is_none_is_told(tracker: StateTracker, recommended: object) -> None:
    with pytest.raises(CheckpointError, match=r"^tracker\.json: card\.adaptation is .*; give sett"):
        Adaptation.of(replace(tracker, card={"adaptation": recommended}))


def test_an_unknown_part_or_one_that_is_not_there_is_told(tracker: StateTracker) -> None:
    with pytest.raises(ConfigError, match="adapts is 'tail'; choose one of all, heads, lora"):
        adapt_to_support(tracker, CAFE, SUPPORT, replace(HOW, adapts="tail"))
    without = tiny_tracker(seed=3, steps=3)
    with pytest.raises(ConfigError, match="nothing of 'lora' to adapt; choose all"):
        adapt_to_support(without, CAFE, SUPPORT, replace(HOW, adapts="lora"))


def test_fixed_rates_are_the_mean_of_their_kind(tracker: StateTracker) -> None:
    """SGD's first step is a rate times the gradient, so steps compare as the rates do."""
    generator = torch.Generator().manual_seed(0)
    rates = {name: torch.rand(1, generator=generator) + 0.1 for name in tracker.rates}
    uneven = replace(tracker, rates=rates)
    how = replace(HOW, steps=1, optimiser="sgd")
    learned, fixed = moved(uneven, how), moved(uneven, replace(how, learned_rates=False))
    assert learned.keys() == fixed.keys()
    kinds = {".lora_" in name for name in fixed}
    assert kinds == {True, False}
    for kind in kinds:
        same = [float(r) for name, r in rates.items() if (".lora_" in name) == kind]
        mean = sum(same) / len(same)
        for name in fixed:
            if (".lora_" in name) == kind:
                step = learned[name] * (mean / float(rates[name]))
                torch.testing.assert_close(fixed[name], step, rtol=2e-3, atol=1e-6)


def test_windows_of_a_short_history() -> None:
    turns = bookings(1)[0].turns
    assert windows(shared_tokens(), 100, turns) == [(0, 0, 6)]
    alone = [(0, 0, 1), (2, 2, 3), (4, 4, 5)]
    assert windows(shared_tokens(), 100, turns, 1) == alone
    assert windows(shared_tokens(), 100, turns, 3) == [(0, 0, 1), (0, 2, 3), (2, 4, 5)]
    assert windows(shared_tokens(), 100, turns, 99) == [(0, 0, 1), (0, 2, 3), (0, 4, 5)]


def test_a_history_that_does_not_fit_is_cut_further() -> None:
    long = "table " * 60
    turns = (user(long, {}), system(long), user(long, {}))
    room = 2 * (60 + 1) + 5
    assert windows(shared_tokens(), MAX_POSITIONS - room, turns, 3) == [(0, 0, 1), (1, 2, 3)]


def test_examples_read_no_more_than_the_history() -> None:
    rng = random.Random(0)
    found = examples_of(shared_tokens(), CAFE, SUPPORT[1], rng, Augmentation(history=2))
    read = [set(prompt.utterance[: prompt.history].tolist()) - {-1} for prompt, _ in found]
    assert read == [{0}, {1, 2}, {3, 4}]
    assert [prompt.asked for prompt, _ in found] == [(0,), (2,), (4,)]


def test_tracking_reads_no_more_than_the_history(tracker: StateTracker) -> None:
    """With one utterance, what the bot said before makes no difference; with two it does."""
    first = SUPPORT[0]
    turns = list(first.turns)
    turns[3] = system("the terrace is closed, which day suits you, and what is your name?")
    other = Dialogue("other", CAFE.name, tuple(turns))

    def seen(dialogue: Dialogue, history: int) -> tuple:
        (found,) = track_dialogues(tracker, CAFE, [dialogue], history=history)
        return tuple(
            (p.state, p.intent_confidence, *p.slot_confidence.values())
            for p in found
            if p is not None
        )

    assert seen(first, 1) == seen(other, 1)
    assert seen(first, 2) != seen(other, 2)


def test_a_history_of_everything_changes_nothing(tracker: StateTracker) -> None:
    plain = track_dialogues(tracker, CAFE, SUPPORT)
    whole = track_dialogues(tracker, CAFE, SUPPORT, history=99)
    assert [[p and p.state for p in one] for one in plain] == [
        [p and p.state for p in one] for one in whole
    ]


def test_steps_read_the_support_in_turn_and_as_if_it_were_read_before(
    tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is for one step's reading, and progress is told from the first; nothing else differs
    from all of them being read in advance.
    """
    how = Adaptation(steps=3, runs=2, noise=0.9, new_values=0.9, offers=True, seed=7)
    adapting = {name: value for name, value in tracker.weights.items() if name in tracker.rates}
    rates = {name: stretched(rate, how.steps) for name, rate in tracker.rates.items()}

    def run(number: int) -> Dict[str, Tensor]:
        steps = list(inner_batches(tracker, CAFE, SUPPORT, how, run=number))

        def loss_of(weights: Mapping[str, Tensor], step: int) -> Tensor:
            return group_loss(tracker, steps[step], {**tracker.weights, **weights})

        return adapt(adapting, loss_of, rates, InnerLoop(how.steps))

    runs = [run(number) for number in range(how.runs)]
    order: List[str] = []

    def read(*args: Any, **kwargs: Any) -> Optional[Group]:
        order.append("read")
        return group_of(*args, **kwargs)

    monkeypatch.setattr("rasa_onramp.metalearning.episodes.group_of", read)
    found = adapt_to_support(
        tracker, CAFE, SUPPORT, how, after_step=lambda step, loss: order.append(str(step))
    )
    assert order == [each for step in range(6) for each in ("read", str(step))]
    for name in adapting:
        assert torch.equal(found[name], torch.stack([one[name] for one in runs]).mean(0)), name


def test_a_support_without_a_user_turn_adapts_nothing(tracker: StateTracker) -> None:
    silent = Dialogue("silent", CAFE.name, (system("hello"),))
    found = adapt_to_support(tracker, CAFE, [silent], HOW)
    assert all(found[name] is value for name, value in tracker.weights.items())


def test_adapting_reads_the_history_it_is_told(tracker: StateTracker) -> None:
    one = adapt_to_support(tracker, CAFE, SUPPORT, replace(HOW, history=1))
    two = adapt_to_support(tracker, CAFE, SUPPORT, replace(HOW, history=2))
    assert any(not torch.equal(one[name], two[name]) for name in one)

"""Every algorithm's outer updates against plain autograd, in double precision, on toy tasks.

The reference says once more, from the papers, what each algorithm does when; it shares the toy and
its inner steps with the inner loop's own tests, and no code with the package.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set

import pytest
import torch
from torch import Tensor

from hand_written import STEPS, Toy, Weights, by_hand, leaves
from interrupted import Killed
from rasa_onramp.metalearning.algorithms import ALGORITHMS, algorithm
from rasa_onramp.metalearning.inner_loop import InnerLoop
from rasa_onramp.metalearning.lora import Adapter
from rasa_onramp.metalearning.meta_gradient import Practice, meta_loss
from rasa_onramp.metalearning.outer_loop import MetaLearner, learned_rates, outer_loop
from rasa_onramp.metalearning.runs import Run

OUTER_STEPS = 8


class Says(NamedTuple):
    """What a paper says: the order of each outer step, and what the loss after each inner step
    counts in it; whether rates are learned.
    """

    orders: Sequence[int]
    counts: Sequence[Sequence[float]]
    learns_rates: bool


LAST = [(0, 0, 1)] * OUTER_STEPS
#: In the first 15% the loss after every step counts: here in two outer steps of eight. There are
#: three inner steps; a third each at first, and at 1/8 of training a sixth of that is left to those
#: before the last.
ANNEALED = [(1 / 3, 1 / 3, 1 / 3), (1 / 18, 1 / 18, 16 / 18), *LAST[2:]]
SAYS = {
    "fomaml": Says([1] * 8, LAST, False),
    "maml": Says([2] * 8, LAST, False),
    "maml++": Says([1] * 4 + [2] * 4, ANNEALED, True),
    "meta-sgd": Says([1] * 8, LAST, True),
    "meta-sgd-2": Says([2] * 8, LAST, True),
    "anil": Says([1] * 8, LAST, False),
    "reptile": Says([], [], False),
}


@dataclass(frozen=True)
class Config:
    """Settings of the outer loop."""

    steps: int = OUTER_STEPS
    minutes: Optional[float] = None
    inner_steps: int = STEPS
    inner_optimiser: str = "sgd"
    episodes_a_step: int = 3
    rates_outer_rate: float = 0.05
    clip: float = 1.0
    seed: int = 4
    save_every: int = 2


WEIGHTS_RATE, BODY_RATE = 0.02, 0.01


class Task:
    """A toy of which a tensor is never adapted; its query loss has two parts."""

    def __init__(self, seed: int, *, bare: bool = False) -> None:
        self.toy, self.bare = Toy(seed), bare

    def support(self, weights: Weights, step: int) -> Tensor:
        bias = weights["b.bias"] * weights["body"]
        loss = self.toy.loss({**weights, "b.bias": bias}, step)
        return loss + weights["x.lora_A.weight"].sin().pow(2).sum()

    def one(self, weights: Weights) -> Tensor:
        return self.toy.query(weights) * weights["body"].pow(2).sum()

    def other(self, weights: Weights) -> Tensor:
        return weights["x.lora_A.weight"].sin().sum() * weights["body"].sum()


#: The third has no support; where support and query are one set, it has some all the same.
TASKS = [Task(1), Task(2), Task(3, bare=True)]


class Parameters:
    """What is meta-learned, all of it at its start."""

    def __init__(self, name: str) -> None:
        toy = Toy(0)
        everything = {
            **toy.start,
            "x.lora_A.weight": torch.linspace(-1, 1, 4, dtype=torch.float64),
        }
        body = {"body": torch.tensor([0.5, 1.0, -1.5], dtype=torch.float64)}
        # ANIL leaves what is no head to the outer loop
        outer = {"x.lora_A.weight"} if name == "anil" else set()
        self.theta = {k: v for k, v in everything.items() if k not in outer}
        self.body = {**body, **{k: everything[k] for k in outer}}
        self.rates = {
            k: torch.linspace(0.3, 0.1, STEPS, dtype=torch.float64) * (1 + n / 10)
            for n, k in enumerate(self.theta)
        }


def named(theta: Weights, body: Weights, log_rates: Weights) -> Dict[str, Tensor]:
    found = {**theta, **body, **{f"rates/{name}": rate for name, rate in log_rates.items()}}
    return {name: value.detach().clone() for name, value in found.items()}


def ours(
    name: str,
    folder: Path,
    config: Config,
    tasks: Sequence[Task] = TASKS,
    kind: Callable[..., Run] = Run,
) -> Dict[str, Tensor]:
    """All that is learned, after the package's own outer loop."""
    method, given = algorithm(name), Parameters(name)
    # the toy's own tensors are its heads
    assert ("x.lora_A.weight" in given.theta) == method.adapts("x.lora_A.weight")
    adapter, body = Adapter(given.theta), leaves(given.body)
    log_rates = learned_rates(given.rates, {}, torch.device("cpu"), method.learn_rates)

    def draw(rng: random.Random, order: int) -> Optional[Practice]:
        task = rng.choice(tasks)

        def support(weights: Weights, step: int) -> Tensor:
            return task.support({**weights, **body}, step)

        def part(loss: Callable[[Weights], Tensor]) -> Callable[[Weights], Tensor]:
            return lambda weights: loss({**weights, **body})

        bare = task.bare and not method.pooled
        return Practice(None if bare else support, [part(task.one), part(task.other)])

    theta = dict(zip(adapter.names, adapter.parameters()))
    groups = [
        {"parameters": {f"weights/{k}": v for k, v in theta.items()}, "rate": WEIGHTS_RATE},
        {"parameters": body, "rate": BODY_RATE},
    ]
    run = kind(folder, tensorboard=False)
    learner = MetaLearner(method, adapter, groups, log_rates, config)
    outer_loop(learner, draw, {}, run, title="", progress=False)
    return {
        name: value.detach().clone()
        for name, value in {
            **theta,
            **body,
            **{f"rates/{k}": v for k, v in log_rates.items()},
        }.items()
    }


def reference(name: str, config: Config) -> Dict[str, Tensor]:
    """The same in plain autograd."""
    says, given = SAYS[name], Parameters(name)
    theta, body = leaves(given.theta), leaves(given.body)
    log_rates = {k: v.log().requires_grad_(says.learns_rates) for k, v in given.rates.items()}
    rates_of = [v for v in log_rates.values() if v.requires_grad]
    parts = [[*theta.values(), *body.values()], rates_of]
    peaks = [WEIGHTS_RATE, BODY_RATE, *([config.rates_outer_rate] if rates_of else [])]
    members = [list(theta.values()), list(body.values()), *([rates_of] if rates_of else [])]
    adam = torch.optim.Adam([{"params": m, "lr": 0.0} for m in members])
    for number in range(config.steps):
        for group, peak in zip(adam.param_groups, peaks):
            group["lr"] = peak * (0.1 + 0.9 * (1 + math.cos(math.pi * number / config.steps)) / 2)
        adam.zero_grad()
        for episode in range(config.episodes_a_step):
            task = random.Random(f"{config.seed} {number} {episode}").choice(TASKS)
            path = by_hand(
                theta,
                lambda w, k, task=task: task.support({**w, **body}, k),
                {k: v.exp() for k, v in log_rates.items()},
                order=says.orders[number] if says.orders else 1,
                optimiser=config.inner_optimiser,
            )
            if name == "reptile":
                *_, last = path
                for key, value in theta.items():
                    moved = (value - last[key]).detach() / config.episodes_a_step
                    value.grad = moved if value.grad is None else value.grad + moved
                continue
            counts = says.counts[number]
            judged = zip([1.0], [theta]) if task.bare else zip(counts, path)
            loss = torch.zeros((), dtype=torch.float64)
            for share, weights in judged:
                everything = {**weights, **body}
                loss = loss + share * (task.one(everything) + task.other(everything))
            (loss / config.episodes_a_step).backward()
        for part in parts:
            torch.nn.utils.clip_grad_norm_(part, config.clip)
        adam.step()
    return named(theta, body, log_rates)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_outer_updates_are_those_of_hand_written_autograd(
    name: str, optimiser: str, tmp_path: Path
) -> None:
    config = Config(inner_optimiser=optimiser)
    found, wanted = ours(name, tmp_path, config), reference(name, config)
    assert set(found) == set(wanted)
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=1e-8, atol=1e-8, msg=key)
    start = Parameters(name)
    moved = {k for k, v in {**start.theta, **start.body}.items() if not torch.equal(found[k], v)}
    # what takes no inner steps is of no interest to Reptile
    assert moved == {*start.theta, *(() if name == "reptile" else start.body)}


def test_the_reference_tells_the_algorithms_apart() -> None:
    """Else a comparison with it would say little."""
    found = [reference(name, Config()) for name in sorted(SAYS)]
    for number, one in enumerate(found):
        for other in found[:number]:
            both = [(one[key] - other[key]).abs().max() for key in ("a.weight", "x.lora_A.weight")]
            assert float(max(both)) > 1e-4


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_training_lowers_the_loss_that_it_is_on(name: str, tmp_path: Path) -> None:
    ours(name, tmp_path, Config(steps=25, episodes_a_step=1), TASKS[:1])
    losses = list(logged(tmp_path, "inner loss" if name == "reptile" else "query loss").values())
    assert len(losses) == 25 and losses[-1] < losses[0] - 0.05


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_a_killed_run_goes_on_as_if_it_had_not_been(name: str, tmp_path: Path) -> None:
    """With one task, so that there is nothing to draw anew. The order switches at the third step,
    which is where the run is killed.
    """
    config = Config(steps=4)
    through = ours(name, tmp_path / "through", config, TASKS[:1])
    with pytest.raises(KeyboardInterrupt):
        ours(name, tmp_path / "killed", config, TASKS[:1], Killed)
    resumed = ours(name, tmp_path / "killed", config, TASKS[:1])
    assert all(torch.equal(resumed[key], value) for key, value in through.items())


# -- annealing -----------------------------------------------------------------------------------


def test_maml_plus_plus_anneals_order_and_importance() -> None:
    method = algorithm("maml++")
    assert [method.order_at(done) for done in (0, 0.25, 0.499, 0.5, 0.9, 1)] == [1, 1, 1, 2, 2, 2]
    assert method.importance(0, 4) == pytest.approx([0.25] * 4)
    assert method.importance(0.075, 4) == pytest.approx([0.125] * 3 + [0.625])
    for done in (0.15, 0.5, 1):
        assert method.importance(done, 4) == [0, 0, 0, 1]
    assert method.importance(0, 1) == [1]
    for name in set(ALGORITHMS) - {"maml++"}:
        plain = ALGORITHMS[name]
        assert {plain.order_at(done) for done in (0, 0.5, 1)} == {plain.order}
        assert plain.importance(0, 3) == [0, 0, 1]


def operations(loss: Tensor) -> Set[str]:
    """The names of all operations in the graph that a loss keeps."""
    waiting: List[Any] = [loss.grad_fn]
    seen: Dict[int, Any] = {}
    while waiting:
        node = waiting.pop()
        if node is not None and id(node) not in seen:
            seen[id(node)] = node
            waiting.extend(before for before, _ in node.next_functions)
    return {type(node).__name__ for node in seen.values()}


@pytest.mark.parametrize(
    ("name", "done", "kept"),
    [
        ("fomaml", 0.0, False),
        ("maml", 0.0, True),
        ("maml++", 0.0, False),
        ("maml++", 0.49, False),
        ("maml++", 0.5, True),
        ("reptile", 0.0, False),
    ],
)
def test_only_the_second_order_keeps_the_graph_of_the_support(
    name: str, done: float, kept: bool
) -> None:
    """Neither order keeps the query's: its gradient is taken at once."""
    toy, method = Toy(), algorithm(name)
    practice = Practice(toy.loss, [lambda weights: weights["a.weight"].exp().sum()])
    rates = leaves(toy.rates) if method.learn_rates else toy.rates
    how = InnerLoop(STEPS, method.order_at(done), "adam")
    loss = meta_loss(method, practice, Adapter(toy.start), [], rates, how, done)
    found = operations(loss)
    assert ("TanhBackward0" in found) == kept
    assert "ExpBackward0" not in found and "MulBackward0" in found


def test_the_value_is_the_query_loss_that_is_trained_on() -> None:
    toy = Toy()
    practice = Practice(toy.loss, [toy.query, lambda weights: 2 * toy.query(weights)])

    def value(name: str, done: float = 0.0, practice: Practice = practice) -> float:
        method, how = algorithm(name), InnerLoop(STEPS, 1, "sgd")
        return float(
            meta_loss(method, practice, Adapter(toy.start), [], toy.rates, how, done).detach()
        )

    path = list(by_hand(leaves(toy.start), toy.loss, toy.rates, order=1, optimiser="sgd"))
    path = [{name: value.detach() for name, value in weights.items()} for weights in path]
    judged = [3 * float(toy.query(weights)) for weights in path]
    assert value("fomaml") == pytest.approx(judged[-1], rel=1e-12)
    assert value("maml++") == pytest.approx(sum(judged) / 3, rel=1e-12)
    assert value("maml++", 0.2) == pytest.approx(judged[-1], rel=1e-12)
    before = [toy.start, *path[:-1]]
    met = [float(toy.loss(weights, step)) for step, weights in enumerate(before)]
    assert value("reptile") == pytest.approx(sum(met) / 3, rel=1e-12)
    bare = Practice(None, practice.query)
    assert value("maml++", 0.0, bare) == pytest.approx(3 * float(toy.query(toy.start)), rel=1e-12)


# -- the loop itself -----------------------------------------------------------------------------


def logged(folder: Path, key: str) -> Dict[int, float]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["step"]: row[key] for row in map(json.loads, lines)}


def pulled(folder: Path, losses: Optional[Sequence[Optional[float]]] = None, **changes: Any):
    """Two numbers, pulled to 5 from where an inner step of a learned and of a fixed rate leads."""
    adapter = Adapter({"a": torch.tensor([1.0]), "b": torch.tensor([-2.0])})
    log_rates = {
        "a": torch.tensor([0.5]).log().requires_grad_(True), "b": torch.tensor([3.0]).log()
    }  # fmt: skip
    answers = iter(losses or [])

    def practice(rng: random.Random, order: int) -> Optional[Practice]:
        if losses is None:
            return Practice(
                lambda weights, step: (weights["a"] + weights["b"]).sum(),
                [lambda weights: (weights["a"] - 5).pow(2).sum() + (weights["b"] - 5).pow(2).sum()],
            )
        answer = next(answers)
        if answer is None:
            return None
        return Practice(None, [lambda weights: weights["a"].sum() * 0 + answer])

    settings = {"inner_steps": 1, "episodes_a_step": 1, "clip": 1e9, "rates_outer_rate": 0.25}
    config = Config(**{**settings, **changes})
    theta = dict(zip(adapter.names, adapter.parameters()))
    groups = [{"parameters": theta, "rate": 0.125}]
    learner = MetaLearner(algorithm("meta-sgd"), adapter, groups, log_rates, config)
    run = Run(folder, tensorboard=False)
    outer_loop(learner, practice, {"x": 1}, run, title="t", progress=False)
    return named(theta, {}, log_rates)


def test_a_first_step_of_adam_is_its_rate(tmp_path: Path) -> None:
    found = pulled(tmp_path, steps=1)
    torch.testing.assert_close(found["a"], torch.tensor([1.125]))
    torch.testing.assert_close(found["b"], torch.tensor([-1.875]))
    # a smaller rate leads less far away from 5
    torch.testing.assert_close(found["rates/a"], torch.tensor([0.5]).log() - 0.25)
    assert torch.equal(found["rates/b"], torch.tensor([3.0]).log())  # it isn't learned
    assert json.loads((tmp_path / "config.json").read_text()) == {"x": 1}
    # from 0.5 and -5 to 5
    assert logged(tmp_path, "query loss") == {1: pytest.approx(4.5**2 + 10**2)}


def test_episodes_that_cannot_be_judged_are_passed_over(tmp_path: Path) -> None:
    pulled(tmp_path / "some", [1.0, None, 3.0], steps=1, episodes_a_step=3)
    assert logged(tmp_path / "some", "query loss") == {1: 2.0}
    found = pulled(tmp_path / "none", [None] * 4, steps=2, episodes_a_step=2)
    assert (found["a"].item(), found["b"].item()) == (1, -2)


def test_rates_are_learned_as_logarithms_from_what_is_known() -> None:
    start = {name: torch.tensor([0.5, 0.25]) for name in "abc"}
    known = {"a": torch.tensor([4.0, 2.0]), "b": torch.tensor([4.0]), "d": torch.ones(2)}
    found = learned_rates(start, known, torch.device("cpu"), True)
    assert {name: value.exp().tolist() for name, value in found.items()} == {
        "a": pytest.approx([4, 2]),
        "b": pytest.approx([0.5, 0.25]),
        "c": pytest.approx([0.5, 0.25]),
    }
    assert all(value.requires_grad for value in found.values())
    fixed = learned_rates(start, known, torch.device("cpu"), False)
    assert not any(value.requires_grad for value in fixed.values())
    assert fixed["a"].exp().tolist() == pytest.approx([0.5, 0.25])

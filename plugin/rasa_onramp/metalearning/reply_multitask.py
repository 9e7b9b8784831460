"""Stage one of the reply generator: low-rank updates learned on all training domains at once."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from typing import Iterator, List, Optional, Sequence

import torch
from tqdm import tqdm

from rasa_onramp.errors import ConfigError
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.packing import Packed
from rasa_onramp.metalearning.parallel import ALONE, Workers
from rasa_onramp.metalearning.reply_episodes import ReplyEpisode
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.metalearning.schedule import share_done, warm_cosine
from rasa_onramp.metalearning.stepping import Stepper

__all__ = ["ReplyMultitaskConfig", "pretrain_replies"]


@dataclass(frozen=True)
class ReplyMultitaskConfig:
    """Settings. `rate` is AdamW's peak; a batch is counted in learned tokens.

    With `minutes`, training ends when either they or the steps are used up, and the schedule
    follows whichever is further on.
    """

    steps: int = 1000
    minutes: Optional[float] = None
    rank: int = 16
    learned_a_batch: int = 1024
    rate: float = 1e-3
    warmup: int = 20
    weight_decay: float = 0.0
    clip: float = 1.0
    seed: int = 0
    save_every: int = 50


def pretrain_replies(
    model: ReplyModel,
    episodes: Sequence[ReplyEpisode],
    config: ReplyMultitaskConfig,
    run: Run,
    *,
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Train `model.weights` in place, resuming from `run` if it holds a step.

    Support and query dialogues are learned from alike: each was packed with other dialogues of its
    episode to copy from. Several `workers` share a batch and step together. Raises ConfigError if
    no sequence holds a reply to learn from, or the loss stays no number.
    """
    sequences = [s for e in episodes for s in (*e.support, *e.query) if s.learned.any()]
    if not sequences:
        raise ConfigError("the episodes hold no reply to learn from; pack others")
    if not model.weights:
        model.weights = model.initial_weights(config.rank, config.seed)
    weights = {name: value.requires_grad_(True) for name, value in model.weights.items()}
    optimiser = torch.optim.AdamW(
        list(weights.values()), lr=config.rate, weight_decay=config.weight_decay, fused=True
    )
    stepper = Stepper(optimiser, [list(weights.values())], config.clip)
    step = run.resume(weights, optimiser)
    # a resumed run goes through the sequences in another order, and each worker in its own
    rng = random.Random(f"{config.seed} {step} {workers.rank}")
    feed = _batches(sequences, config.learned_a_batch // workers.count, rng)
    bar = tqdm(
        total=config.steps,
        initial=step,
        disable=not progress or not workers.first,
        desc="replies, multi-task",
        unit="step",
    )
    began, tokens = time.monotonic(), 0
    done = 1.0 if run.ended(config.steps, config.minutes) else step / config.steps
    while done < 1:
        batch = next(feed)
        scale = warm_cosine(step, done, config.warmup)
        for group in optimiser.param_groups:
            group["lr"] = config.rate * scale
        optimiser.zero_grad(set_to_none=True)
        learned = sum(int(s.learned.sum()) for s in batch)
        mean = 0.0
        for sequence in batch:  # alone each, so without padding: faster on a CPU
            loss = model.loss([sequence], weights) * (int(sequence.learned.sum()) / learned)
            loss.backward()
            mean += loss.item()
        workers.average_gradients(weights.values())
        step += 1
        norm = stepper.take(step)
        tokens += sum(len(s.ids) for s in batch) * workers.count
        elapsed = time.monotonic() - began
        done = workers.same(share_done(step, config.steps, elapsed, config.minutes))
        bar.update()
        if not workers.first:
            continue
        speed = tokens / elapsed
        bar.set_postfix(loss=f"{mean:.3f}", tokens_s=f"{speed:.0f}")
        run.log(step, {"loss": mean, "gradient norm": norm, "tokens/s": speed})
        if step % config.save_every == 0 or done >= 1:
            ended = (config.steps, config.minutes) if done >= 1 else None
            run.save(step, weights, optimiser, asdict(config), ended=ended)
    bar.close()
    model.weights = {name: value.detach() for name, value in weights.items()}


def _batches(
    sequences: Sequence[Packed], learned: int, rng: random.Random
) -> Iterator[List[Packed]]:
    """Sequences without end, as many at a time as hold `learned` learned tokens."""
    batch: List[Packed] = []
    while True:
        for sequence in rng.sample(list(sequences), len(sequences)):
            batch.append(sequence)
            if sum(int(s.learned.sum()) for s in batch) >= learned:
                yield batch
                batch = []

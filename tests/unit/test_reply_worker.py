"""One thread writes for all conversations: what waits is written together, within its time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, List

import pytest

from rasa_onramp.generator.writing import Updates, Writer
from rasa_onramp.runtime.reply_worker import ReplyWorker, _Job
from tiny_replies import prompts, random_updates, tiny_model

pytest.importorskip("transformers")


class Slow(Writer):
    """A writer that notes its batches and takes its time."""

    def __init__(self, *args: Any, pause: float = 0.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.pause = pause
        self.batches: List[int] = []
        self.seconds: List[float] = []

    def write(self, prompts: Any, updates: Any, **kwargs: Any) -> Any:
        self.batches.append(len(prompts))
        self.seconds.append(kwargs["seconds"])
        time.sleep(self.pause)
        return super().write(prompts, updates, **kwargs)


def test_conversations_that_wait_are_written_together() -> None:
    model = tiny_model()
    writer = Slow(model, pause=0.3)
    worker = ReplyWorker(writer, seconds=20)
    updates = [Updates(str(n), random_updates(model, seed=n)) for n in range(2)]
    some = prompts(6)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: worker.write(some[n], updates[n % 2]), range(6)))
    assert sum(writer.batches) == 6 and len(writer.batches) < 4
    assert found == [Writer(model).write([some[n]], [updates[n % 2]])[0] for n in range(6)]


def test_who_waits_too_long_gets_nothing_and_the_next_one_is_served() -> None:
    model = tiny_model()
    writer = Slow(model, pause=1.5)
    worker = ReplyWorker(writer, seconds=0.2)
    updates = Updates("a", random_updates(model))
    began = time.monotonic()
    assert worker.write(prompts(1)[0], updates) is None
    assert time.monotonic() - began < 4
    time.sleep(1.6)
    writer.pause = 0.0
    worker = ReplyWorker(writer, seconds=20)
    assert worker.write(prompts(1)[0], updates) == Writer(model).write(prompts(1), [updates])[0]


def test_what_cannot_be_written_together_is_written_one_by_one() -> None:
    model = tiny_model()
    whole = random_updates(model)
    half = {name: value for name, value in whole.items() if ".lora_A." in name}
    writer = Slow(model, pause=0.3)
    worker = ReplyWorker(writer, seconds=20)
    updates = [Updates("whole", whole), Updates("half", half), Updates("whole", whole)]
    some = prompts(3)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(worker.write, some[0], updates[0])  # while it is, the others wait
        time.sleep(0.1)
        found = list(pool.map(lambda n: worker.write(some[n], updates[n]), range(3)))
    wanted = Writer(model).write([some[0]], [updates[0]])[0]
    assert first.result() == wanted
    assert max(writer.batches) > 1
    assert found == [wanted, None, Writer(model).write([some[2]], [updates[2]])[0]]


def test_one_that_has_waited_long_leaves_the_others_their_time() -> None:
    model = tiny_model()
    writer = Slow(model)
    updates = Updates("a", random_updates(model))
    now = time.monotonic()
    jobs = [_Job(prompt, updates, now + left) for prompt, left in zip(prompts(3), (-1, 5, 100))]
    ReplyWorker(writer)._write(jobs)
    assert jobs[0].result.result() is None
    assert writer.batches == [2] and 50 < writer.seconds[0] < 101


def test_a_writer_that_fails_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model()
    worker = ReplyWorker(Writer(model), seconds=20)
    whole = random_updates(model)
    half = {name: value for name, value in whole.items() if ".lora_A." in name}
    (prompt,) = prompts(1)
    assert worker.write(prompt, Updates("half", half)) is None
    assert "no reply was written (KeyError" in caplog.text
    (wanted,) = Writer(model).write([prompt], [Updates("whole", whole)])
    assert worker.write(prompt, Updates("whole", whole)) == wanted

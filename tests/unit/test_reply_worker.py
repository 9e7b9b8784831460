"""One thread writes for all conversations: what waits is written together, within its time."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any, List, Optional, Tuple, Type

import pytest

from rasa_onramp.generator.packing import Packed
from rasa_onramp.generator.writing import Updates, Writer
from rasa_onramp.runtime import reply_worker
from rasa_onramp.runtime.reply_worker import ReplyWorker, _Job
from servers import wait_for
from tiny_replies import prompts, random_updates, tiny_model

pytest.importorskip("transformers")


class Held(Writer):
    """A writer that notes its batches; it holds the first one back until it is let go."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.let_go = threading.Event()
        self.batches: List[int] = []
        self.seconds: List[float] = []

    def write(self, prompts: Any, updates: Any, **kwargs: Any) -> Any:
        self.batches.append(len(prompts))
        self.seconds.append(kwargs["seconds"])
        assert self.let_go.wait(60)
        return super().write(prompts, updates, **kwargs)


def written_behind(
    writer: Held, first: Tuple[Packed, Updates], others: List[Tuple[Packed, Updates]]
) -> List[Optional[str]]:
    """Texts of conversations of which all but the first came while the first was being written."""
    worker = ReplyWorker(writer, seconds=60)
    with ThreadPoolExecutor(1 + len(others)) as pool:
        waiting = [pool.submit(worker.write, *first)]
        wait_for(lambda: writer.batches == [1])
        waiting += [pool.submit(worker.write, *other) for other in others]
        wait_for(lambda: worker._jobs.qsize() == len(others))
        writer.let_go.set()
        return [each.result() for each in waiting]


def test_conversations_that_wait_are_written_together() -> None:
    model = tiny_model()
    writer = Held(model)
    updates = [Updates(str(n), random_updates(model, seed=n)) for n in range(2)]
    asked = [(prompt, updates[n % 2]) for n, prompt in enumerate(prompts(6))]
    found = written_behind(writer, asked[0], asked[1:])
    assert writer.batches == [1, 5]
    assert found == [Writer(model).write([prompt], [mine])[0] for prompt, mine in asked]


def test_who_waits_too_long_gets_nothing_and_the_next_one_is_served() -> None:
    model = tiny_model()
    writer = Held(model)
    worker = ReplyWorker(writer, seconds=0.1)
    updates = Updates("a", random_updates(model))
    assert worker.write(prompts(1)[0], updates) is None  # the writer is held, so it did give up
    writer.let_go.set()
    worker._seconds = 60.0
    assert worker.write(prompts(1)[0], updates) == Writer(model).write(prompts(1), [updates])[0]


def test_what_cannot_be_written_together_is_written_one_by_one() -> None:
    model = tiny_model()
    whole = random_updates(model)
    half = {name: value for name, value in whole.items() if ".lora_A." in name}
    writer = Held(model)
    updates = [Updates("whole", whole), Updates("half", half), Updates("whole", whole)]
    asked = list(zip(prompts(3), updates))
    found = written_behind(writer, asked[0], asked)
    first, _, third = (Writer(model).write([prompt], [updates[0]])[0] for prompt in prompts(3))
    assert found == [first, first, None, third]
    assert writer.batches == [1, 3, 1, 1, 1]


def test_one_that_has_waited_long_leaves_the_others_their_time() -> None:
    model = tiny_model()
    writer = Held(model)
    writer.let_go.set()
    updates = Updates("a", random_updates(model))
    now = time.monotonic()
    jobs = [_Job(prompt, updates, now + left) for prompt, left in zip(prompts(3), (-1, 60, 500))]
    ReplyWorker(writer)._write(jobs)
    assert jobs[0].result.result() is None
    assert writer.batches == [2] and 60 < writer.seconds[0] <= 500


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


class Failing(Writer):
    """A writer that has no room."""

    def write(self, *args: Any, **kwargs: Any) -> Any:
        raise MemoryError("no room")


@pytest.mark.parametrize("kind", [Writer, Failing])
def test_a_worker_that_nobody_has_is_let_go(
    kind: Type[Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it goes a model of hundreds of megabytes, once Rasa has loaded another one."""
    monkeypatch.setattr(reply_worker, "_IDLE", 0.1)
    model = tiny_model()
    worker = ReplyWorker(kind(model), seconds=60)
    worker.write(prompts(1)[0], Updates("a", random_updates(model)))
    thread, gone = worker._thread, weakref.ref(worker)
    del worker
    gc.collect()
    assert gone() is None and thread is not None
    thread.join(30)
    assert not thread.is_alive()

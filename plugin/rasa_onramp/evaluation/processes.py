"""Work shared among processes: each loads the model once, then takes one piece after another.

The models' matrices are small: two threads of one process wait for each other more than two
processes of one thread do.

Pieces and results travel through multiprocessing, which pickles them. That is safe here: both ends
are this program, joined by pipes that no other can write to, and nothing pickled is ever a file.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from typing import Any, Callable, Collection, Generator, Iterator, List, Optional, Sequence, TypeVar

import torch

from rasa_onramp.dialogue import Corpus
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.few_shot import Result, measure
from rasa_onramp.evaluation.protocol import Protocol, Split, SplitName, splits
from rasa_onramp.tracker.checkpoint import load_tracker
from rasa_onramp.tracker.model import StateTracker

__all__ = ["evaluate_in_processes", "in_processes"]

Piece = TypeVar("Piece")
Found = TypeVar("Found")

#: What a process does with a piece, by its number, set by `_begin`.
_tasks: List[Callable[[int], Any]] = []


def evaluate_in_processes(
    corpus: Corpus,
    services: Sequence[str],
    protocol: Protocol,
    *,
    jobs: int,
    checkpoint: Optional[str] = None,
    device: str = "cpu",
    threads: Optional[int] = None,
    done: Collection[SplitName] = (),
) -> Generator[Result, None, None]:
    """What few_shot.evaluate gives, in the same order; the splits are shared among `jobs`."""
    found = in_processes(
        partial(_measured, protocol=protocol),
        [one for one in splits(corpus, services, protocol) if one.name not in done],
        jobs=jobs,
        load=partial(load_tracker, checkpoint, device=device),
        threads=threads,
    )
    with closing(found):
        for results in found:
            yield from results


def in_processes(
    work: Callable[[Any, Piece], Found],
    pieces: Sequence[Piece],
    *,
    jobs: int,
    load: Callable[[], Any],
    threads: Optional[int] = None,
) -> Generator[Found, None, None]:
    """`work` on each of `pieces`, in their order, as soon as each and those before it are done.

    However this ends (an error, Ctrl-C, a caller that stops early), no process is left.

    Args:
        work: a function that a module defines, or a `partial` of one; an error of its is raised.
        jobs: processes, at most.
        load: what gives each process the model that is `work`'s first argument; an error of its is
            raised, too.
        threads: of each process (None: its part of what this one has).

    Raises:
        ConfigError: a process died.
    """
    jobs = max(1, min(jobs, len(pieces)))
    threads = threads or max(1, torch.get_num_threads() // jobs)
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),  # torch's threads don't survive a fork
        initializer=_begin,
        initargs=(load, threads, work, pieces),
    ) as pool:
        try:
            # Each process has the pieces, so that only numbers go through the pipe: it's never
            # full. Python before 3.11.5 waits for ever to write to a full one that nobody reads.
            with _interrupts_blocked():
                waiting: List[Future[Found]] = [pool.submit(_run, n) for n in range(len(pieces))]
            while waiting:
                yield waiting.pop(0).result()
        except BaseException as error:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise ConfigError(
                    "one of the processes died at its work, perhaps for want of memory; "
                    "use fewer --jobs"
                ) from None
            raise


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes started in this block never see Ctrl-C, nor that the terminal was closed: their
    parent ends them, without noise.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(
    load: Callable[[], Any], threads: int, work: Callable[[Any, Any], Any], pieces: Sequence[Any]
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    model = lru_cache(maxsize=1)(load)  # by the first piece: here its error would be lost
    _tasks.append(lambda number: work(model(), pieces[number]))


def _end_with_parent() -> None:
    """A parent that was killed had no time to end its processes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(number: int) -> Any:
    return _tasks[0](number)


def _measured(tracker: StateTracker, split: Split, *, protocol: Protocol) -> List[Result]:
    return list(measure(tracker, split, protocol))

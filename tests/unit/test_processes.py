"""Work shared among processes: the same figures in the same order, and nothing left running."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from command_line import environment, invoke, program
from rasa_onramp.cli.options import load_learner
from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.evaluation.few_shot import evaluate
from rasa_onramp.evaluation.processes import evaluate_in_processes, in_processes
from rasa_onramp.evaluation.protocol import Protocol, splits
from rasa_onramp.metalearning.finetuning import FineTuning
from rasa_onramp.store import open_store
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from tiny_tracker import corpus, tiny_tracker, tokenizer_json, write_domains
from work_pieces import dies, meets, refuses, takes_time, who

pytestmark = pytest.mark.skipif(os.name != "posix", reason="tells processes apart as POSIX does")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(tiny_tracker(seed=6, rank=2, steps=2, spread=3.0), folder, tokenizer_json())
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two domains of four dialogues each, in YAML."""
    return write_domains(tmp_path_factory.mktemp("data"), corpus(services=2, dialogues=4))


def test_several_processes_measure_what_one_does(checkpoint: Path) -> None:
    found = corpus(services=2, dialogues=6)
    protocol = Protocol(
        shots=(0, 1, 2), seeds=2, limit=3, finetuning=FineTuning(rate=5e-3, epochs=2), steps=2
    )
    assert len(list(splits(found, list(found.schemas), protocol))) == 4
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = list(evaluate(load_tracker(checkpoint), found, list(found.schemas), protocol))
    finally:
        torch.set_num_threads(threads)
    shared = evaluate_in_processes(
        found, list(found.schemas), protocol, jobs=2, checkpoint=str(checkpoint), threads=1
    )
    timed = {"seconds": 0.0, "computed": 0.0}
    assert [replace(r, **timed) for r in shared] == [replace(r, **timed) for r in alone]


def test_pieces_are_shared_and_come_back_in_order(checkpoint: Path, tmp_path: Path) -> None:
    pieces = [(str(tmp_path), number) for number in range(6)]
    found = list(in_processes(meets, pieces, jobs=2, load=partial(load_tracker, str(checkpoint))))
    numbers, processes, threads, digests = zip(*found)
    assert numbers == tuple(range(6))
    assert len(set(processes)) == 2 and os.getpid() not in processes
    assert set(threads) == {max(1, torch.get_num_threads() // 2)}
    assert set(digests) == {load_tracker(checkpoint).digest}


def test_no_more_processes_than_pieces_and_threads_as_asked(checkpoint: Path) -> None:
    ((piece, _, threads, _),) = in_processes(
        who, [7], jobs=64, load=partial(load_tracker, str(checkpoint)), threads=3
    )
    assert (piece, threads) == (7, 3)
    assert list(in_processes(who, [], jobs=2, load=partial(load_tracker, str(checkpoint)))) == []


def test_a_process_that_dies_is_one_clear_error(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match=r"one of the processes died .*; use fewer --jobs"):
        list(in_processes(dies, range(4), jobs=2, load=partial(load_tracker, str(checkpoint))))
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_before_it_took_large_pieces(checkpoint: Path) -> None:
    """Python 3.10 would wait for ever to put a piece into a pipe that nobody empties."""
    large = ["x" * 1_000_000] * 4
    with pytest.raises(ConfigError, match="one of the processes died"):
        list(in_processes(who, large, jobs=2, load=partial(os._exit, 1)))
    assert multiprocessing.active_children() == []


def test_an_error_of_the_work_is_raised_here(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="this tracker is tired; let it rest"):
        list(in_processes(refuses, range(4), jobs=2, load=partial(load_tracker, str(checkpoint))))
    assert multiprocessing.active_children() == []


def test_an_error_of_the_loading_is_raised_here(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tracker\.json can't be read"):
        list(in_processes(who, [1, 2], jobs=2, load=partial(load_tracker, str(tmp_path))))
    assert not multiprocessing.active_children()


def test_who_stops_early_leaves_no_process(checkpoint: Path) -> None:
    with closing(
        in_processes(takes_time, range(4), jobs=2, load=partial(load_tracker, str(checkpoint)))
    ) as found:
        assert next(found) == 0
    assert multiprocessing.active_children() == []


def test_evaluate_with_jobs_writes_the_same_figures(
    data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    command = ("evaluate", "--data", data, "--shots", "0,2", "--seeds", "1", "--threads", "1")
    command += ("--steps", "2", "--finetune-epochs", "1")
    threads = torch.get_num_threads()
    written = []
    try:
        for jobs in ("1", "2"):
            out = tmp_path / f"{jobs}.json"
            done = invoke(*command, "--checkpoint", checkpoint, "--jobs", jobs, "--json", out)
            assert (done.code, done.err) == (0, "")
            written.append(json.loads(out.read_text(encoding="utf-8")))
    finally:
        torch.set_num_threads(threads)
    for found in written:
        assert len(found["runs"]) == 2 * 2 * 3
        for row in (*found["runs"], *found["summary"]):
            del row["seconds"]
            row.pop("computed", None)  # a summary has none
    assert written[0] == written[1]


def test_adapt_with_jobs_stores_what_one_process_would(data: Path, checkpoint: Path) -> None:
    assert invoke("init").code == 0
    assert invoke("import", data).code == 0
    names = ("TableBooking_2", "TableBooking_1")
    threads = torch.get_num_threads()
    try:
        for jobs in ("1", "2"):
            done = invoke(
                *("adapt", *names, "--no-replies", "--checkpoint", checkpoint),
                *("--steps", "2", "--threads", "1", "--jobs", jobs, "--force"),
            )
            assert (done.code, done.err) == (0, "")
            said = [line.split(" in ")[0] for line in done.out.splitlines()]
            assert said == [f"{name}: version {jobs} from 4 support dialogues" for name in names]
    finally:
        torch.set_num_threads(threads)
    assert load_learner.cache_info().currsize == 0  # beside several processes this one has none
    with open_store() as store:
        for name in names:
            one, two = (store.adapters.get(name, version) for version in (1, 2))
            assert one.digest == two.digest
            assert store.adapters.active(name) == two


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_command_takes_its_processes_along(
    number: int, data: Path, checkpoint: Path
) -> None:
    command = program("evaluate", "--data", data, "--shots", "1", "--seeds", "200", "--progress")
    running = subprocess.Popen(
        [*command, "--checkpoint", str(checkpoint), "--jobs", "2"],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # whoever runs the tests in the background of a shell has it ignored, and so would this
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stderr is not None
    try:
        said = b""
        while not re.search(rb"[1-9]\d*/1200", said):  # results have come
            more = running.stderr.read1()  # type: ignore[attr-defined]
            assert more, said
            said += more
        if number == signal.SIGINT:
            os.killpg(running.pid, number)  # as a terminal does
        else:
            os.kill(running.pid, number)
        _, rest = running.communicate(timeout=60)
        assert running.returncode == (130 if number == signal.SIGINT else -number)
        if number == signal.SIGINT:
            assert rest.decode().splitlines()[-1].endswith("rasa-onramp: interrupted")
            assert b"Traceback" not in rest
        deadline = time.monotonic() + 30
        while _anyone(running.pid):
            assert time.monotonic() < deadline, "processes are left"
            time.sleep(0.1)
    finally:
        if _anyone(running.pid):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _anyone(group: int) -> bool:
    """Whether a process of this group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True

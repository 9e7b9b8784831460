"""Meta-training a tracker from the command line: what is gone on from, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Tuple

import pytest
from safetensors.torch import save_file

from command_line import Outcome, invoke
from rasa_onramp.metalearning.lora import lora_rank
from rasa_onramp.metalearning.runs import kept_setting
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_onramp.tracker.encoder import Encoder
from tiny_tracker import CONFIG, corpus, tiny_tracker, tokenizer_json, write_domains


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two domains in YAML, six dialogues each."""
    return write_domains(tmp_path_factory.mktemp("data"), corpus(services=2, dialogues=6))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracker that was trained on other services."""
    tracker = tiny_tracker(seed=0, rank=2)
    tracker.training_services = ("Buses_1", "Hotels_1")
    folder = tmp_path_factory.mktemp("start")
    save_tracker(tracker, folder, tokenizer_json())
    return folder


def train(data: Path, run: Path, start: Path, *options: str) -> Outcome:
    return invoke(
        *("meta-train", "--data", data, "--run", run, "--start", start, "--device", "cpu"),
        *("--meta-steps", "1", "--threads", "1"),
        *(() if "meta" in options else ("--steps", "1", "--tokens", "512")),
        *options,
    )


def test_a_tracker_is_of_what_its_start_was_trained_on_too(
    data: Path, start: Path, tmp_path: Path
) -> None:
    done = train(data, tmp_path, start, "--hold-back", "TableBooking_2")
    assert (done.code, done.err) == (0, "")
    before = ("Buses_1", "Hotels_1", "TableBooking_1")
    assert load_tracker(tmp_path / "multitask").training_services == before
    after = (*before, "TableBooking_2")
    assert load_tracker(tmp_path / "tracker").training_services == after


def test_a_folder_is_of_one_run(data: Path, start: Path, tmp_path: Path) -> None:
    made = train(data, tmp_path, start)
    assert made.code == 0
    assert train(data, tmp_path, start).out == made.out  # nothing is left to do
    for options, complaint in (
        (("--algorithm", "fomaml"), "log-meta/state.safetensors is of another algorithm (meta-sgd"),
        (("--seed", "7"), "log-multitask/state.safetensors is of another seed (0, not 7)"),
        (("--hold-back", "TableBooking_1"), "is of another corpus (2 services, "),
        (("--start", str(tmp_path / "multitask")), "log-multitask/state.safetensors is of another"),
        (("--start", str(tmp_path / "tracker"), "--stage", "meta", "--algorithm", "anil"), "algor"),
    ):
        done = train(data, tmp_path, start, *options)
        assert done.code == 2, options
        assert complaint in done.err and done.err.endswith("; give a new run folder\n")
    # nor does stage two go on where stage one has
    done = train(data, tmp_path, start, "--steps", "9")
    assert done.code == 2 and "log-meta/state.safetensors is of another start (" in done.err
    made = train(data, tmp_path / "2", start)
    tmp_path = tmp_path / "2"
    # stage two alone goes on too
    alone = train(data, tmp_path, tmp_path / "multitask", "--stage", "meta")
    assert alone.code == 0 and alone.out == made.out.splitlines(keepends=True)[-1]


def test_a_resumed_run_takes_as_many_episodes_a_step_as_before(
    data: Path, start: Path, tmp_path: Path
) -> None:
    """So that what several processes began goes on as the same training in one."""
    meta = ("--stage", "meta", "--meta-steps")
    assert train(data, tmp_path, start, *meta, "1", "--episodes-a-step", "3").code == 0
    for steps, options, wanted in (("2", (), 3), ("3", ("--episodes-a-step", "1"), 1)):
        assert train(data, tmp_path, start, *meta, steps, *options).code == 0
        assert kept_setting(tmp_path / "log-meta", "episodes_a_step") == wanted
    assert train(data, tmp_path / "new", start, *meta, "1").code == 0
    assert kept_setting(tmp_path / "new" / "log-meta", "episodes_a_step") == 2


def test_a_run_is_of_the_wordings_and_services_held_back_that_it_began_with(
    data: Path, start: Path, tmp_path: Path
) -> None:
    assert train(data, tmp_path, start).code == 0
    more = shutil.copytree(data, tmp_path / "more")
    shutil.copytree(data, more / "paraphrase_1")
    for folder, options, complaint in (
        (more, (), "log-multitask/state.safetensors is of another number of wordings (2, not 4)"),
        (more, ("--stage", "meta"), "log-meta/state.safetensors is of another number of wordings"),
        (data, ("--stage", "meta", "--hold-back", "TableBooking_2"), "is of another hold-back (no"),
    ):
        done = train(folder, tmp_path, start, *options)
        assert done.code == 2 and complaint in done.err


def test_updates_have_the_rank_asked_for_and_keep_what_they_have(
    data: Path, start: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    save_tracker(tiny_tracker(seed=0), plain, tokenizer_json())
    assert train(data, tmp_path / "run", plain, "--stage", "meta", "--rank", "3").code == 0
    assert lora_rank(load_tracker(tmp_path / "run" / "tracker").weights) == 3
    again = train(data, tmp_path / "run", plain, "--stage", "meta")
    assert again.code == 2 and "state.safetensors is of another rank (3, not 2)" in again.err
    slower = train(data, tmp_path / "run", plain, "--stage", "meta", "--inner-rates", "0.1")
    told = "is of another beginning of inner rates (0.005 and 0.002, not 0.0005 and 0.0002)"
    assert slower.code == 2 and told in slower.err
    kept = train(data, tmp_path / "kept", start, "--stage", "meta", "--rank", "2")
    assert kept.code == 0 and lora_rank(load_tracker(tmp_path / "kept" / "tracker").weights) == 2
    other = train(data, tmp_path / "other", start, "--stage", "meta", "--rank", "4")
    assert other.code == 2 and f"--rank 4: the updates of {start} have 2; leave" in other.err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--stage", "meta"), "--stage meta needs --start, a folder that the multi-task stage"),
        (
            ("--for", "domains"),
            "--for goes with prototypical, matching, siamese, not with m",
        ),
        (
            ("--start", "somewhere", "--stage", "meta", "--minutes", "3", "--tokens", "600"),
            "--minutes, --tokens go with the multi-task stage, not with --stage meta",
        ),
        (
            ("--stage", "multitask", "--meta-minutes", "3", "--rank", "4"),
            "--meta-minutes, --rank go with the meta stage, not with --stage multitask",
        ),
        (
            ("--hold-back", "TableBooking_1,TableBooking_2"),
            "--hold-back leaves no service to the multi-task stage; name fewer",
        ),
        (
            ("--start", "somewhere", "--encoder", "all-MiniLM-L6-v2"),
            "--encoder goes without --start, whose tracker has its own",
        ),
        (("--spare", "0", "--for", "replies"), "--for, --spare go with prototypical, matching, s"),
    ],
)
def test_what_a_tracker_cant_be_trained_with_is_refused(
    data: Path, tmp_path: Path, options: Tuple[str, ...], complaint: str
) -> None:
    done = invoke("meta-train", "--data", data, "--run", tmp_path, *options)
    assert done.code == 2
    assert complaint in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_encoder_of_too_few_positions_is_refused(data: Path, tmp_path: Path) -> None:
    short = replace(CONFIG, max_position_embeddings=256)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **asdict(short)}))
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json())
    save_file(Encoder(short).state_dict(), str(tmp_path / "model.safetensors"))
    done = invoke("meta-train", "--data", data, "--run", tmp_path / "run", "--encoder", tmp_path)
    assert done.code == 2
    assert "the encoder has 256 positions, and a tracker reads 512; choose another" in done.err

"""Learning to reply from the command line: pack, meta-train, evaluate, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import pytest

from command_line import Outcome, invoke
from rasa_onramp.cli import evaluate_replies
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.protocol import Split
from rasa_onramp.evaluation.reply_few_shot import replies_in_processes
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.metalearning.runs import kept_setting
from rasa_onramp.store import open_store
from rasa_onramp.tracker.checkpoint import save_tracker
from tiny_replies import corpus, write_folder
from tiny_tracker import tiny_tracker, tokenizer_json


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Path]:
    """A corpus, a tiny language model, packed episodes and an initialisation trained on them."""
    root = tmp_path_factory.mktemp("replies")
    data = root / "data"
    data.mkdir()
    (schema,), dialogues = corpus(3).schemas.values(), corpus(3).dialogues
    write_yaml(data / "parcels.yml", schema, dialogues)
    model = write_folder(root / "model")
    packed = invoke(
        *("pack-replies", "--data", data, "--episodes", "6", "--out", root / "e.npz"),
        *("--language-model", model, "--threads", "1", "--quiet"),
    )
    assert packed.code == 0, packed.err
    assert "6 episodes of 1 services" in packed.out
    trained = invoke(
        *("meta-train-replies", "--episodes", root / "e.npz", "--run", root / "run"),
        *("--language-model", model, "--steps", "3", "--meta-steps", "2", "--rank", "4"),
        *("--batch", "40", "--threads", "1", "--quiet", "--device", "cpu"),
    )
    assert trained.code == 0, trained.err
    return {"root": root, "data": data, "model": model, "replies": root / "run" / "replies"}


def test_evaluate_measures_every_method(
    made: Dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on after an interruption."""
    out, lines = made["root"] / "out.json", made["root"] / "out.jsonl"
    command = (
        *("evaluate", "--generator", "--data", made["data"], "--services", "all", "--shots", "2"),
        *("--seeds", "2", "--limit", "1", "--checkpoint", made["replies"], "--device", "cpu"),
        *("--finetune-epochs", "1", "--json", out, "--replies", lines, "--quiet"),
    )
    handed: List[List[int]] = []

    def noted(work: Sequence[Split], *how: Any, **more: Any) -> Iterator[Any]:
        handed.append([one.seed for one in work])
        with closing(replies_in_processes(work, *how, **more)) as found:
            yield next(found)
            if len(handed) == 1:
                raise ConfigError("stopped by the test")
            yield from found

    monkeypatch.setattr(evaluate_replies, "replies_in_processes", noted)
    monkeypatch.setattr(ReplyModel, "load", None)  # only the processes that measure load one
    assert "stopped by the test" in invoke(*command).err
    assert "go on with it by --resume" in invoke(*command).err
    done = invoke(*command, "--resume")
    assert done.code == 0, done.err
    assert handed == [[0, 1], [1]]
    assert sorted(path.name for path in made["root"].glob("out*")) == ["out.json", "out.jsonl"]
    assert "adapted - retrieval, 2" in done.out
    figures = json.loads(out.read_text(encoding="utf-8"))
    methods = [row["method"] for row in figures["summary"]]
    assert methods[:2] == ["templates", "retrieval"] and "adapted" in methods
    assert {row["replies"] for row in figures["summary"]} == {figures["summary"][0]["replies"]}
    turns = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert len(turns) == figures["summary"][0]["replies"]
    assert [turn["seed"] for turn in turns] == sorted(turn["seed"] for turn in turns)
    assert {turn["seed"] for turn in turns} == {run["seed"] for run in figures["runs"]} == {0, 1}
    assert all(set(turn["replies"]) == set(methods) for turn in turns)
    assert turns[0]["history"][-1][0] == "user"


def test_a_domain_adapts_from_an_initialisation_of_ones_own(
    made: Dict[str, Path], tmp_path: Path
) -> None:
    tracker = tmp_path / "tracker"
    save_tracker(tiny_tracker(rank=2, steps=2), tracker, tokenizer_json())
    assert invoke("init").code == 0
    assert invoke("import", made["data"]).code == 0
    adapt = ("adapt", "--all", "--steps", "1", "--checkpoint", tracker, "--device", "cpu")
    done = invoke(*adapt, "--reply-checkpoint", made["replies"])
    assert done.code == 0, done.err
    assert "; replies in " in done.out
    with open_store() as store:
        found = store.adapters.reply("parcel_delivery", 1)
    config = json.loads((made["replies"] / "replies.json").read_text(encoding="utf-8"))
    assert found is not None and found.checkpoint_digest == config["sha256"]

    missing = invoke(*adapt, "--reply-checkpoint", tmp_path / "none")
    assert missing.code == 2 and "replies.json can't be read" in missing.err
    talk = invoke("chat", "--checkpoint", tracker, "--reply-checkpoint", tmp_path / "none")
    assert talk.code == 2 and "replies.json can't be read" in talk.err


def test_what_goes_with_states_only_is_refused(made: Dict[str, Path]) -> None:
    done = invoke("evaluate", "--generator", "--data", made["data"], "--offers")
    assert done.code == 2 and "not with --generator" in done.err
    done = invoke("evaluate", "--data", made["data"], "--replies", made["root"] / "x.jsonl")
    assert done.code == 2 and "goes with --generator" in done.err
    done = invoke("evaluate", "--generator", "--data", made["data"], "--method", "zeroshot")
    assert done.code == 2 and "choose of templates, retrieval" in done.err


def test_training_goes_on_from_packed_episodes_only(made: Dict[str, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"no episodes")
    done = invoke(
        *("meta-train-replies", "--episodes", bad, "--run", tmp_path / "run"),
        *("--language-model", made["model"], "--quiet"),
    )
    assert done.code == 2 and "bad.npz: not packed episodes" in done.err
    done = invoke(
        *("meta-train-replies", "--episodes", made["root"] / "e.npz", "--run", tmp_path / "run"),
        *("--stage", "meta", "--quiet"),
    )
    assert done.code == 2 and "--stage meta needs --start" in done.err


def test_a_run_goes_on_as_it_began_with_its_language_model(
    made: Dict[str, Path], tmp_path: Path
) -> None:
    def train(model: Path, *options: str) -> Outcome:
        return invoke(
            *(
                "meta-train-replies",
                "--episodes",
                made["root"] / "e.npz",
                "--run",
                tmp_path / "run",
            ),
            *("--language-model", model, "--steps", "1", "--rank", "4", "--batch", "40"),
            *("--threads", "1", "--quiet", "--device", "cpu", *options),
        )

    first = train(made["model"], "--meta-steps", "1", "--episodes-a-step", "2")
    assert first.code == 0
    again = train(made["model"], "--meta-steps", "2")
    assert again.code == 0
    assert kept_setting(tmp_path / "run" / "log-meta", "episodes_a_step") == 2
    other = shutil.copytree(made["model"], tmp_path / "other")
    done = train(other, "--stage", "multitask")
    assert done.code == 2
    told = f"is of another language model ({made['model']}, not {other}); give a new run folder\n"
    assert done.err.endswith(told)


def test_a_language_model_that_is_not_here_is_named(made: Dict[str, Path], tmp_path: Path) -> None:
    done = invoke(
        *("pack-replies", "--data", made["data"], "--out", tmp_path / "e.npz"),
        *("--language-model", "nobody/nothing", "--quiet"),
    )
    assert done.code == 2 and "rasa-onramp weights" in done.err


def test_an_initialisation_is_for_its_language_model(made: Dict[str, Path]) -> None:
    weights = made["replies"] / "replies.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-8])
    try:
        done = invoke(
            *("evaluate", "--generator", "--data", made["data"], "--services", "all"),
            *("--checkpoint", made["replies"], "--quiet"),
        )
    finally:
        weights.write_bytes(kept)
    assert done.code == 2 and "not what its digest says" in done.err

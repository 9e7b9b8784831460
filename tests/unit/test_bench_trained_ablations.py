"""bench/trained_ablations.py: encoders with some taken away, what is trained, its tables."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch
from safetensors.torch import save_file

import trained_ablations
from encoder_variants import without
from rasa_onramp.metalearning.lora import adapter_to_bytes
from rasa_onramp.metalearning.runs import Run
from rasa_onramp.tracker.checkpoint import load_tracker, save_tracker
from rasa_onramp.tracker.encoder import Encoder
from result_tables import trained_ablations as tables
from side_by_side import ADAPTED, ALL_METHODS
from tiny_tracker import CONFIG, corpus, tiny_tracker, tokenizer_json, write_domains


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers, as a hub has it."""
    folder = tmp_path_factory.mktemp("encoder")
    config = {"model_type": "bert", **asdict(CONFIG)}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_bytes(tokenizer_json())
    save_file(tiny_tracker(seed=1).encoder.state_dict(), str(folder / "model.safetensors"))
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What three steps of multi-task training leave."""
    run = tmp_path_factory.mktemp("start")
    tracker = tiny_tracker(seed=4)
    Run(run / "log-multitask", tensorboard=False).save(3, tracker.weights)
    save_tracker(tracker, run / "multitask", tokenizer_json())
    return run / "multitask"


def given(start: Path, encoder: Path, out: Path, *more: str) -> List[str]:
    options = ["--start", start, "--train", out / "data", "--data", out / "data"]
    options += ["--runs", out / "runs", "--encoder", encoder, "--services", "all"]
    options += ["--shots", "1", "--seeds", "1", "--limit", "1", "--meta-steps", "1"]
    return [str(each) for each in (*options, "--json", out / "figures.json", *more)]


def test_half_an_encoder_is_its_first_layers(encoder: Path, tmp_path: Path) -> None:
    half = Encoder.load(without(str(encoder), tmp_path / "half", layers=1))
    whole = Encoder.load(encoder).state_dict()
    assert half.config.num_hidden_layers == 1
    kept = half.state_dict()
    assert kept.keys() == {name for name in whole if not name.startswith("encoder.layer.1.")}
    assert all(torch.equal(value, whole[name]) for name, value in kept.items())


def test_an_untrained_encoder_has_its_embeddings(encoder: Path, tmp_path: Path) -> None:
    folder = without(str(encoder), tmp_path / "untrained", training=False)
    blank, whole = Encoder.load(folder).state_dict(), Encoder.load(encoder).state_dict()
    assert blank.keys() == whole.keys()
    layers = [name for name in blank if name.startswith("encoder.")]
    assert all(torch.equal(blank[name], whole[name]) for name in blank.keys() - set(layers))
    for name in layers:
        if name.endswith("bias"):
            assert not blank[name].any()
        elif "LayerNorm" in name:
            assert (blank[name] == 1).all()
        else:
            assert 0.018 < blank[name].std() < 0.022 and not torch.equal(blank[name], whole[name])
    made = (folder / "model.safetensors").read_bytes()
    other = without(str(encoder), tmp_path / "again", training=False)
    assert (other / "model.safetensors").read_bytes() == made  # the same for everybody
    (folder / "model.safetensors").write_bytes(b"as it was trained on")
    without(str(encoder), folder, training=False)
    assert (folder / "model.safetensors").read_bytes() == b"as it was trained on"


def test_what_is_compared_is_trained_alike(start: Path, encoder: Path, tmp_path: Path) -> None:
    both = ("--encoders", *tables.LESSER)
    options = trained_ablations.options_of(given(start, encoder, tmp_path, *both))
    wanted = trained_ablations.trainings(options)
    assert [one.name for one in wanted] == [
        *("half", "untrained"),
        *("rank 32", "rank 16", "rank 8", "rank 4", "rank 2"),
    ]
    assert len({one.run for one in wanted}) == len(wanted)
    alike = set()
    for one in wanted:
        differs = "--rank" if one.writes == "tracker" else "--encoder"
        at = one.command.index(differs) + 1
        alike.add((*one.command[:at], *one.command[at + 1 :]))
    assert len(alike) == 2
    assert {one.processes for one in wanted[:2]} == {2}
    assert all(one.command[one.command.index("--steps") + 1] == "3" for one in wanted[:2])


def test_it_trains_measures_and_tells(
    start: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    write_domains(tmp_path / "data", corpus(services=1, dialogues=6))
    few = ["--ranks", "2", "--encoders", "half", "--processes", "1"]
    trained_ablations.main(given(start, encoder, tmp_path, *few))
    told = capsys.readouterr().out
    found = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert found["steps"] == {"rank 2": 1, "half": 3}
    assert found["parameters"]["half"] < found["parameters"]["rank 2"]
    trained = load_tracker(tmp_path / "runs" / "rank-2" / "tracker")
    assert found["adapter_bytes"]["rank 2"] == len(adapter_to_bytes(trained.weights))
    assert found["trackers"]["rank 2"] == trained.digest
    measured = {(run["tracker"], run["method"], run["shots"]) for run in found["runs"]}
    assert measured == {
        (tracker, method, 1)
        for tracker, methods in (
            ("rank 2", ADAPTED),
            ("half", ALL_METHODS),
            (tables.WHOLE, ALL_METHODS),
        )
        for method in methods
    }
    assert "Rank of the updates" in told and "first half of the layers" in told
    before = (tmp_path / "figures.json").read_text(encoding="utf-8")
    trained_ablations.main(given(start, encoder, tmp_path, *few))  # nothing is left to do
    assert (tmp_path / "figures.json").read_text(encoding="utf-8") == before
    # of others, what was told of these stays
    trained_ablations.main(given(start, encoder, tmp_path, "--ranks", "--processes", "1"))
    again = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert again == found


def results() -> Dict[str, Any]:
    """One service, two support sets of one dialogue of four turns; what five shots bring."""
    jga = {
        ("rank 16", "adapted"): 3.0,
        ("rank 8", "adapted"): 2.0,
        ("whole", "finetune"): 2.0,
        ("whole", "adapted"): 1.0,
        ("half", "finetune"): 1.0,
        ("half", "adapted"): 1.0,
    }
    runs = [
        {
            "tracker": tracker,
            "method": method,
            "service": "a",
            "seed": seed,
            "shots": 5,
            "seconds": 2.0 + seed,
            "dialogues": [[4, value]],
        }
        for (tracker, how), most in jga.items()
        for method, value in (("zero-shot", 0.0), (how, most))
        for seed in (0, 1)
        if method != "zero-shot" or how == "adapted"
    ]
    names = dict.fromkeys(tracker for tracker, _ in jga)
    how = {"meta_steps": 3, "episodes_a_step": 2, "inner_steps": 8, "encoder": "tiny"}
    how.update(processes=2, shots=[5], seeds=2, seed=0, threads=1, data="sgd/dev")
    return {
        "settings": how,
        "seconds": {},
        "steps": dict.fromkeys(names, 1234),
        "parameters": dict.fromkeys(names, 22_660_000),
        "adapter_bytes": {"rank 8": 300_000, "rank 16": 600_400},
        "splits": [{"service": "a", "seed": seed, "held_out": [str(seed)]} for seed in (0, 1)],
        "runs": runs,
    }


def test_tables_by_hand() -> None:
    none, two, three = (f"{value} [{value}, {value}]" for value in ("0.000", "0.500", "0.750"))
    grid = tables.ranks([results()])
    assert grid is not None
    assert grid.rows == (
        ("rank 8", "1", "300", none, two, "", "2.5"),
        ("rank 16", "1", "600", none, three, "+0.250 [+0.250, +0.250]", "2.5"),
    )
    assert len(grid.header) == 7 and grid.header[5] == "5 dialogues: minus rank 8"
    again = results()
    again["settings"]["seed"] = 1
    again["runs"] = [run for run in again["runs"] if run["tracker"] == "rank 8"]
    for run in again["runs"]:
        run["dialogues"] = [[4, 4.0]]
    grid = tables.ranks([results(), again])
    assert grid is not None
    assert grid.rows[0][:2] == ("rank 8", "2") and grid.rows[0][4][:5] == "0.750"
    # what was trained once is compared with what was trained beside it
    assert grid.rows[1][1:2] == ("1",) and grid.rows[1][5][:6] == "+0.250"
    assert grid.note is not None
    assert grid.note.endswith(
        "By training, without and with 5 dialogues: rank 8: seed 0 0.000 and 0.500, seed 1 1.000 "
        "and 1.000."
    )
    assert tables.lacks([results()]) == ["`--encoders untrained`"]
    grid = tables.encoders([results()])
    assert grid is not None
    quarter = "0.250 [0.250, 0.250]"
    level, less = "+0.000 [+0.000, +0.000]", "-0.250 [-0.250, -0.250]"
    assert grid.rows == (
        ("as pretrained, all layers", "22.7", none, "", two, "", quarter, "2.5"),
        (
            *("as pretrained, first half of the layers", "22.7", none, level),
            *(quarter, less, quarter, "2.5"),
        ),
    )
    assert len(grid.header) == 8 and grid.header[3] == "no dialogue: minus all layers"
    told = tables.about([results()])
    assert told is not None
    assert "3 outer steps of 2 episodes" in told and "tiny, 1234 multi-task steps" in told
    assert "8 held-out turns of `a` (sgd/dev)" in told

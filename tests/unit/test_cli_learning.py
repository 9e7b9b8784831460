"""`adapt`, `domains` and `evaluate`, with a tracker too small to be good at it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from command_line import invoke
from rasa_onramp.dialogue import Corpus, Slot
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.plots import few_shot_curve
from rasa_onramp.formats import read
from rasa_onramp.formats.sgd_corpus import write_sgd
from rasa_onramp.formats.yaml import write_yaml
from rasa_onramp.store import open_store
from rasa_onramp.tracker.checkpoint import save_tracker
from tiny_tracker import corpus, tiny_tracker, tokenizer_json, write_domains

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracker")
    save_tracker(tiny_tracker(rank=2, steps=2), folder, tokenizer_json())
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two domains in YAML, four dialogues each."""
    return write_domains(tmp_path_factory.mktemp("data"), corpus(services=2, dialogues=4))


@pytest.fixture
def store(data: Path) -> None:
    assert invoke("init").code == 0
    assert invoke("import", data).code == 0


def test_a_folder_of_yaml_files_is_imported_once(store: None, data: Path) -> None:
    with open_store() as opened:
        assert opened.dialogues.domains() == ("TableBooking_1", "TableBooking_2")
        before = opened.revision()
        again = invoke("import", data)
        assert again.code == 0
        assert "0 dialogues added, 0 replaced, 8 unchanged" in again.out
        assert opened.revision() == before


def test_domains_before_and_after_adapting(store: None, checkpoint: Path) -> None:
    assert "not adapted" in invoke("domains").out
    done = invoke("adapt", "TableBooking_1", "--no-replies", "--checkpoint", checkpoint)
    assert (done.code, done.err) == (0, "")  # no progress bar where nobody watches
    assert done.out.startswith("TableBooking_1: version 1 from 4 support dialogues")
    listed = invoke("domains").out.splitlines()
    assert ["version 1" in line for line in listed] == [True, False]
    assert (
        invoke("adapt", "--all", "--no-replies", "--steps", "1", "--checkpoint", checkpoint).code
        == 0
    )
    versions = invoke("versions", "list", "TableBooking_1").out.splitlines()[2:]
    assert [line.split("  ")[0] for line in versions] == ["1", "2 (active)"]


def test_what_is_up_to_date_is_not_adapted_again(store: None, checkpoint: Path) -> None:
    adapt = ("adapt", "--all", "--no-replies", "--checkpoint", checkpoint)
    assert "version 1 from 4" in invoke(*adapt).out
    again = invoke(*adapt, "--jobs", "2")
    assert again.out.splitlines() == [
        f"TableBooking_{n}: up to date, nothing changed since version 1 was made" for n in (1, 2)
    ]
    assert "TableBooking_1: version 2" in invoke(*adapt, "--force").out
    assert invoke("versions", "activate", "TableBooking_1", "none").code == 0
    (line, _) = invoke(*adapt).out.splitlines()
    assert line.endswith(
        "2 was made; it isn't active: rasa-onramp versions activate TableBooking_1 2"
    )
    (line, _) = invoke(*adapt, "--switch-anyway").out.splitlines()
    assert line.endswith("nothing changed since version 2 was made")
    with open_store() as opened:
        assert opened.adapters.in_use("TableBooking_1").version == 2


def test_a_domain_that_cannot_be_adapted_keeps_no_other_from_it(
    store: None, checkpoint: Path
) -> None:
    many = tuple(f"value {number}" for number in range(400))
    with open_store() as opened:
        schema = opened.dialogues.schema("TableBooking_1")
        first = replace(schema, slots=(*schema.slots, Slot("word", values=many)))
        opened.dialogues.import_corpus(Corpus({schema.name: first}, ()))
    for options in ((), ("--jobs", "2", "--force")):
        done = invoke("adapt", "--all", "--no-replies", "--checkpoint", checkpoint, *options)
        assert done.code == 2
        (line,) = done.err.splitlines()
        assert line.startswith("rasa-onramp: ") and "TableBooking_1" in line
        assert done.out.startswith("TableBooking_2: version ")


def test_names_and_all_of_them_are_not_asked_for_at_once(store: None, tmp_path: Path) -> None:
    for command in (("adapt",), ("export", "--out", tmp_path / "out")):
        done = invoke(*command, "TableBooking_1", "--all")
        assert done.code == 2 and "name domains or give --all, not both" in done.err


def test_a_pinned_version_stays_and_that_is_said(store: None, checkpoint: Path) -> None:
    adapt = ("adapt", "TableBooking_1", "--no-replies", "--checkpoint", checkpoint)
    assert invoke(*adapt).code == 0
    assert invoke("versions", "pin", "TableBooking_1", "1").code == 0
    done = invoke(*adapt, "--force", "--switch-anyway")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1] == (
        "TableBooking_1: not switched to version 2, as the active version is pinned; "
        "switch by rasa-onramp versions activate TableBooking_1 2"
    )


def test_a_progress_bar_on_demand(store: None, checkpoint: Path) -> None:
    done = invoke(
        "adapt",
        "TableBooking_1",
        "--no-replies",
        "--progress",
        "--steps",
        "2",
        "--checkpoint",
        checkpoint,
    )
    assert "2/2" in done.err
    assert "loss=" in done.err


def test_evaluate_writes_what_it_prints(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    out, curve = tmp_path / "out.json", tmp_path / "curve.png"
    done = invoke(
        *("evaluate", "--data", data, "--shots", "2,0", "--seeds", "2", "--limit", "1"),
        *("--checkpoint", checkpoint, "--json", out, "--plot", curve),
    )
    assert (done.code, done.err) == (0, "")

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    found = json.loads(out.read_text(encoding="utf-8"), parse_constant=refuse)
    assert found["settings"]["services"] == ["TableBooking_1", "TableBooking_2"]
    assert [(row["method"], row["shots"]) for row in found["summary"]] == [
        *(("adapted", 0), ("finetune", 0), ("zero-shot", 0)),
        *(("adapted", 2), ("finetune", 2), ("zero-shot", 2)),
    ]
    assert len(found["runs"]) == 2 * 2 * 2 * 3  # services, seeds, sizes, methods
    for split in found["splits"]:
        runs = [r for r in found["runs"] if all(r[k] == split[k] for k in ("service", "seed"))]
        assert len(runs) == 2 * 3 and len(split["support"]) == 2
        assert {len(run["dialogues"]) for run in runs} == {len(split["held_out"])} == {1}
        assert not set(split["support"]) & set(split["held_out"])
    for row in found["summary"]:
        assert f"{row['jga']:.3f} ± {row['jga_sd']:.3f}" in done.out
    assert curve.read_bytes().startswith(PNG)
    for row in found["intervals"]:
        assert "[{1:.3f}, {2:.3f}]".format(*row["jga"]) in done.out
    assert [(row["minus"], row["shots"]) for row in found["differences"]] == [
        ("zero-shot", 2),
        ("finetune", 2),
    ]
    for row in found["differences"]:
        value = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*row["jga"])
        assert f"adapted - {row['minus']}, 2" in done.out
        assert row["p"] is None  # of so few support sets
        assert f"{value}  -" in done.out


def test_the_multi_task_stage_with_fine_tuning_is_a_baseline(data: Path, tmp_path: Path) -> None:
    """What `meta-train --stage multitask` writes has no updates and no rates."""
    save_tracker(tiny_tracker(), tmp_path, tokenizer_json())
    command = ("evaluate", "--data", data, "--shots", "2", "--seeds", "1", "--limit", "1")
    done = invoke(*command, "--checkpoint", tmp_path, "--method", "zero-shot,finetune")
    assert (done.code, done.err) == (0, "")
    assert "finetune, 2 dialogues" in done.out
    refused = invoke(*command, "--checkpoint", tmp_path, "--method", "adapted")
    assert refused.code != 0 and "never meta-trained" in refused.err


def test_evaluate_on_the_split_that_the_data_names(
    data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    found = read(data / "TableBooking_1.yml")
    splits = ("support", "held-out", "support", "support")
    dialogues = [replace(d, split=split) for d, split in zip(found.dialogues, splits)]
    write_yaml(tmp_path / "own.yml", found.schemas["TableBooking_1"], dialogues)
    command = (
        "evaluate",
        "--data",
        tmp_path / "own.yml",
        "--own-split",
        "--checkpoint",
        checkpoint,
    )
    out = tmp_path / "out.json"
    done = invoke(*command, "--shots", "3", "--seeds", "2", "--method", "adapted", "--json", out)
    assert (done.code, done.err) == (0, "")
    runs = json.loads(out.read_text(encoding="utf-8"))["runs"]
    assert [run["turns"] for run in runs] == [3, 3]  # those of one dialogue
    assert invoke(*command, "--shots", "4").code == 2


def test_predictions_are_an_sgd_folder(checkpoint: Path, tmp_path: Path) -> None:
    given, out = corpus(services=2, dialogues=4), tmp_path / "predictions"
    write_sgd(tmp_path / "sgd", given.schemas, given.dialogues)
    done = invoke(
        *("evaluate", "--data", tmp_path / "sgd", "--services", ",".join(given.schemas)),
        *("--shots", "1", "--seeds", "1", "--limit", "2", "--method", "zero-shot"),
        *("--checkpoint", checkpoint, "--predictions", out),
    )
    assert (done.code, done.err) == (0, "")
    written = read(out / "zero-shot-1shot-seed0", format="sgd")
    assert sorted({dialogue.domain for dialogue in written.dialogues}) == sorted(given.schemas)
    assert len(written.dialogues) == 4


def test_a_curve_needs_figures_and_a_place(tmp_path: Path) -> None:
    rows = [{"method": "adapted", "shots": 0, "jga": [0.5, 0.4, 0.7]}]
    with pytest.raises(ConfigError, match="evaluate something first"):
        few_shot_curve([], tmp_path / "curve.png")
    with pytest.raises(ConfigError, match="can't be written"):
        few_shot_curve(rows, tmp_path / "nowhere" / "curve.png")
    few_shot_curve(rows, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(PNG)

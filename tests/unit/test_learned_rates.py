"""Learned rates by kind of tensor: read, tabled, drawn, and the command that does it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from inner_rates import learned_rates_map, rates_by_kind, rates_table, read_rates
from rasa_onramp.errors import CheckpointError, ConfigError
from rasa_onramp.generator.checkpoint import SHIPPED_REPLIES
from rasa_onramp.metalearning.training import MetaConfig
from rasa_onramp.tracker.checkpoint import SHIPPED, save_tracker
from result_tables.rates import TABLES, kinds_of, told
from result_tables.table import Table
from tiny_tracker import tiny_tracker, tokenizer_json

PNG = b"\x89PNG"

#: As trackers and language models name them; layers in an order that isn't their names'.
RATES = {
    "encoder.layer.10.attention.self.query.lora_A.weight": torch.tensor([8e-3, 1e-3]),
    "encoder.layer.2.attention.self.query.lora_A.weight": torch.tensor([2e-3, 1e-3]),
    "encoder.layer.2.attention.self.query.lora_B.weight": torch.tensor([3e-3, 3e-3]),
    "layers.0.mlp.up_proj.lora_B.weight": torch.tensor([5e-4, 5e-5]),
    "flag.weight": torch.tensor([1e-4, 2e-4]),
    "requested.bias": torch.tensor([9e-4, 6e-4]),
}


def test_rates_are_laid_out_by_kind_and_layer() -> None:
    query, other, up, rest = rates_by_kind(RATES)
    assert (query.kind, query.rows, query.layered) == ("attention.self.query A", ("2", "10"), True)
    torch.testing.assert_close(query.rates, torch.tensor([[2e-3, 1e-3], [8e-3, 1e-3]]))
    assert (other.kind, other.rows) == ("attention.self.query B", ("2",))
    assert (up.kind, up.rows) == ("mlp.up_proj B", ("0",))
    assert (rest.rows, rest.layered) == (("flag.weight", "requested.bias"), False)
    assert rest.rates.shape == (2, 2)


def test_the_table_says_how_rates_fall() -> None:
    lines = rates_table(rates_by_kind(RATES)).splitlines()[2:]
    assert [line.split() for line in lines] == [
        ["attention.self.query", "A", "2", "4.0e-03", "1.0e-03", "4.0", "1.0e-03", "8.0e-03"],
        ["attention.self.query", "B", "1", "3.0e-03", "3.0e-03", "1.0", "3.0e-03", "3.0e-03"],
        ["mlp.up_proj", "B", "1", "5.0e-04", "5.0e-05", "10.0", "5.0e-05", "5.0e-04"],
        ["flag.weight", "1", "1.0e-04", "2.0e-04", "0.5", "1.0e-04", "2.0e-04"],
        ["requested.bias", "1", "9.0e-04", "6.0e-04", "1.5", "6.0e-04", "9.0e-04"],
    ]


@pytest.mark.parametrize("folder", [SHIPPED, SHIPPED_REPLIES])
def test_what_ships_has_learned_rates(folder: Path) -> None:
    """Without the language model, in the case of replies."""
    kinds = rates_by_kind(read_rates(folder)[0])
    layers = [kind for kind in kinds if kind.layered]
    assert len(layers) >= 8
    assert {kind.rows for kind in layers} == {layers[0].rows}
    assert all((kind.rates > 0).all() for kind in kinds)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_results_are_the_shipped_rates(table: Table) -> None:
    """After a new checkpoint: run the two commands in docs/adaptation.md."""
    results = table.results()
    shipped = {"rates-tracker": SHIPPED, "rates-replies": SHIPPED_REPLIES}[table.name]
    for shown, kind in zip(kinds_of(results), rates_by_kind(read_rates(shipped)[0])):
        assert (shown.kind, shown.rows, shown.layered) == (kind.kind, kind.rows, kind.layered)
        torch.testing.assert_close(shown.rates, kind.rates, rtol=5e-4, atol=0)
    assert len(kinds_of(results)) == len(rates_by_kind(read_rates(shipped)[0]))


def mean(rates: torch.Tensor) -> float:
    return float(rates.log().mean().exp())


def test_what_the_docs_say_of_the_trackers_rates() -> None:
    """docs/adaptation.md, "What they say", point by point."""
    kinds = {kind.kind: kind for kind in rates_by_kind(read_rates(SHIPPED)[0])}
    heads = kinds.pop("other tensors")
    rest = dict(zip(heads.rows, heads.rates))
    updates = torch.cat([kind.rates.flatten() for kind in kinds.values()])
    pointers = torch.cat([v for k, v in rest.items() if k.endswith(("key.weight", "query.weight"))])
    assert mean(updates) / mean(pointers) > 3 > MetaConfig().lora_rate / MetaConfig().heads_rate
    falls = {name: mean(k.rates[:, 0]) / mean(k.rates[:, -1]) for name, k in kinds.items()}
    assert min(f for name, f in falls.items() if name.endswith("A")) > 2.9
    assert max(f for name, f in falls.items() if name.endswith("B")) < 2.5
    below = [name for name, k in kinds.items() if mean(k.rates[0]) < mean(k.rates[1:])]
    assert below == ["attention.self.value A"]
    mention = rest.pop("mention.weight")
    assert mean(mention) > 2 * max(*map(mean, rest.values()), mean(updates))
    assert sorted(mention.argsort(descending=True)[:2].tolist()) == [1, 2]


def test_what_the_docs_say_of_the_replies_rates() -> None:
    kinds = rates_by_kind(read_rates(SHIPPED_REPLIES)[0])
    falls = [mean(kind.rates[:, 0]) / mean(kind.rates[:, -1]) for kind in kinds]
    assert min(falls) > 4.6 and max(falls) < 5.2
    first = [mean(kind.rates) for kind in kinds]
    assert max(first) / min(first) < 1.12


def test_sentences_by_hand() -> None:
    kinds = [
        {"kind": "up A", "rows": ["0"], "layered": True, "rates": [[4e-3, 1e-3]]},
        {"kind": "up B", "rows": ["0"], "layered": True, "rates": [[2e-3, 2e-3]]},
    ]
    assert told([{"kinds": kinds}]) == (
        "From the first step to the last, rates of factor A fall 4.0 to 4.0 times and those of\n"
        "factor B 1.0 to 1.0 times, by kind. The updates' mean rate is 2.0e-03."
    )
    others = {"kind": "other tensors", "rows": ["a", "b"], "layered": False}
    rest = {**others, "rates": [[4e-3, 1e-3], [1e-5, 1e-5]]}
    assert told([{"kinds": [*kinds, rest]}]).endswith(
        "the least is `b`'s, 1.0e-05, and the largest `a`'s, 2.0e-03."
    )


def test_a_checkpoint_without_rates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"neither tracker\.json nor replies\.json"):
        read_rates(tmp_path)
    save_tracker(tiny_tracker(rank=2), tmp_path, tokenizer_json())
    with pytest.raises(CheckpointError, match="never meta-trained; take the meta stage on it"):
        read_rates(tmp_path)
    tracker = tiny_tracker(rank=2, steps=3)
    save_tracker(tracker, tmp_path, tokenizer_json())
    assert set(read_rates(tmp_path)[0]) == set(tracker.rates)


def test_the_map_has_a_colour_a_layer_and_step(tmp_path: Path) -> None:
    learned_rates_map(rates_by_kind(RATES), tmp_path / "rates.png", "some")
    first = (tmp_path / "rates.png").read_bytes()
    assert first.startswith(PNG)
    changed = {**RATES, "flag.weight": torch.tensor([1e-4, 7e-4])}
    learned_rates_map(rates_by_kind(changed), tmp_path / "rates.png", "some")
    assert (tmp_path / "rates.png").read_bytes() != first
    one = rates_by_kind({"flag.weight": torch.tensor([1e-4])})  # rates that are all the same
    learned_rates_map(one, tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(PNG)
    with pytest.raises(ConfigError, match="can't be written"):
        learned_rates_map(one, tmp_path / "nowhere" / "rates.png")


def test_the_command(repository: Path, tmp_path: Path) -> None:
    def run(*given: object) -> subprocess.CompletedProcess:
        command = [sys.executable, repository / "bench" / "learned_rates.py", *given]
        where = {"PYTHONPATH": str(repository / "plugin"), "PATH": ""}
        return subprocess.run(
            [str(part) for part in command], env=where, capture_output=True, text=True
        )

    tracker = tiny_tracker(rank=2, steps=3)
    save_tracker(tracker, tmp_path / "tiny", tokenizer_json())
    done = run(tmp_path / "tiny", "--plot", tmp_path / "rates.png", "--json", tmp_path / "r.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == rates_table(rates_by_kind(tracker.rates))
    assert (tmp_path / "rates.png").read_bytes().startswith(PNG)
    (kind, *_) = kinds_of([json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))])
    assert kind.rows == rates_by_kind(tracker.rates)[0].rows
    failed = run(tmp_path)
    assert failed.returncode == 1 and "neither tracker.json" in failed.stderr
    assert "Traceback" not in failed.stderr

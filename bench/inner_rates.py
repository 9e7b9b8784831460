"""The inner learning rates that meta-training learned, as rows of a table and as a map."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Dict, List, Mapping, Sequence, Tuple, Union

import torch
from torch import Tensor

from rasa_onramp.checkpoint_files import read_checkpoint
from rasa_onramp.errors import CheckpointError
from rasa_onramp.evaluation.plots import new_figure, write_plot
from rasa_onramp.evaluation.tables import table

__all__ = [
    "RATES_HEADER",
    "RatesOfKind",
    "learned_rates_map",
    "rates_by_kind",
    "rates_rows",
    "rates_table",
    "read_rates",
]

#: A low-rank update: its layer's number, what it updates there, and which of its two factors it is.
_UPDATE = re.compile(r"layers?\.(\d+)\.(.+)\.lora_([AB])\.weight$")

#: Of the columns of `rates_rows`.
RATES_HEADER = ("rates of", "tensors", "first step", "last step", "first/last", "least", "largest")

#: Files of the checkpoints that have rates.
_CHECKPOINTS = ("tracker", "replies")

#: Maps side by side.
_COLUMNS = 4


@dataclass(frozen=True)
class RatesOfKind:
    """The rates of tensors of one kind, (rows, steps).

    `layered`: rows are the layers of a transformer; else tensors, by name.
    """

    kind: str
    rows: Tuple[str, ...]
    rates: Tensor
    layered: bool


def read_rates(folder: Union[str, Path]) -> Tuple[Dict[str, Tensor], str]:
    """The rates of a tracker's or a reply model's checkpoint, (steps,) a tensor, and its digest.

    The language model of the latter isn't needed. Raises CheckpointError.
    """
    folder = Path(folder)
    mend = "give a folder that meta-train or meta-train-replies wrote"
    for name in _CHECKPOINTS:
        if (folder / f"{name}.json").is_file():
            config, parts = read_checkpoint(folder, name, {}, mend)
            if not parts.get("rates"):
                raise CheckpointError(
                    f"{folder} has no rates, since it was never meta-trained; "
                    "take the meta stage on it"
                )
            return parts["rates"], config["sha256"]
    raise CheckpointError(f"{folder} has neither tracker.json nor replies.json; {mend}")


def rates_by_kind(rates: Mapping[str, Tensor]) -> List[RatesOfKind]:
    """Updates by what they update, their layers in order; then all other tensors."""
    layers: Dict[str, Dict[int, Tensor]] = {}
    others: Dict[str, Tensor] = {}
    for name, value in sorted(rates.items()):
        found = _UPDATE.search(name)
        if found is None:
            others[name] = value
        else:
            layers.setdefault(f"{found[2]} {found[3]}", {})[int(found[1])] = value
    kinds = [
        RatesOfKind(
            kind,
            tuple(str(number) for number in sorted(by_number)),
            torch.stack([by_number[number] for number in sorted(by_number)]),
            True,
        )
        for kind, by_number in layers.items()
    ]
    if others:
        stacked = torch.stack(list(others.values()))
        kinds.append(RatesOfKind("other tensors", tuple(others), stacked, False))
    return kinds


def rates_rows(kinds: Sequence[RatesOfKind]) -> List[List[str]]:
    """A row a kind: its rates' geometric mean over the layers at the first step and the last, how
    many times the one is the other, and the least and the largest of any layer and step.

    Tensors that are in no layer have a row each.
    """
    rows = []
    for kind in kinds:
        if kind.layered:
            rows.append(_row(kind.kind, kind.rates))
        else:
            rows += [_row(name, kind.rates[n : n + 1]) for n, name in enumerate(kind.rows)]
    return rows


def rates_table(kinds: Sequence[RatesOfKind]) -> str:
    """The rows for a terminal."""
    return table(RATES_HEADER, rates_rows(kinds))


def learned_rates_map(
    kinds: Sequence[RatesOfKind], file: Union[str, Path, BinaryIO], title: str = ""
) -> None:
    """Draw learned inner rates (of `rates_by_kind`): a map a kind of tensor.

    A map's rows are layers, or tensors, its columns inner steps; all maps share one logarithmic
    scale of colours. Raises ConfigError if matplotlib is missing or `file` can't be written.
    """
    rows = -(-len(kinds) // _COLUMNS)
    figure = new_figure((3.6 * _COLUMNS, 0.6 + 2.6 * rows))
    from matplotlib.colors import LogNorm

    least = min(float(kind.rates.min()) for kind in kinds)
    # of rates that are all the same, a colour would have no meaning
    largest = max(1.01 * least, *(float(kind.rates.max()) for kind in kinds))
    colours = LogNorm(least, largest)
    maps = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for axes, kind in zip(maps, kinds):
        drawn = axes.imshow(kind.rates.tolist(), norm=colours, cmap="viridis", aspect="auto")
        axes.set_title(kind.kind, fontsize="medium")
        _, steps = kind.rates.shape
        axes.set_xticks(range(steps), [str(step) for step in range(1, steps + 1)], fontsize=6)
        shown = range(0, len(kind.rows), -(-len(kind.rows) // 16))
        axes.set_yticks(shown, [kind.rows[n] for n in shown], fontsize=6)
        axes.set_xlabel("inner step", fontsize="small")
        axes.set_ylabel("layer" if kind.layered else "", fontsize="small")
    for axes in maps[len(kinds) :]:
        axes.set_axis_off()
    figure.suptitle(title)
    figure.colorbar(drawn, ax=list(maps), label="learned rate", fraction=0.03)
    shown_rates = [[kind.kind, kind.rows, kind.rates.tolist()] for kind in kinds]
    write_plot(figure, file, [title, shown_rates])


def _row(name: str, rates: Tensor) -> List[str]:
    mean = rates.log().mean(0).exp()
    first, last = float(mean[0]), float(mean[-1])
    numbers = [first, last, float(rates.min()), float(rates.max())]
    first_text, last_text, least, largest = (f"{number:.1e}" for number in numbers)
    return [name, str(len(rates)), first_text, last_text, f"{first / last:.1f}", least, largest]

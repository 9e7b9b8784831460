"""Learned inner learning rates: what bench/learned_rates.py wrote of the checkpoints that ship."""

from __future__ import annotations

from functools import partial
from typing import BinaryIO, List, Sequence, Tuple

import torch

from rasa_onramp.evaluation.learned_rates import RATES_HEADER, RatesOfKind, rates_rows
from rasa_onramp.evaluation.plots import learned_rates_map
from result_tables.table import Grid, Results, Table

__all__ = ["TABLES", "kinds_of"]


def kinds_of(results: Sequence[Results]) -> List[RatesOfKind]:
    """The rates that a file holds."""
    (found,) = results
    return [
        RatesOfKind(each["kind"], tuple(each["rows"]), torch.tensor(each["rates"]), each["layered"])
        for each in found["kinds"]
    ]


def rates(results: Sequence[Results]) -> Grid:
    """A row a kind of tensor."""
    return Grid(tuple(RATES_HEADER), tuple(map(tuple, rates_rows(kinds_of(results)))))


def drawn(results: Sequence[Results], file: BinaryIO, *, title: str) -> None:
    """A map a kind of tensor."""
    learned_rates_map(kinds_of(results), file, title)


def _table(name: str, what: str) -> Table:
    title = f"Learned rates of {what}"
    return Table(
        f"rates-{name}",
        title,
        "Means over layers; rows of the plot are layers (or tensors, of those in no layer), "
        "columns inner steps.",
        (f"learned_rates_{name}.json",),
        f"python bench/learned_rates.py {name} --json bench/results/learned_rates_{name}.json",
        rates,
        partial(drawn, title=title),
        page="docs/adaptation.md",
    )


TABLES: Tuple[Table, ...] = (
    _table("tracker", "the tracker that ships"),
    _table("replies", "the replies' updates that ship"),
)

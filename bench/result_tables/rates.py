"""Learned inner learning rates: what bench/learned_rates.py wrote of the checkpoints that ship."""

from __future__ import annotations

from functools import partial
from typing import BinaryIO, Iterable, List, Sequence, Tuple

import torch

from inner_rates import RATES_HEADER, RatesOfKind, learned_rates_map, rates_rows
from result_tables.table import Grid, Part, Results, Table

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


def told(results: Sequence[Results]) -> str:
    """The same in sentences: how the two factors' rates fall, and how far tensors move."""
    kinds = kinds_of(results)
    updates = [kind for kind in kinds if kind.layered]
    first, second = (_falls(kind for kind in updates if kind.kind[-1] == factor) for factor in "AB")
    text = (
        f"From the first step to the last, rates of factor A fall {first} times and those of\n"
        f"factor B {second} times, by kind. The updates' mean rate is "
        f"{_mean(torch.cat([kind.rates.flatten() for kind in updates])):.1e}"
    )
    others = {
        name: _mean(row)
        for kind in kinds
        if not kind.layered
        for name, row in zip(kind.rows, kind.rates)
    }
    if not others:
        return text + "."
    least, largest = min(others, key=others.__getitem__), max(others, key=others.__getitem__)
    return (
        f"{text};\nof the other tensors, the least is `{least}`'s, {others[least]:.1e}, and the "
        f"largest `{largest}`'s, {others[largest]:.1e}."
    )


def drawn(results: Sequence[Results], file: BinaryIO, *, title: str) -> None:
    """A map a kind of tensor."""
    learned_rates_map(kinds_of(results), file, title)


def _falls(kinds: Iterable[RatesOfKind]) -> str:
    falls = [_mean(kind.rates[:, 0]) / _mean(kind.rates[:, -1]) for kind in kinds]
    return f"{min(falls):.1f} to {max(falls):.1f}"


def _mean(rates: torch.Tensor) -> float:
    """Geometric, as rates are learned by their logarithms."""
    return float(rates.log().mean().exp())


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
        parts=(Part(f"rates-{name}-told", "In sentences", told),),
        page="docs/adaptation.md",
    )


TABLES: Tuple[Table, ...] = (
    _table("tracker", "the tracker that ships"),
    _table("replies", "the replies' updates that ship"),
)

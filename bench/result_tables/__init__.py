"""Every table of figures that README.md, docs/ and the results page show.

To add one: write a function from what your command wrote into bench/results to a Grid, put a Table
with it into the TABLES of a module here (or make it the module's TABLE), and name it below.
Files that aren't there (yet) are no error: docs/results.md then lists the table as not measured.
"""

from __future__ import annotations

from typing import Tuple

from result_tables import (
    ablations,
    algorithms,
    cost,
    joint,
    peers,
    rates,
    replies,
    robustness,
    routing,
    scaling,
    speed,
    tracker,
    trained_ablations,
)
from result_tables.table import RESULTS, Content, Grid, Part, Table, markdown

__all__ = ["RESULTS", "TABLES", "Content", "Grid", "Part", "Table", "markdown"]

#: In the order that they are shown in.
TABLES: Tuple[Table, ...] = (
    *tracker.TABLES,
    *algorithms.TABLES,
    joint.TABLE,
    *peers.TABLES,
    *replies.TABLES,
    *speed.TABLES,
    cost.TABLE,
    *robustness.TABLES,
    ablations.TABLE,
    trained_ablations.TABLE,
    *routing.TABLES,
    *scaling.TABLES,
    *rates.TABLES,
)

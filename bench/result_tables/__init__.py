"""Every table of figures that README.md, docs/results.md and the results page show.

To add one: write a function from what your command wrote into bench/results to a Grid, put a Table
with it into the TABLES of a module here, and name the module below. Files that aren't there (yet)
are no error: their tables are left out.
"""

from __future__ import annotations

from typing import Tuple

from result_tables import peers, replies, speed, tracker
from result_tables.table import RESULTS, Grid, Table, markdown

__all__ = ["RESULTS", "TABLES", "Grid", "Table", "markdown"]

#: In the order that they are shown in.
TABLES: Tuple[Table, ...] = (
    *tracker.TABLES,
    *peers.TABLES,
    *replies.TABLES,
    *speed.TABLES,
)

"""The inner learning rates that a checkpoint's meta-training learned, by kind of tensor.

    python bench/learned_rates.py [CHECKPOINT] [--plot OUT.png] [--json OUT.json]

CHECKPOINT is a folder that meta-train or meta-train-replies wrote, or `tracker` (the default) or
`replies` for the one that ships. The plot shows every layer and step. How to read both stands in
docs/adaptation.md, whose tables and plots figures.py makes of the shipped ones' JSON files.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, Dict, Sequence

from inner_rates import RatesOfKind, learned_rates_map, rates_by_kind, rates_table, read_rates
from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.errors import OnrampError
from rasa_onramp.generator.checkpoint import SHIPPED_REPLIES
from rasa_onramp.tracker.checkpoint import SHIPPED

SHIPPED_ONES = {"tracker": SHIPPED, "replies": SHIPPED_REPLIES}


def main() -> None:
    """Print the table; draw the plot and write the rates where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", default="tracker")
    parser.add_argument("--plot", default=None, metavar="OUT.png")
    parser.add_argument("--json", default=None, metavar="OUT.json")
    options = parser.parse_args()
    folder = SHIPPED_ONES.get(options.checkpoint, options.checkpoint)
    try:
        rates, digest = read_rates(folder)
        kinds = rates_by_kind(rates)
        print(rates_table(kinds))
        if options.plot is not None:
            learned_rates_map(kinds, options.plot, f"learned inner rates: {options.checkpoint}")
        if options.json is not None:
            write_figures(options.json, figures(kinds, digest))
    except OnrampError as error:
        sys.exit(str(error))


def figures(kinds: Sequence[RatesOfKind], digest: str) -> Dict[str, Any]:
    """All rates, to four digits, and the checkpoint's digest."""
    return {
        "settings": {"checkpoint": digest},
        "kinds": [
            {
                "kind": kind.kind,
                "layered": kind.layered,
                "rows": kind.rows,
                "rates": [[float(f"{rate:.3e}") for rate in row] for row in kind.rates.tolist()],
            }
            for kind in kinds
        ],
    }


if __name__ == "__main__":
    main()

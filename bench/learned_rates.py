"""The inner learning rates that a checkpoint's meta-training learned, by kind of tensor.

    python bench/learned_rates.py [CHECKPOINT] [--plot OUT.png]

CHECKPOINT is a folder that meta-train or meta-train-replies wrote, or `tracker` (the default) or
`replies` for the one that ships. The plot shows every layer and step. How to read both stands in
docs/adaptation.md.
"""

from __future__ import annotations

import argparse
import sys

from rasa_onramp.errors import OnrampError
from rasa_onramp.evaluation.learned_rates import rates_by_kind, rates_table, read_rates
from rasa_onramp.evaluation.plots import learned_rates_map
from rasa_onramp.generator.checkpoint import SHIPPED_REPLIES
from rasa_onramp.tracker.checkpoint import SHIPPED

SHIPPED_ONES = {"tracker": SHIPPED, "replies": SHIPPED_REPLIES}


def main() -> None:
    """Print the table, and draw the plot where one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", default="tracker")
    parser.add_argument("--plot", default=None, metavar="OUT.png")
    options = parser.parse_args()
    try:
        kinds = rates_by_kind(read_rates(SHIPPED_ONES.get(options.checkpoint, options.checkpoint)))
        print(rates_table(kinds))
        if options.plot is not None:
            learned_rates_map(kinds, options.plot, f"learned inner rates: {options.checkpoint}")
    except OnrampError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

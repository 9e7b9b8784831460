"""--predictions: predicted states as SGD dialogue files, for SGD's published scorer."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set, Tuple

import click

from rasa_onramp.evaluation.few_shot import Result
from rasa_onramp.formats.sgd_write import write_sgd_predictions

__all__ = ["check_predictions", "write_predictions"]


def check_predictions(
    paths: Sequence[str], folder: Optional[str], format: Optional[str] = None
) -> None:
    """Complain before long work, not after it. `format` is what the data is said to be in."""
    if folder is None:
        return
    if (
        format not in (None, "sgd")
        or len(paths) != 1
        or not glob.glob(os.path.join(glob.escape(paths[0]), "schema.json*"))
    ):
        raise click.BadParameter(
            "predictions go into copies of SGD files, so --data must be one SGD folder",
            param_hint="--predictions",
        )
    if os.path.exists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise click.BadParameter(
            f"{folder} is not an empty folder; name a new one", param_hint="--predictions"
        )


def write_predictions(data: str, folder: str, results: List[Result]) -> None:
    """One folder of SGD files a (method, shots, seed). Says how many dialogues can't be in them."""
    runs: Dict[Tuple[str, int, int], Dict] = {}
    for result in results:
        run = runs.setdefault((result.method, result.shots, result.seed), {})
        for dialogue, states in result.predictions.items():
            run[(dialogue, result.service)] = states
    left_out: Set[str] = set()
    for (method, shots, seed), predicted in runs.items():
        run_folder = Path(folder) / f"{method}-{shots}shot-seed{seed}"
        left_out.update(write_sgd_predictions(data, run_folder, predicted).left_out)
    if left_out:
        click.echo(
            f"{len(left_out)} dialogues over other services too aren't in {folder} where those "
            "weren't predicted",
            err=True,
        )

"""Plots as PNG, such as the few-shot curve; needs matplotlib.

A plot carries a digest of the figures that it shows (`plotted`), so that one that is out of date
can be told, whichever matplotlib drew it.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, BinaryIO, Mapping, Sequence, Tuple, Union

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.methods import METHOD_NAMES

__all__ = ["check_plots", "few_shot_curve", "new_figure", "plotted", "write_plot"]

# colours that stay apart for colour-blind readers (Okabe and Ito), and marks that do in grey
_STYLES = {
    "adapted": {"color": "#0072B2", "marker": "o"},
    "finetune": {"color": "#D55E00", "marker": "s"},
    "finetune-steps": {"color": "#E69F00", "marker": "v"},
    "finetune-time": {"color": "#CC79A7", "marker": "D"},
    "zero-shot": {"color": "#555555", "marker": "^", "linestyle": "--"},
}

#: The text in the PNG that has the digest.
_DIGEST = "Comment"


def check_plots() -> None:
    """Raises ConfigError if matplotlib is missing: to be known before long work, not after it."""
    new_figure((1, 1))


def few_shot_curve(
    intervals: Sequence[Mapping[str, Any]],
    file: Union[str, Path, BinaryIO],
    title: str = "",
) -> None:
    """Draw what intervals.estimates found ("intervals" of an evaluation's JSON).

    Points are means over turns, bands their 95% intervals.
    Raises ConfigError if matplotlib is missing, there is nothing to draw or `file` can't
    be written.
    """
    drawn = [row for row in intervals if not math.isnan(row["jga"][0])]
    if not drawn:
        raise ConfigError("an evaluation without results has no curve; evaluate something first")
    figure = new_figure((7, 4.5))
    axes = figure.add_subplot()
    for method in sorted({row["method"] for row in drawn}):
        rows = sorted((r for r in drawn if r["method"] == method), key=lambda r: r["shots"])
        shots = [row["shots"] for row in rows]
        jga, low, high = zip(*(row["jga"] for row in rows))
        style = _STYLES.get(method, {})
        (line,) = axes.plot(shots, jga, label=METHOD_NAMES.get(method, method), **style)
        axes.fill_between(shots, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set_xlabel("support dialogues")
    axes.set_ylabel("joint goal accuracy\n(mean over turns, 95% interval)")
    axes.set_xticks(sorted({row["shots"] for row in drawn}))
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize="small")
    if title:
        axes.set_title(title)
    shown = [[r["method"], r["shots"], *(round(v, 4) for v in r["jga"])] for r in drawn]
    write_plot(figure, file, [title, shown])


def new_figure(size: Tuple[float, float]) -> Any:
    """A figure of this size in inches. Raises ConfigError if matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError(
            "plots need matplotlib; pip install 'rasa-onramp[plots]' or leave the plot out"
        ) from None
    # not through pyplot: no global state, no display
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plotted(file: Union[str, Path, BinaryIO]) -> str:
    """The digest of the figures that a plot of ours shows; empty of another PNG."""
    from PIL import Image  # matplotlib's own dependency

    with Image.open(file) as image:
        return str(image.info.get(_DIGEST, ""))


def write_plot(figure: Any, file: Union[str, Path, BinaryIO], figures: Any) -> None:
    """Write a plot as PNG, with the digest of the `figures` (JSON) that it shows.

    Raises ConfigError if `file` can't be written.
    """
    digest = hashlib.sha256(json.dumps(figures).encode()).hexdigest()
    try:
        # without the version in it, the same figures are the same file
        figure.savefig(file, format="png", metadata={"Software": None, _DIGEST: digest})
    except OSError as error:
        raise ConfigError(
            f"{file} can't be written ({error.strerror}); name a file in a folder you may write to"
        ) from None

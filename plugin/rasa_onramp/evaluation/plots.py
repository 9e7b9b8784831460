"""The few-shot curve: joint goal accuracy against the number of support dialogues, as a PNG."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO, Mapping, Sequence, Union

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.methods import METHOD_NAMES

__all__ = ["few_shot_curve"]

# colours that stay apart for colour-blind readers (Okabe and Ito), and marks that do in grey
_STYLES = {
    "adapted": {"color": "#0072B2", "marker": "o"},
    "finetune": {"color": "#D55E00", "marker": "s"},
    "finetune-steps": {"color": "#E69F00", "marker": "v"},
    "finetune-time": {"color": "#CC79A7", "marker": "D"},
    "zero-shot": {"color": "#555555", "marker": "^", "linestyle": "--"},
}


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
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError(
            "plots need matplotlib; pip install 'rasa-onramp[plots]' or leave the plot out"
        ) from None
    # not through pyplot: no global state, no display
    figure = Figure(figsize=(7, 4.5), dpi=150)
    FigureCanvasAgg(figure)
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
    figure.tight_layout()
    try:
        # without the version in it, the same figures are the same file
        figure.savefig(file, format="png", metadata={"Software": None})
    except OSError as error:
        raise ConfigError(
            f"{file} can't be written ({error.strerror}); name a file in a folder you may write to"
        ) from None

"""Plots: few-shot curves and learned rates, as PNG; needs matplotlib.

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
from rasa_onramp.evaluation.learned_rates import RatesOfKind
from rasa_onramp.evaluation.methods import METHOD_NAMES

__all__ = ["check_plots", "few_shot_curve", "learned_rates_map", "plotted"]

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

#: Maps side by side.
_COLUMNS = 4


def check_plots() -> None:
    """Raises ConfigError if matplotlib is missing: to be known before long work, not after it."""
    _figure((1, 1))


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
    figure = _figure((7, 4.5))
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
    _write(figure, file, [title, shown])


def learned_rates_map(
    kinds: Sequence[RatesOfKind], file: Union[str, Path, BinaryIO], title: str = ""
) -> None:
    """Draw learned inner rates (learned_rates.rates_by_kind): a map a kind of tensor.

    A map's rows are layers, or tensors, its columns inner steps; all maps share one logarithmic
    scale of colours. Raises ConfigError if matplotlib is missing or `file` can't be written.
    """
    rows = -(-len(kinds) // _COLUMNS)
    figure = _figure((3.6 * _COLUMNS, 0.6 + 2.6 * rows))
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
    _write(figure, file, [title, shown_rates])


def _figure(size: Tuple[float, float]) -> Any:
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


def _write(figure: Any, file: Union[str, Path, BinaryIO], figures: Any) -> None:
    digest = hashlib.sha256(json.dumps(figures).encode()).hexdigest()
    try:
        # without the version in it, the same figures are the same file
        figure.savefig(file, format="png", metadata={"Software": None, _DIGEST: digest})
    except OSError as error:
        raise ConfigError(
            f"{file} can't be written ({error.strerror}); name a file in a folder you may write to"
        ) from None

"""The few-shot curve: joint goal accuracy against the number of support dialogues, as a PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, Sequence, Union

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.tables import by_method

__all__ = ["few_shot_curve"]

_LABELS = {
    "adapted": "adapted (learned initialisation and rates)",
    "finetune": "plain fine-tuning of the same checkpoint",
    "zero-shot": "zero-shot (schema only)",
}
# colours that stay apart for colour-blind readers (Okabe and Ito), and marks that do in grey
_STYLES = {
    "adapted": {"color": "#0072B2", "marker": "o"},
    "finetune": {"color": "#D55E00", "marker": "s"},
    "zero-shot": {"color": "#555555", "marker": "^", "linestyle": "--"},
}


def few_shot_curve(
    summary: Sequence[Mapping[str, object]], path: Union[str, Path], title: str = ""
) -> None:
    """Draw the `summary` of an evaluation (few_shot.summarise, or "summary" of its JSON).

    Points are means over turns, bars the standard deviation over support sets (seeds).
    Raises ConfigError if matplotlib is missing, the summary is empty or `path` can't be written.
    """
    if not summary:
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
    shots = sorted({int(str(row["shots"])) for row in summary})
    for method, rows in sorted(by_method(summary).items()):
        axes.errorbar(
            [int(str(row["shots"])) for row in rows],
            [float(str(row["jga"])) for row in rows],
            yerr=[float(str(row["jga_sd"])) for row in rows],
            capsize=3,
            label=_LABELS.get(method, method),
            **_STYLES.get(method, {}),
        )
    seeds = max(int(str(row["seeds"])) for row in summary)
    axes.set_xlabel("support dialogues")
    sets = (
        "one support set" if seeds == 1 else f"mean and standard deviation of {seeds} support sets"
    )
    axes.set_ylabel(f"joint goal accuracy\n({sets})")
    axes.set_xticks(shots)
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize="small")
    if title:
        axes.set_title(title)
    figure.tight_layout()
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise ConfigError(
            f"{path} can't be written ({error.strerror}); name a file in a folder you may write to"
        ) from None

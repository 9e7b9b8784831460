"""Plain fine-tuning at the rate that suits it best, on the splits of the few-shot curve."""

from __future__ import annotations

from typing import List, Optional, Sequence, Set, Tuple

from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.bootstrap import compare_means, mean_estimate
from rasa_onramp.evaluation.intervals import MAIN, jga_units
from result_tables.paired import NOTE, dialogues, interval, minus
from result_tables.table import Grid, Part, Results, Table
from result_tables.tracker import TABLES as TRACKER

__all__ = ["TABLE"]

_TUNED = "finetune"
#: Support dialogues that the sentence is of.
_FIVE = 5


def tuned(results: Sequence[Results], curve: Optional[Results] = None) -> Grid:
    """A row a method, a column a support size, then what adapting has over fine-tuning so.

    `curve` is the few-shot curve's file (None: what is in bench/results). Raises ConfigError where
    the two are of other splits.
    """
    (found,) = results
    curve = curve or _curve()
    own = _names(found)
    known = {(one["service"], one["seed"]): one for one in curve["splits"]}
    for split in found["splits"]:
        if known.get((split["service"], split["seed"])) != split:
            raise ConfigError(
                f"{split['service']}, seed {split['seed']}, isn't split as in the few-shot curve; "
                "measure both on the same data with the same --shots and --limit"
            )
    runs = _shared(found, curve)
    sizes = sorted({run["shots"] for run in found["runs"]} - {0})
    rates = [one["settings"]["finetune"]["rate"] for one in (curve, found)]
    named = {
        MAIN: (runs, MAIN),
        f"plain fine-tuning at {rates[0]:g}": (runs, _TUNED),
        f"plain fine-tuning at {rates[1]:g}": (found["runs"], _TUNED),
    }
    units = {
        name: [jga_units(of, found["splits"], method, size) for size in sizes]
        for name, (of, method) in named.items()
    }
    rows = [(name, *map(interval, each)) for name, each in units.items()]
    ours, best = units[MAIN], list(units)[-1]
    rows.append((f"{MAIN} minus {best}", *(minus(*pair) for pair in zip(ours, units[best]))))
    sets = f"{len({seed for _, seed in own})} support sets a service"
    return Grid((f"JGA, {sets}", *map(dialogues, sizes)), tuple(rows), NOTE)


def in_short(results: Sequence[Results], curve: Optional[Results] = None) -> str:
    """What five dialogues bring by fine-tuning so, and by adapting, in a sentence."""
    (found,) = results
    tuned_so, ours = (
        jga_units(of, found["splits"], method, _FIVE)
        for of, method in ((found["runs"], _TUNED), (_shared(found, curve or _curve()), MAIN))
    )
    gain = compare_means(ours, tuned_so)
    best, adapted = (mean_estimate(units).value for units in (tuned_so, ours))
    return (
        f"Plain fine-tuning at the rate that suits it best has {best:.3f} where adapting has "
        f"{adapted:.3f}:\na difference of {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]."
    )


def _curve() -> Results:
    (curve,) = TRACKER[0].results()
    return curve


def _shared(found: Results, curve: Results) -> List[Results]:
    """The curve's runs on the splits of `found`."""
    own = _names(found)
    return [run for run in curve["runs"] if (run["service"], run["seed"]) in own]


def _names(found: Results) -> Set[Tuple[str, int]]:
    return {(split["service"], split["seed"]) for split in found["splits"]}


TABLE = Table(
    "few-shot-tuned",
    "Plain fine-tuning at a lower rate",
    "On the splits of the few-shot curve: fine-tuning at the rate whose JGA is highest on the "
    "hand-written domains of training_data/dev (docs/ablations.md), which no figure here is of.",
    ("few_shot_tuned_sgd_dev.json",),
    """\
rasa-onramp evaluate --data $SGD/dev --services unseen --shots 1,2,5,10 --seeds 5 --limit 6 \\
  --method finetune --finetune-rate 3e-5 --jobs 2 --threads 1 \\
  --json bench/results/few_shot_tuned_sgd_dev.json --resume""",
    tuned,
    parts=(Part("few-shot-tuned-short", "In a sentence", in_short, quoted=True),),
)

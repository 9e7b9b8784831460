"""What each setting of adapting and tracking brings: what bench/ablations.py wrote."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ablation_settings import ABLATIONS
from ablation_summary import FIGURES
from rasa_onramp.errors import ConfigError
from result_tables.paired import dialogues
from result_tables.table import Grid, Part, Results, Table, difference

__all__ = ["TABLE", "ablation", "defaults"]

Line = Mapping[str, Any]

#: Support dialogues, unless a column says other.
_USUAL = 5

#: Corpora by the name that a column has.
_CORPORA = {"training_data/dev": "hand-written dev domains", "sgd/dev": "SGD dev"}

#: What is measured on five dialogues of SGD dev, too: all but fine-tuning, which other figures on
#: it judge, and rounds, which more dialogues tell more of.
_ON_REPORTED = ",".join(name for name in ABLATIONS if name not in ("finetuning", "epochs"))

#: What a setting is called above its table, and what there is to know about it.
_TOLD: Dict[str, Tuple[str, str]] = {
    "steps": ("Inner steps", ""),
    "epochs": (
        "Rounds of the support",
        "How often the steps go round the support, at least; with 0 `steps` are all, whatever its "
        "size. Of five dialogues sixteen steps go round six times.",
    ),
    "runs": ("Averaged runs", ""),
    "adapts": (
        "What adapts",
        "`heads` are the pointers, our tokens' embeddings and the vectors for known and offered "
        "values; `lora` the encoder's low-rank updates, of which `heads+lower` and `heads+upper` "
        "take those of one half of its layers.",
    ),
    "rates": (
        "Learned rates",
        "Without them (`learned_rates` false) the heads have one rate and the updates another, "
        "each the mean of the learned ones over tensors and steps.",
    ),
    "rate_scale": ("The rates' scale", "What the learned rates are multiplied by."),
    "mixing": (
        "Mixing",
        "How far from the initialisation, 0, to where the steps lead, 1.",
    ),
    "reading": (
        "How the support is read",
        "Chances that a support dialogue is read carelessly typed, or with other values, at a "
        "step.",
    ),
    "descriptions": (
        "Descriptions in the schema",
        "Without them names are all that a schema says.",
    ),
    "offers": ("The bot's own values", "Whether they are marked."),
    "history": (
        "History",
        "How many utterances a turn is read with, its own counted; by default all that fit the "
        "encoder.",
    ),
    "dialogues_a_step": ("Dialogues a step", ""),
    "optimiser": (
        "The inner optimiser",
        "The rates were learned for Adam, whose steps don't depend on the gradient's size; so SGD "
        "is tried with a larger scale too.",
    ),
    "finetuning": (
        "Plain fine-tuning",
        "Of the same checkpoint, as the baseline `finetune` does it (AdamW at 3e-5 for 6 epochs); "
        "it is compared with adapting, the default, and the others with it. `augmented` and "
        "`mixing` are what adapting does besides: other readings of the support, and a part of the "
        "initialisation mixed in.",
    ),
}


def ablation(results: Sequence[Results], name: str) -> Optional[Grid]:
    """A row a setting, and of each corpus its figures, and those less the default's."""
    settings = {s.name: s for setting in ABLATIONS[name] for s in (setting.base, setting)}
    results = [
        found
        for found in results
        if any(s in _lines(found) for s, setting in settings.items() if setting != setting.base)
    ]
    if not results:
        return None
    known = [_lines(found) for found in results]
    measured = {setting for lines in known for setting in lines}
    columns = ("JGA", "minus default", "goal accuracy", "minus default", "sets")
    header = [f"{_corpus(found)}: {columns[0]}" for found in results]
    rows = [
        (setting, *(cell for lines in known for cell in _cells(lines.get(setting))))
        for setting in settings
        if setting in measured
    ]
    return Grid(("", *(c for first in header for c in (first, *columns[1:]))), tuple(rows))


def defaults(results: Sequence[Results]) -> str:
    """The default's settings, and what each corpus was measured on."""
    default, *others = {json.dumps(found["settings"]["default"]): None for found in results}
    if others:
        raise ConfigError(
            f"ablations with other defaults in bench/results: {default} and {others[0]}; measure "
            "the older ones anew"
        )
    told = ", ".join(f"`{name}` {value}" for name, value in json.loads(default).items())
    rows = [f"The default: {told}.", ""]
    for found in results:
        line = _lines(found).get("default")
        if line is None:
            continue
        services = ", ".join(f"`{name}`" for name in sorted({r["service"] for r in found["runs"]}))
        rows.append(
            f"- {_corpus(found)} (`{found['settings']['data']}`): {line['support_sets']} support "
            f"sets of {dialogues(found['settings']['shots'])} and {line['turns']} held-out turns "
            f"of {services}"
        )
    return "\n".join(rows)


def lacks(results: Sequence[Results]) -> List[str]:
    """Ablations that no corpus has."""
    return [_TOLD[name][0].lower() for name in ABLATIONS if ablation(results, name) is None]


TABLE = Table(
    "ablations",
    "Ablations",
    "Joint goal accuracy (JGA) and the average goal accuracy over the slots that are set, each "
    "setting changed by itself and measured against the default on the same support sets and "
    "held-out dialogues.",
    ("ablations_dev.json", "ablations_sgd.json", "ablations_dev_1.json", "ablations_dev_10.json"),
    f"""\
python bench/ablations.py --data training_data/dev --json bench/results/ablations_dev.json
python bench/ablations.py --data $SGD/dev --limit 6 --only {_ON_REPORTED} \\
  --json bench/results/ablations_sgd.json
python bench/ablations.py --data training_data/dev --shots 1 --only finetuning \\
  --json bench/results/ablations_dev_1.json
python bench/ablations.py --data training_data/dev --shots 10 --only epochs \\
  --json bench/results/ablations_dev_10.json""",
    defaults,
    parts=tuple(
        Part(f"ablations-{name}", _TOLD[name][0], partial(ablation, name=name), _TOLD[name][1])
        for name in ABLATIONS
    ),
    page="docs/ablations.md",
    lacks=lacks,
)


def _corpus(found: Results) -> str:
    data, shots = found["settings"]["data"], found["settings"]["shots"]
    return _CORPORA.get(data, data) + ("" if shots == _USUAL else f", {dialogues(shots)}")


def _lines(found: Results) -> Dict[str, Line]:
    return {line["setting"]: line for line in found["summary"]}


def _cells(line: Optional[Line]) -> Tuple[str, ...]:
    if line is None:
        return ("",) * (2 * len(FIGURES) + 1)
    cells: List[str] = []
    for name in FIGURES:
        minus = line.get(f"{name}_minus_base")
        cells += [f"{line[name]:.3f}", "" if minus is None else difference(*minus)]
    return (*cells, str(line["support_sets"]))

"""Beside Rasa's own learning and other peers: what bench/peers.py wrote."""

from __future__ import annotations

from typing import List, Sequence

from peer.report import COLUMNS, best_of, measured_by_all, summaries, wins
from result_tables.table import Grid, Results, Table

__all__ = ["TABLES"]

_SHOWN = (
    *("span_f1", "value_f1", "jga", "intent_accuracy", "action_accuracy", "bleu"),
    *("ready_seconds", "memory_mb", "turn_ms_p50"),
)

_NAMES = {
    "rasa": "Rasa: DIET, TED, trained by `rasa train`",
    "rasa, ResponseSelector": "the same bot's ResponseSelector",
    "rasa-crf": "Rasa's CRF entity extractor",
    "entities": "*were every entity found*",
    "probe": "linear probe of sentence embeddings",
    "in-context": "the same small language model, prompted",
    "initialisation": "our initialisation, similar replies shown",
    "finetune": "our tracker, plainly fine-tuned",
    "imported": "ours, imported (zero-shot)",
    "adapted": "ours, adapted",
}


def peers(results: Sequence[Results]) -> Grid:
    """A row a method, over the support sets that all methods were measured on."""
    (found,) = results
    chosen = measured_by_all(found["rows"])
    lines = summaries(chosen)
    best = best_of(lines)
    columns = [column for column in COLUMNS if column[0] in _SHOWN]
    rows = []
    for method, line in lines.items():
        cells = []
        for name, _, digits, better in columns:
            value = line.get(name)
            text = "" if value is None else f"{value:.{digits}f}"
            cells.append(f"**{text}**" if wins(method, name, better, line, best) else text)
        rows.append((_NAMES.get(method, method), *cells))
    ours = [row for row in chosen if row["method"] == "adapted"]
    services = list(dict.fromkeys(row["service"] for row in ours))
    what = ", ".join(services) if len(services) <= _NAMED else f"{len(services)} services"
    corner = f"{what}: {sum(row['turns'] for row in ours)} turns"
    loads = [row["load"] for row in chosen]
    note = (
        f"The machine's load as methods ended was {min(loads):g} to {max(loads):g}, on "
        f"{found['settings']['machine']['cores']} cores: where it is above their number, seconds "
        "and milliseconds are too long."
    )
    return Grid((corner, *(heading for _, heading, _, _ in columns)), tuple(rows), note)


def lacks(results: Sequence[Results]) -> List[str]:
    """Methods of the command that weren't measured."""
    measured = {row["method"] for found in results for row in found["rows"]}
    return [_NAMES.get(method, method) for method in _METHODS if method not in measured]


#: Up to how many services are named.
_NAMED = 3

_METHODS = (
    *("rasa", "rasa-crf", "entities", "probe", "in-context", "initialisation", "finetune"),
    *("imported", "adapted"),
)

TABLES = (
    Table(
        "peers",
        "Beside Rasa's own learning",
        "The same five support dialogues and the same held-out turns for every method, one thread "
        "each; *ready* is the time from the dialogues' files to the first answer, nothing running "
        "before. The best of a column is bold, with what reads the same; what a bot costs is "
        "compared among whole bots. *Were every entity found* is no method but what no entity "
        "extractor is above: values that stand in no message (offers taken, yes, no, any will do) "
        "are no entities. "
        "Ours runs without Rasa around it, so its megabytes are its own only, and adapts its "
        "tracker, not its language model. There are no intervals: one support set a service. "
        "The peers' settings stand in bench/peers.py and bench/peer/.",
        ("peers_sgd_dev.json",),
        "python bench/peers.py --data $SGD/dev \\\n"
        f"  --methods {','.join(_METHODS)} \\\n"
        "  --json bench/results/peers_sgd_dev.json",
        peers,
        lacks=lacks,
    ),
)

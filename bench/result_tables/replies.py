"""The replies by the few-shot protocol: tables of `rasa-onramp evaluate --generator --json`."""

from __future__ import annotations

import re
from typing import Dict, List, Sequence, Tuple

from result_tables.table import Grid, Results, Table, difference

__all__ = ["LEARNING", "RETRIEVAL", "TABLES"]

NAMES = {
    "templates": "the schema's own words",
    "retrieval": "the best support reply",
    "zero-shot": "initialisation, no dialogue read",
    "in-context": "initialisation, similar replies shown",
    "finetune": "plain fine-tuning, similar replies shown",
    "adapted": "adapted, similar replies shown",
    "adapted-alone": "adapted, no replies shown",
    "served": "as a bot says it: adapted, or a support reply of a situation alike enough",
}


def replies(results: Sequence[Results]) -> Grid:
    """A row a method, then what adapting has over each other method."""
    (found,) = results
    header = ("", "BLEU", "BLEU, delexicalised", "slot error rate", "distinct-2", "written")
    rows: List[Tuple[str, ...]] = []
    for row in found["summary"]:
        several = row["seeds"] > 1  # one support set has no spread
        bleu = f" ± {row['bleu_sd']:.1f}" if several else ""
        errors = f" ± {row['slot_error_rate_sd']:.2f}" if several else ""
        rows.append(
            (
                NAMES[row["method"]],
                f"{row['bleu']:.1f}{bleu}",
                f"{row['bleu_delexicalised']:.1f}",
                f"{row['slot_error_rate']:.2f}{errors}",
                f"{row['distinct_2']:.2f}",
                f"{100 * row['written']:.0f}%",
                f"{row['adapting_seconds']:.1f}",
            )
        )
    for row in found["differences"]:
        bleu = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*row["bleu"])
        errors = "{:+.2f} [{:+.2f}, {:+.2f}]".format(*row["slot_error_rate"])
        rows.append((f"adapted minus {NAMES[row['minus']]}", bleu, "", errors, "", "", ""))
    return Grid((*header, "adapting s"), tuple(rows))


def retrieved(results: Sequence[Results]) -> Grid:
    """A row a source of dialogues and a space, with the difference to embeddings as they are."""
    (found,) = results
    rows = []
    for row in found["summary"]:
        cells = []
        for key, decimals in (("bleu", 1), ("bleu_delexicalised", 1), ("slot_error_rate", 2)):
            more = row.get("minus plain", {}).get(key)
            told = "" if more is None else f" ({difference(*more, decimals=decimals)})"
            cells.append(f"{row[key]:.{decimals}f}{told}")
        rows.append((row["source"], str(row["replies"]), row["method"], *cells))
    how = found["settings"]
    note = (
        f"The best support reply of {how['shots']} dialogues, {how['seeds']} support sets and up "
        f"to {how['limit']} held-out dialogues a domain, states and results given. In brackets the "
        "difference to embeddings as they are, 95% by bootstrap over support sets and dialogues."
    )
    header = ("dialogues of", "replies", "space", "BLEU", "BLEU, delexicalised")
    return Grid((*header, "slot error rate"), tuple(rows), note)


def learned(results: Sequence[Results]) -> Grid:
    """A row a setting, columns for each folder of domains."""
    names = list(dict.fromkeys(row["method"] for found in results for row in found["summary"]))
    rows: Dict[str, List[str]] = {name: [] for name in sorted(names, key=_by_rate)}
    header, notes = [""], []
    for found in results:
        how, known = found["settings"], {row["method"]: row for row in found["summary"]}
        for name, cells in rows.items():
            figures = known.get(name)
            for key, decimals in (("bleu", 1), ("slot_error_rate", 2)):
                minus = figures and figures.get("recommended_minus", {}).get(key)
                told = (
                    f" ({difference(*minus, decimals=decimals)})"
                    if minus and None not in minus
                    else ""
                )
                cells.append(f"{figures[key]:.{decimals}f}{told}" if figures else "")
        header += [f"{how['data']}: BLEU", "slot error rate"]
        replies = max(row["replies"] for row in found["summary"])
        notes.append(f"{how['data']}: {replies} replies of {len(how['services'])} domains.")
    note = (
        "Five support dialogues each. In brackets what the recommended setting has over "
        "it, 95% by bootstrap over dialogues, where the two were measured together."
    )
    cells = tuple((name, *cells) for name, cells in rows.items())
    return Grid(tuple(header), cells, f"{' '.join(notes)} {note}")


def _by_rate(name: str) -> Tuple[str, int, float]:
    """Adapting before fine-tuning, then by epochs and rate."""
    rate, *epochs = [float(each) for each in re.findall(r"[\d.]+(?:e-?\d+)?", name)] or [0.0]
    return (name.split()[0].replace("adapted,", ""), int(epochs[0]) if epochs else 0, rate)


_METRICS = ("prototypical", "matching", "siamese")

RETRIEVAL = Table(
    "retrieval",
    "Support replies found in learned spaces",
    "Domains that no space was learned on; no language model.",
    ("retrieval.json",),
    """\
for algorithm in prototypical matching siamese; do
  rasa-onramp meta-train --algorithm $algorithm --for replies --data training_data/dialogues \\
    --data $SGD/train --run runs/replies-$algorithm
done
python bench/retrieval.py --sgd $SGD/dev \\
"""
    + "".join(f"  --metric runs/replies-{name}/metric \\\n" for name in _METRICS)
    + "  --json bench/results/retrieval.json",
    retrieved,
    page="docs/components/generator.md",
)

#: Of the domains that are made by rule, every eighth.
_MADE = (
    *("car_insurance_claims", "energy_supplier", "internet_provider_outage"),
    *("property_management_tenants", "university_student_office"),
)

LEARNING = Table(
    "reply-learning",
    "How replies learn: rates and epochs",
    "Adapting with the learned rates times a number, and plain fine-tuning of the same updates. "
    "Domains that the replies weren't trained on: hand-written ones and SGD's, whose bots seldom "
    "say a thing twice in the same words, ones made by rule, whose bots keep to a few wordings, "
    "and our own four, whose bots keep to one. Similar replies are shown.",
    (
        *("reply_learning_dev.json", "reply_learning_sgd.json"),
        *("reply_learning_made.json", "reply_learning_own.json"),
    ),
    """\
python training_data/generate.py --out runs/made --dialogues 12 --seed 77
python bench/reply_learning.py --data training_data/dev --every 2 \\
  --json bench/results/reply_learning_dev.json
python bench/reply_learning.py --data $SGD/dev --seeds 5 --limit 1 \\
  --services Alarm_1,Banks_2,Flights_3,Services_4,Hotels_4,Media_2,Movies_2,Restaurants_2 \\
  --json bench/results/reply_learning_sgd.json
python bench/reply_learning.py --data runs/made \\
"""
    + f"  --services {','.join(_MADE)} \\\n"
    + """\
  --json bench/results/reply_learning_made.json
python bench/reply_learning.py --data dialogue_data --own-split \\
  --json bench/results/reply_learning_own.json""",
    learned,
    page="docs/figures.md",
)

TABLES: Tuple[Table, ...] = (
    Table(
        "replies-sgd",
        "Replies, SGD dev, services unseen in training",
        "States and results given, so that nothing but the wording is judged; one held-out "
        "dialogue a support set. Intervals are 95%, by bootstrap over support sets and dialogues.",
        ("replies_sgd_dev_unseen.json",),
        """\
rasa-onramp evaluate --generator --data $SGD/dev \\
  --services Alarm_1,Banks_2,Flights_3,Services_4,Hotels_4,Media_2,Movies_2,Restaurants_2 \\
  --shots 5 --seeds 5 --limit 1 --method retrieval,zero-shot,in-context,finetune,adapted,served \\
  --jobs 2 --threads 1 --json bench/results/replies_sgd_dev_unseen.json""",
        replies,
    ),
    Table(
        "replies-own",
        "Replies, our own four domains",
        "Their own five support dialogues, three held-out dialogues each.",
        ("replies_own_domains.json",),
        """\
rasa-onramp evaluate --generator --data dialogue_data --services all --own-split --shots 5 \\
  --seeds 1 --limit 3 --jobs 2 --threads 1 --json bench/results/replies_own_domains.json \\
  --method retrieval,zero-shot,in-context,finetune,adapted,adapted-alone,served""",
        replies,
    ),
    LEARNING,
    RETRIEVAL,
)

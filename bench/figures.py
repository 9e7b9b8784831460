"""The README's tables of figures, from what `rasa-onramp evaluate --json` wrote.

    python bench/figures.py            # print them
    python bench/figures.py --write    # put them and the headline into README.md, at its markers

Runs of several files are joined: services measured apart count as measured together. JGA is the
mean over turns, ± the standard deviation over support sets; the last rows are paired differences,
with 95% intervals by bootstrap over the services' support sets (percentiles of 10,000 resamples,
seed 0).
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from rasa_onramp.evaluation.bootstrap import paired_difference

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TABLES = {
    "sgd": ("sgd_dev_unseen_a.json", "sgd_dev_unseen_b.json"),
    "own": ("own_domains.json",),
}
REPLY_TABLES = {
    "replies-sgd": "replies_sgd_dev_unseen.json",
    "replies-own": "replies_own_domains.json",
}
REPLY_NAMES = {
    "templates": "the schema's own words",
    "retrieval": "the best support reply",
    "zero-shot": "initialisation, no dialogue read",
    "in-context": "initialisation, similar replies shown",
    "finetune": "plain fine-tuning, similar replies shown",
    "adapted": "adapted, similar replies shown",
    "adapted-alone": "adapted, no replies shown",
    "served": "as a bot says it: adapted, or a support reply of a situation alike enough",
}
NAMES = {
    "zero-shot": "zero-shot (schema only)",
    "finetune": "plain fine-tuning on 5 dialogues",
    "adapted": "adapted on 5 dialogues",
}
SHOTS = 5

Run = Dict[str, Any]


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put them into README.md")
    if parser.parse_args().write:
        README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        tables = [markdown(runs_of(name)) for name in TABLES]
        print("\n\n".join([*tables, *map(reply_markdown, REPLY_TABLES.values())]))


def filled(readme: str) -> str:
    """The README with its headline and tables made anew."""
    texts = {name: markdown(runs_of(name)) for name in TABLES}
    texts["headline"] = headline(runs_of("sgd"))
    texts.update({name: reply_markdown(file) for name, file in REPLY_TABLES.items()})
    return put(readme, texts)


def put(page: str, texts: Mapping[str, str]) -> str:
    """The page with each text between its markers."""
    for name, text in texts.items():
        begin, end = f"<!-- figures: {name} -->\n", "\n<!-- end -->"
        head, rest = page.split(begin)
        page = head + begin + text + end + rest.split(end, 1)[1]
    return page


def reply_markdown(file: str) -> str:
    """The replies' table, from what `evaluate --generator --json` wrote."""
    found = json.loads((ROOT / "bench" / "results" / file).read_text(encoding="utf-8"))
    lines = [
        "| | BLEU | BLEU, delexicalised | slot error rate | distinct-2 | written | adapting s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["summary"]:
        several = row["seeds"] > 1  # one support set has no spread
        bleu = f" ± {row['bleu_sd']:.1f}" if several else ""
        errors = f" ± {row['slot_error_rate_sd']:.2f}" if several else ""
        lines.append(
            f"| {REPLY_NAMES[row['method']]} | {row['bleu']:.1f}{bleu} | "
            f"{row['bleu_delexicalised']:.1f} | {row['slot_error_rate']:.2f}{errors} | "
            f"{row['distinct_2']:.2f} | {100 * row['written']:.0f}% | "
            f"{row['adapting_seconds']:.1f} |"
        )
    for row in found["differences"]:
        value, low, high = row["bleu"]
        errors = "{:+.2f} [{:+.2f}, {:+.2f}]".format(*row["slot_error_rate"])
        lines.append(
            f"| adapted minus {REPLY_NAMES[row['minus']]} | {value:+.1f} [{low:+.1f}, {high:+.1f}] "
            f"| | {errors} | | | |"
        )
    return "\n".join(lines)


def runs_of(name: str) -> List[Run]:
    """The runs that a table is made of."""
    files = [ROOT / "bench" / "results" / file for file in TABLES[name]]
    return [run for file in files for run in json.loads(file.read_text())["runs"]]


def headline(runs: Sequence[Run]) -> str:
    """What five dialogues bring, in a sentence."""
    jga = {method: _jga(_of(runs, method).values()) for method in NAMES}
    return (
        f"**5 dialogues: joint goal accuracy {jga['zero-shot']:.2f} → {jga['adapted']:.2f}** on "
        f"services\nthat it never met ({jga['finetune']:.2f} by plain fine-tuning; [all figures]"
        "(#figures))."
    )


def markdown(runs: Sequence[Run]) -> str:
    """A table: a row a method, then the differences of the adapted tracker to the others."""
    lines = ["| | JGA | mean of services | seconds |", "|---|---|---|---|"]
    chosen = {method: _of(runs, method) for method in NAMES}
    for method, name in NAMES.items():
        found = list(chosen[method].values())
        sets = [_jga([r for r in found if r["seed"] == s]) for s in sorted(_seeds(found))]
        services = sorted({r["service"] for r in found})
        mean = statistics.fmean(_jga([r for r in found if r["service"] == s]) for s in services)
        seconds = statistics.fmean(r["seconds"] for r in found)
        spread = statistics.stdev(sets) if len(sets) > 1 else 0.0
        lines.append(f"| {name} | {_jga(found):.3f} ± {spread:.3f} | {mean:.3f} | {seconds:.1f} |")
    for method in ("zero-shot", "finetune"):
        gain = paired_difference(chosen["adapted"], chosen[method], _jga)
        other = NAMES[method].split(" on ")[0].split(" (")[0]
        interval = f"[{gain.low:+.3f}, {gain.high:+.3f}]"
        lines.append(f"| adapted minus {other} | {gain.value:+.3f} {interval} | | |")
    return "\n".join(lines)


def _of(runs: Sequence[Run], method: str) -> Dict[Tuple[str, int], Run]:
    return {
        (r["service"], r["seed"]): r for r in runs if r["method"] == method and r["shots"] == SHOTS
    }


def _seeds(runs: Sequence[Run]) -> set:
    return {run["seed"] for run in runs}


def _jga(runs: Any) -> float:
    """The mean over turns."""
    runs = list(runs)
    return sum(r["jga"] * r["turns"] for r in runs) / sum(r["turns"] for r in runs)


if __name__ == "__main__":
    main()

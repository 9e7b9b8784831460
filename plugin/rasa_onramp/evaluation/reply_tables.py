"""Figures of replies by method: rows for JSON, and tables."""

from __future__ import annotations

import math
import statistics
from typing import Any, Dict, Hashable, List, Optional, Sequence, Tuple, cast

from rasa_onramp.evaluation.intervals import MAIN
from rasa_onramp.evaluation.reply_few_shot import ReplyResult
from rasa_onramp.evaluation.reply_metrics import ScoredReply, aggregate_replies, compare_replies
from rasa_onramp.evaluation.tables import figure, table

__all__ = ["difference", "replies_table", "row", "summarise_replies"]

Row = Dict[str, Any]


def _of(results: Sequence[ReplyResult], method: str, shots: int) -> List[ReplyResult]:
    return [r for r in results if (r.method, r.shots) == (method, shots)]


def _scores(results: Sequence[ReplyResult]) -> List[ScoredReply]:
    return [reply for r in results for replies in r.replies.values() for reply in replies]


def row(result: ReplyResult) -> Row:
    """Figures of one run."""
    return {
        "service": result.service,
        "method": result.method,
        "shots": result.shots,
        "seed": result.seed,
        "adapting_seconds": round(result.adapting_seconds, 3),
        "writing_seconds": round(result.writing_seconds, 3),
        **aggregate_replies(_scores([result])).as_dict(),
    }


def summarise_replies(results: Sequence[ReplyResult], method: str, shots: int) -> Row:
    """All services and seeds together, with the spread over seeds of the two main figures."""
    chosen = _of(results, method, shots)
    replies = _scores(chosen)
    seeds = sorted({r.seed for r in chosen})
    figures = aggregate_replies(replies)
    by_seed = [aggregate_replies(_scores([r for r in chosen if r.seed == s])) for s in seeds]
    return {
        "method": method,
        "shots": shots,
        "seeds": len(seeds),
        **figures.as_dict(),
        "written": figures.sources.get("generated", 0) / max(1, figures.replies),
        "bleu_sd": _spread([f.bleu for f in by_seed]),
        "slot_error_rate_sd": _spread([f.slot_error_rate for f in by_seed]),
        "adapting_seconds": sum(r.adapting_seconds for r in chosen) / len(chosen),
        "seconds_a_reply": sum(r.writing_seconds for r in chosen) / max(1, len(replies)),
    }


def _spread(values: Sequence[float]) -> Optional[float]:
    """The standard deviation; None where fewer than two seeds define the figure."""
    defined = [value for value in values if not math.isnan(value)]
    return statistics.stdev(defined) if len(defined) > 1 else None


def difference(
    results: Sequence[ReplyResult], method: str, shots: int, *, own_split: bool = False
) -> Row:
    """`MAIN` minus `method`, with 95% bootstrap intervals: [value, low, high] a figure, NaN where
    some sample's replies don't define it.

    With an own split (`Protocol.own_split`) seeds are orders of one support set, not sets.
    """

    def by_dialogue(name: str) -> Dict[Tuple[Hashable, ...], Sequence[ScoredReply]]:
        found: Dict[Tuple[Hashable, ...], List[ScoredReply]] = {}
        for r in _of(results, name, shots):
            for dialogue, replies in r.replies.items():
                drawn = (r.service, 0 if own_split else r.seed, dialogue)
                found.setdefault(drawn, []).extend(replies)
        return cast(Dict[Tuple[Hashable, ...], Sequence[ScoredReply]], found)

    found = compare_replies(
        by_dialogue(MAIN), by_dialogue(method), figures=("bleu", "slot_error_rate")
    )
    return {
        "shots": shots,
        "minus": method,
        **{name: [d.value, d.low, d.high] for name, d in found.items()},
    }


def replies_table(summary: Sequence[Row], differences: Sequence[Row]) -> str:
    """Figures by method and support size, then what `adapted` has over each other method; None is
    what no reply defines.
    """
    header = ["", "BLEU", "delex.", "ROUGE-L", "slot errors", "dist-1", "dist-2", "self-BLEU"]
    header += ["words", "written", "adapt s", "s/reply", "replies"]
    rows = []
    for s in summary:
        rows.append(
            (
                f"{s['method']}, {s['shots']}",
                f"{figure(s['bleu'], 1)} ± {figure(s['bleu_sd'], 1)}",
                figure(s["bleu_delexicalised"], 1),
                figure(s["rouge_l"], 3),
                f"{figure(s['slot_error_rate'], 3)} ± {figure(s['slot_error_rate_sd'], 3)}",
                figure(s["distinct_1"], 3),
                figure(s["distinct_2"], 3),
                figure(s["self_bleu"], 1),
                figure(s["length"], 1),
                f"{100 * s['written']:.1f}%",
                figure(s["adapting_seconds"], 1),
                figure(s["seconds_a_reply"], 2),
                str(s["replies"]),
            )
        )
    parts = ["states and results given; ± is the standard deviation over seeds", ""]
    parts.append(table(header, rows))
    if differences:
        parts += ["", _differences(differences)]
    return "\n".join(parts)


def _differences(differences: Sequence[Row]) -> str:
    def cell(row: Row, name: str, digits: int) -> str:
        value, *around = ("-" if each is None else f"{each:+.{digits}f}" for each in row[name])
        return f"{value} [{', '.join(around)}]"

    rows = [
        (f"{MAIN} - {d['minus']}, {d['shots']}", cell(d, "bleu", 1), cell(d, "slot_error_rate", 3))
        for d in differences
    ]
    return table(("95% bootstrap intervals", "BLEU", "slot error rate"), rows)

"""What the few-shot figures say, in sentences that pages quote."""

from __future__ import annotations

import json
from typing import List, Sequence

from rasa_onramp.evaluation.intervals import MAIN
from rasa_onramp.tracker.checkpoint import SHIPPED
from result_tables.table import Results
from result_tables.tracker_runs import Run, jga_of, methods_of, name_of, of, runs_of, values_of

__all__ = ["SHOTS", "behind", "headline", "kinds", "own_headline", "single_values"]

#: The support size of the README's figures.
SHOTS = 5


def headline(results: Sequence[Results]) -> str:
    """What five dialogues bring, in a sentence."""
    before, tuned, adapted = _gain(results)
    return (
        "**How good is it?** The share of user turns after which *every* slot is right, on "
        "services of SGD (whose\nusers are tidy) that it was not trained on: "
        f"{before} with the schema alone, **{adapted} after 5 dialogues** ({tuned}\nby plain "
        "fine-tuning of the same tracker)."
    )


def kinds(results: Sequence[Results]) -> str:
    """How it does on services of a kind that the shipped tracker was never trained on: SGD names
    services by kind and number.
    """
    runs = runs_of(results)
    trained = {_kind(name) for name in _trained_services()}
    services = sorted(values_of(runs, "service"))
    new = [service for service in services if _kind(service) not in trained]
    if not new:
        return "Each of these services has a sibling of its kind among those trained on."
    told = [f"{', '.join(new)}, which {'has' if len(new) == 1 else 'have'} none, {_few(runs, new)}"]
    if others := [service for service in services if service not in new]:
        told.append(f"the others {_few(runs, others)}")
    return (
        f"{len(others)} of these {len(services)} services have a sibling of their kind among those "
        f"trained on, with another schema (as\nHotels_4 has in Hotels_1). Zero-shot and adapted to "
        f"{SHOTS} dialogues: {'; '.join(told)}."
    )


def _trained_services() -> List[str]:
    """What the shipped tracker was trained on."""
    text = (SHIPPED / "tracker.json").read_text(encoding="utf-8")
    return list(json.loads(text)["training_services"])


def _kind(service: str) -> str:
    return service.rpartition("_")[0]


def _few(runs: Sequence[Run], services: Sequence[str]) -> str:
    chosen = [run for run in runs if run["service"] in services]
    return " and ".join(f"{jga_of(of(chosen, m, SHOTS)):.3f}" for m in ("zero-shot", MAIN))


def behind(results: Sequence[Results]) -> str:
    """On which services adapting to five dialogues is behind which other method, by how much."""
    runs, told = runs_of(results), []
    for method in (method for method in methods_of(runs) if method != MAIN):
        gaps = []
        for service in sorted(values_of(runs, "service")):
            other, ours = (
                jga_of([r for r in of(runs, each, SHOTS) if r["service"] == service])
                for each in (method, MAIN)
            )
            if other - ours >= 0.0005:
                gaps.append(f"{service} ({other - ours:.3f})")
        told.append(f"{name_of(method)} on {', '.join(gaps) or 'none'}")
    return (
        "By service ([all of them](results.md#by-service-5-dialogues)), adapting to "
        f"{SHOTS} dialogues is behind\n" + ";\n".join(told) + "."
    )


def single_values(results: Sequence[Results]) -> str:
    """What adapting to five dialogues gets right of values and intents, in a sentence."""
    found = of([row for one in results for row in one["summary"]], MAIN, SHOTS)
    turns = sum(row["turns"] for row in found)
    goals, intents = (
        sum(row[key] * row["turns"] for row in found) / turns
        for key in ("average_goal_accuracy", "intent_accuracy")
    )
    return (
        f"Of single values the adapted tracker gets {goals:.0%} right (average goal accuracy), of\n"
        f"intents {intents:.0%}: a value missed early keeps every later state of its dialogue "
        "wrong."
    )


def own_headline(results: Sequence[Results]) -> str:
    """What five dialogues bring on our own domains, in a sentence."""
    before, tuned, adapted = _gain(results)
    return (
        "On our own four domains, whose users hint, mistype and change their minds: "
        f"{before} and {adapted} ({tuned} by plain\nfine-tuning)."
    )


def _gain(results: Sequence[Results]) -> List[str]:
    """JGA without learning, by plain fine-tuning, and by adapting."""
    runs = runs_of(results)
    return [f"{jga_of(of(runs, name, SHOTS)):.0%}" for name in ("zero-shot", "finetune", MAIN)]

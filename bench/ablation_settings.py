"""The settings that bench/ablations.py measures: what is done otherwise than by default."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Schema
from rasa_onramp.errors import ConfigError
from rasa_onramp.evaluation.protocol import Protocol, Split
from rasa_onramp.metalearning.finetuning import FineTuning

__all__ = ["ABLATIONS", "Setting", "named", "undescribed"]


@dataclass(frozen=True)
class Setting:
    """What differs from the default: a change of the adaptation, or of what is read.

    `method` "zero-shot" doesn't adapt, and "finetune" fine-tunes, by `changes` of FineTuning; each
    is compared with the default of that method.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    method: str = "adapted"
    described: bool = True
    offers: bool = True
    history: Optional[int] = None

    @property
    def name(self) -> str:
        """What differs."""
        told = [f"{name} {value}" for name, value in self.changes.items()]
        told += ["no descriptions"] * (not self.described) + ["no offers"] * (not self.offers)
        told += [f"history {self.history}"] * (self.history is not None)
        return ", ".join([self.method] * (self.method != "adapted") + told) or "default"

    @property
    def base(self) -> Setting:
        """What it is compared with: its method without changes, and that with the default."""
        plain = Setting(method=self.method)
        return Setting() if self == plain else plain

    def protocol(self, protocol: Protocol) -> Protocol:
        """How it is measured."""
        protocol = replace(
            protocol, methods=(self.method,), offers=self.offers, history=self.history
        )
        if self.method == "finetune":
            return replace(protocol, finetuning=FineTuning(**self.changes))
        return replace(protocol, adaptation=self.changes)

    def split(self, split: Split) -> Split:
        """What it is measured on."""
        return split if self.described else replace(split, schema=undescribed(split.schema))


def _adapted(**changes: Any) -> Setting:
    return Setting(changes)


def _tuned(**changes: Any) -> Setting:
    return Setting(changes, method="finetune")


_ZERO_SHOT = Setting(method="zero-shot")

#: By name, what is set against the default; the first tell most for what they cost.
ABLATIONS: Dict[str, Tuple[Setting, ...]] = {
    "steps": (_adapted(steps=4), _adapted(steps=8), _adapted(steps=32)),
    # of a support that the steps don't go round so often; what ships takes 6
    "epochs": (_adapted(epochs=0), _adapted(epochs=12)),
    "runs": (_adapted(runs=2), _adapted(runs=4), _adapted(runs=2, steps=8)),
    "adapts": tuple(
        _adapted(adapts=part) for part in ("heads", "lora", "heads+lower", "heads+upper")
    ),
    "rates": (_adapted(learned_rates=False),),
    "rate_scale": tuple(_adapted(rate_scale=scale) for scale in (0.1, 0.25, 0.5, 2.0)),
    "mixing": tuple(_adapted(mixing=share) for share in (0.25, 0.5, 1.0)),
    "reading": (
        _adapted(noise=0.0),
        _adapted(new_values=0.0),
        _adapted(noise=0.0, new_values=0.0),
    ),
    "descriptions": (
        _ZERO_SHOT,
        replace(_ZERO_SHOT, described=False),
        Setting(described=False),
    ),
    "offers": (replace(_ZERO_SHOT, offers=False), Setting(offers=False)),
    "history": (
        *(replace(_ZERO_SHOT, history=length) for length in (2, 4, 8)),
        *(Setting(history=length) for length in (4, 8)),
    ),
    # as many steps as the default takes
    "dialogues_a_step": (_adapted(dialogues_a_step=1, steps=16),),
    # SGD's steps are as long as the gradients are: a scale for it too
    "optimiser": (_adapted(optimiser="sgd"), _adapted(optimiser="sgd", rate_scale=100.0)),
    "finetuning": (
        Setting(),
        *(_tuned(rate=rate) for rate in (1e-5, 1e-4, 3e-4)),
        *(_tuned(epochs=epochs) for epochs in (3, 12)),
        _tuned(rate=1e-5, epochs=12),
        *(_tuned(mixing=0.75), _tuned(augmented=True), _tuned(augmented=True, mixing=0.75)),
    ),
}


def undescribed(schema: Schema) -> Schema:
    """The schema with names only."""

    def bare(items: Sequence[Any]) -> Tuple[Any, ...]:
        return tuple(replace(item, description="") for item in items)

    return replace(
        schema,
        description="",
        slots=bare(schema.slots),
        intents=bare(schema.intents),
        actions=bare(schema.actions),
    )


def named(names: Optional[str]) -> List[Setting]:
    """The settings of some ablations (None: all), each after what it is compared with.

    Raises ConfigError for an unknown name.
    """
    chosen = list(ABLATIONS) if names is None else [n.strip() for n in names.split(",")]
    unknown = [name for name in chosen if name not in ABLATIONS]
    if unknown:
        raise ConfigError(f"no ablation {unknown[0]!r}; choose of {', '.join(ABLATIONS)}")
    settings = [setting for name in chosen for setting in ABLATIONS[name]]
    found = {s.name: s for setting in settings for s in (setting.base.base, setting.base, setting)}
    return list(found.values())

"""The settings of OnrampModel in a bot's config.yml: what they are, and whether they can be."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from rasa_onramp.environment import is_variable
from rasa_onramp.runtime.conversation import EngineSettings

__all__ = ["ModelSettings", "check_keys"]


@dataclass(frozen=True)
class ModelSettings:
    """The settings of OnrampModel, by which components of one process share a runtime.

    `database_url_env` names the environment variable that holds the store's URL; None means the
    store that the command line uses. `checkpoint` is a folder (None: the shipped one), `encoder` a
    name, hub id or folder. `replies` says whether a language model writes replies, where its
    weights are on the machine; `reply_checkpoint` is the folder of its initialisation (None: the
    shipped one). `router_metric` and `reply_metric` are folders of learned metrics to route and to
    retrieve replies by (None: embeddings as they are).
    """

    database_url_env: Optional[str] = None
    checkpoint: Optional[str] = None
    encoder: str = "all-MiniLM-L6-v2"
    replies: bool = True
    reply_checkpoint: Optional[str] = None
    router_metric: Optional[str] = None
    reply_metric: Optional[str] = None
    engine: EngineSettings = field(default_factory=EngineSettings)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ModelSettings:
        """From the component's configuration, which `problems_of` found nothing wrong with."""
        engine = {f.name: config[f.name] for f in fields(EngineSettings) if f.name in config}
        own = {f.name: config[f.name] for f in fields(cls) if f.name in config}
        return cls(**own, engine=EngineSettings(**engine))

    @staticmethod
    def defaults() -> Dict[str, Any]:
        """The default configuration."""
        own = asdict(ModelSettings())
        engine = own.pop("engine")
        return {**own, **engine}

    @staticmethod
    def problems_of(config: Mapping[str, Any]) -> List[str]:
        """What is wrong with a configuration, one line each."""
        checks: Dict[str, Check] = {
            "database_url_env": (_is_string, "the name of an environment variable"),
            "checkpoint": (_is_text, "a folder"),
            "encoder": (_is_text, "a model's name or folder"),
            "replies": (_is_flag, "true or false"),
            "reply_checkpoint": (_is_text, "a folder"),
            "router_metric": (_is_text, "a folder"),
            "reply_metric": (_is_text, "a folder"),
            "threshold": (_is_probability, "a number from 0 to 1"),
            "switch_threshold": (_is_probability, "a number from 0 to 1"),
            "bot_confidence": (_is_probability, "a number from 0 to 1"),
            "action_threshold": (_is_probability, "a number from 0 to 1"),
            "cache_mb": (_is_count, "a whole number of megabytes from 1 up"),
            "reply_cache_mb": (_is_count, "a whole number of megabytes from 1 up"),
            "store_seconds": (_is_time, "a number of seconds from 0.1 up"),
            "retry_after": (_is_time, "a number of seconds from 0.1 up"),
            "reply_seconds": (_is_number, "a number of seconds"),
            "reply_threshold": (_is_probability, "a number from 0 to 1"),
        }
        metrics = ("router_metric", "reply_metric")
        optional = ("database_url_env", "checkpoint", "reply_checkpoint", *metrics)
        problems = check_keys("OnrampModel", config, checks, optional)
        variable = config.get("database_url_env")
        if isinstance(variable, str) and not is_variable(variable):
            # doesn't repeat it: it may hold a password
            problems.append(
                "OnrampModel: database_url_env doesn't name an environment variable that is set; "
                "put the store's URL in one and the variable's name here, because Rasa copies this "
                "file into models"
            )
        return problems

    @staticmethod
    def unset_variable(config: Mapping[str, Any]) -> List[str]:
        """A line that says so where the variable of the store's URL isn't set."""
        variable = config.get("database_url_env")
        if not isinstance(variable, str) or not is_variable(variable) or os.environ.get(variable):
            return []
        return [
            f"OnrampModel: the environment variable {variable} isn't set; set it to the URL of the "
            f"store, for example export {variable}=sqlite:////path/to/onramp.db"
        ]


#: Whether a value will do, and what would.
Check = Tuple[Callable[[Any], bool], str]


def check_keys(
    component: str,
    config: Mapping[str, Any],
    checks: Mapping[str, Check],
    optional: Tuple[str, ...] = (),
) -> List[str]:
    """Unknown keys, and values that don't pass; `optional` ones may be null."""
    problems = []
    for key, value in config.items():
        if key.startswith("__") or key == "name":
            continue  # Rasa's own
        if key not in checks:
            known = ", ".join(sorted(checks))
            problems.append(f"{component}: there is no setting {key!r}; the settings are {known}")
        elif not (value is None and key in optional):
            passes, wanted = checks[key]
            if not passes(value):
                problems.append(f"{component}: {key} is {value!r}; make it {wanted}")
    return problems


def _is_text(value: Any) -> bool:
    """Whether `value` is a text that isn't empty."""
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    """Whether `value` is a number from 0 up."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9


def _is_time(value: Any) -> bool:
    return _is_number(value) and value >= 0.1


def _is_probability(value: Any) -> bool:
    """Whether `value` is a number from 0 to 1."""
    return _is_number(value) and value <= 1


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_string(value: Any) -> bool:
    return isinstance(value, str)

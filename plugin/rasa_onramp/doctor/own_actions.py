"""Whether calls of the store's domains run actions of the bot's own."""

from __future__ import annotations

from contextlib import suppress
from typing import Iterator

from rasa_onramp.botfiles import declared_actions
from rasa_onramp.doctor.findings import Finding, some, warning
from rasa_onramp.doctor.stored import opened
from rasa_onramp.doctor.subject import Subject
from rasa_onramp.errors import ConfigError, StoreError
from rasa_onramp.rasa_names import own_actions

__all__ = ["action_findings"]


def action_findings(subject: Subject) -> Iterator[Finding]:
    """The actions of the bot's domain that have the names of calls. What is wrong with the store,
    or a schema in it, is for their own check to say. Raises ConfigError, FormatError.
    """
    assert subject.project is not None
    declared = declared_actions(subject.project)
    found = []
    with suppress(StoreError, ConfigError), opened(subject) as store:
        for name in store.dialogues.domains():
            with suppress(StoreError):
                for action in store.dialogues.schema(name).actions:
                    own = [each for each in own_actions(action.name) if each in declared]
                    found += [f"{action.name} of {name} runs {each}" for each in own[:1]]
    if found:
        yield warning(
            "actions",
            f"calls that actions of the bot's own make: {some(found)}; rename one of the two, "
            "unless you mean it so",
        )

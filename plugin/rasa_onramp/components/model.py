"""OnrampModel: the pipeline component that provides tracker, adapters, replies and store."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage

from rasa_onramp.components.host import OnrampRuntime, runtime_for
from rasa_onramp.components.settings import refuse
from rasa_onramp.logs import as_rasa_does, logger_for
from rasa_onramp.runtime.settings import ModelSettings

__all__ = ["OnrampModel"]

logger = logger_for(__name__)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MODEL_LOADER, is_trainable=False)
class OnrampModel(GraphComponent):
    """Provides the runtime that OnrampStateTracker works with; see docs/components/rasa.md."""

    def __init__(self, runtime: OnrampRuntime):
        self._runtime = runtime

    @staticmethod
    def get_default_config() -> Dict[str, Any]:
        """The default configuration (see parent class)."""
        return ModelSettings.defaults()

    @staticmethod
    def required_packages() -> List[str]:
        """The packages that this component needs (see parent class)."""
        return ["torch", "spacy", "sqlalchemy"]

    @classmethod
    def fingerprint_addon(cls, config: Dict[str, Any]) -> Optional[str]:
        """A digest of our code and of the store's content (see parent class)."""
        merged = {**cls.get_default_config(), **config}
        if ModelSettings.problems_of(merged):
            return None
        return OnrampRuntime(ModelSettings.from_config(merged)).fingerprint()

    @classmethod
    def create(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> OnrampModel:
        """For training: refuses what wouldn't work, and warns of what in the store wouldn't. Raises
        InvalidConfigException.

        Rasa may train in the process of a running bot, whose runtime stays what it is.
        """
        refuse([*ModelSettings.problems_of(config), *ModelSettings.unset_variable(config)])
        runtime = OnrampRuntime(ModelSettings.from_config(config))
        problems, stored = runtime.problems()
        as_rasa_does()
        for what in stored:
            said = f"a model takes nothing from the store, but the bot will abstain: {what}"
            logger.warning("onramp.training.store", event_info=said)
        refuse(problems)
        return cls(runtime)

    @classmethod
    def load(
        cls,
        config: Dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> OnrampModel:
        """For running: a store that can't be reached now may be reachable later."""
        as_rasa_does()
        runtime = runtime_for(ModelSettings.from_config(config))
        runtime.warm()
        return cls(runtime)

    def provide(self) -> OnrampRuntime:
        """The runtime (see parent class of model loaders)."""
        return self._runtime

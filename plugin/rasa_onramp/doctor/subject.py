"""Whom the doctor looks at: this installation, as the bot that is given would use it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple

from rasa_onramp.botfiles import MODEL, component_entries
from rasa_onramp.errors import ConfigError, FormatError
from rasa_onramp.rasa_project import RasaProject
from rasa_onramp.yaml_edit import YamlFile

__all__ = ["Subject", "channel_settings", "subject_of"]

#: What our channels' names in credentials.yml begin with.
_CHANNELS = "rasa_onramp.components."


@dataclass(frozen=True)
class Subject:
    """A bot's `project` (None: no bot is given), what its config.yml sets of OnrampModel's
    settings, and our `channels` in its credentials.yml.
    """

    project: Optional[RasaProject] = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    channels: Tuple[str, ...] = ()

    @property
    def database_variable(self) -> Optional[str]:
        """The environment variable that is to hold the store's URL; None for the usual one."""
        return self._text("database_url_env")

    @property
    def checkpoint(self) -> Optional[Path]:
        """The tracker's folder; None for the shipped one."""
        return self.folder("checkpoint")

    @property
    def reply_checkpoint(self) -> Optional[Path]:
        """The folder of the replies' initialisation; None for the shipped one."""
        return self.folder("reply_checkpoint")

    @property
    def encoder(self) -> str:
        """The sentence encoder's name or folder, which may be in the bot's own."""
        name = self._text("encoder") or "all-MiniLM-L6-v2"
        folder = self._from_bot(name)
        return str(folder) if folder.is_dir() else name

    @property
    def writes_replies(self) -> bool:
        """Whether a language model is to write replies."""
        return self.settings.get("replies") is not False

    @property
    def changes_store(self) -> bool:
        """Whether whoever this is changes domains or their versions: commands do, and a bot with a
        channel that takes feedback or onboards.
        """
        return self.project is None or any(
            not name.endswith(".MetricsInput") for name in self.channels
        )

    def folder(self, setting: str) -> Optional[Path]:
        """A folder that config.yml names: Rasa runs in the bot's own."""
        text = self._text(setting)
        return None if text is None else self._from_bot(text)

    def _from_bot(self, path: str) -> Path:
        return (Path() if self.project is None else self.project.folder) / path

    def _text(self, setting: str) -> Optional[str]:
        value = self.settings.get(setting)
        return value if isinstance(value, str) and value.strip() else None


def subject_of(project: Optional[RasaProject]) -> Subject:
    """The subject; what is wrong with the bot's files is for their own check to say."""
    if project is None:
        return Subject()
    settings: Mapping[str, Any] = {}
    channels: Tuple[str, ...] = ()
    with suppress(ConfigError, FormatError):
        entries = component_entries(YamlFile.read(project.config_file()), "pipeline")
        short = MODEL.rpartition(".")[2]
        found = (entry for entry in entries if entry["name"].rpartition(".")[2] == short)
        settings = next(found, {})
    with suppress(FormatError):
        channels = tuple(channel_settings(project))
    return Subject(project, settings, channels)


def channel_settings(project: RasaProject) -> Mapping[str, Any]:
    """Our channels in a bot's credentials.yml, and what it sets of each. Raises FormatError."""
    data = YamlFile.read(project.folder / "credentials.yml").data
    return {str(name): told for name, told in data.items() if str(name).startswith(_CHANNELS)}

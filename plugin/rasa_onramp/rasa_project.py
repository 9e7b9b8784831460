"""Where the files of a Rasa bot are: where Rasa looks for them, unless other places are named."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from rasa_onramp.errors import ConfigError

__all__ = ["RasaProject"]


@dataclass(frozen=True)
class RasaProject:
    """The bot in `folder`. `config`, `domain` and `endpoints` are what `rasa train --config`, `rasa
    train --domain` and `rasa run --endpoints` are given, where these aren't config.yml, domain.yml
    (or the folder domain) and endpoints.yml in it; as seen from here.
    """

    folder: Path
    config: Optional[Path] = None
    domain: Optional[Path] = None
    endpoints: Optional[Path] = None

    def config_file(self) -> Path:
        """The configuration. Raises ConfigError if there is none."""
        if not self.folder.is_dir():
            raise ConfigError(
                f"{self.folder} is no folder; give the folder that holds a bot's config.yml"
            )
        if self.config is not None:
            return _file(self.config, "rasa train --config")
        if not (self.folder / "config.yml").is_file():
            raise ConfigError(
                f"{self.folder} holds no config.yml; give a Rasa bot's folder, or `rasa init` one, "
                "or name the bot's configuration by --config FILE"
            )
        return self.folder / "config.yml"

    def domain_place(self) -> Path:
        """The file or folder of the domain. Raises ConfigError if there is none: a new domain.yml
        beside a domain elsewhere would be read by nobody.
        """
        if self.domain is not None:
            if not self.domain.exists():
                raise ConfigError(
                    f"{self.domain} doesn't exist; name the file or folder of the bot's domain"
                )
            return self.domain
        if (self.folder / "domain.yml").is_file():
            return self.folder / "domain.yml"
        if not (self.folder / "domain").is_dir():
            raise ConfigError(
                f"{self.folder} holds neither domain.yml nor a folder domain; name the bot's "
                "domain by --domain PATH"
            )
        return self.folder / "domain"

    def domain_files(self) -> List[Path]:
        """The files of the domain, sorted. Raises ConfigError as `domain_place`."""
        place = self.domain_place()
        if not place.is_dir():
            return [place]
        return sorted(path for path in place.rglob("*") if path.suffix in (".yml", ".yaml"))

    def endpoints_file(self) -> Path:
        """The endpoints, which a bot may lack. Raises ConfigError if a file that is named isn't
        there.
        """
        if self.endpoints is not None:
            return _file(self.endpoints, "rasa run --endpoints")
        return self.folder / "endpoints.yml"

    def name(self, path: Path) -> str:
        """The path of one of its files, from the bot's folder."""
        return Path(os.path.relpath(path, self.folder)).as_posix()

    def named(self) -> str:
        """The options of ours that name the same files."""
        given = (("config", self.config), ("domain", self.domain), ("endpoints", self.endpoints))
        return "".join(
            f" --{option} {shlex.quote(str(path))}" for option, path in given if path is not None
        )

    def train_command(self) -> str:
        """What trains the bot, typed in its folder. Raises ConfigError as the files do."""
        return "rasa train" + "".join(
            f" {option} {shlex.quote(self.name(path))}" for option, path in self._unusual()
        )

    def _unusual(self) -> Iterator[Tuple[str, Path]]:
        """What `rasa train` doesn't find by itself: of a domain, a folder, too."""
        for option, path, usual in (
            ("--config", self.config_file(), "config.yml"),
            ("--domain", self.domain_place(), "domain.yml"),
        ):
            if path.resolve() != (self.folder / usual).resolve():
                yield option, path


def _file(given: Path, option: str) -> Path:
    if not given.is_file():
        raise ConfigError(f"{given} is no file; name the one that `{option}` is given")
    return given

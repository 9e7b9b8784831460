"""Every error of our own that leaves the package; others of ours are caught within it.

    OnrampError
    ├── FormatError            a dialogue file that can't be read: file, line, mend
    ├── StoreError
    │   ├── StoreUnavailable   the database can't be reached, or was never created
    │   │   ├── StoreBusy      another process has been writing for longer than one waits
    │   │   └── StoreReadOnly  the database's user may read the store, and no more
    │   ├── NotFound           no such domain, dialogue or adapter version
    │   ├── LeaseError         a domain's job is another process's, or over
    │   └── Switched           a domain runs on another version than it did
    ├── CheckpointError        weights missing, truncated, or not what their digest says
    ├── ConfigError            a setting, option or environment variable that can't be used
    └── ActionFailed           an API call that got no usable answer

Each message is one line and ends with what to do about it. The command line prints it and exits
with 2; Rasa components turn it into InvalidConfigException at training and into an abstention with
a log line at run time. That of an ActionFailed may only say what happened: it is for the action
server's log and the slot `onramp_results`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

__all__ = [
    "ActionFailed",
    "CheckpointError",
    "ConfigError",
    "FormatError",
    "LeaseError",
    "NotFound",
    "OnrampError",
    "StoreBusy",
    "StoreError",
    "StoreReadOnly",
    "StoreUnavailable",
    "Switched",
]


class OnrampError(Exception):
    """Base of all of them."""


class FormatError(OnrampError):
    """A dialogue file that can't be read.

    `path` and `line` (1-based, None where the format has no lines) say where; `message` what is
    wrong, and `mend` what to do.
    """

    def __init__(
        self, message: str, *, path: Union[str, Path], line: Optional[int] = None, mend: str
    ):
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {message}; {mend}")
        self.path = Path(path)
        self.line = line
        self.message = message
        self.mend = mend


class StoreError(OnrampError):
    """Something about the database."""


class StoreUnavailable(StoreError):
    """The database can't be reached, or holds no tables of ours."""


class StoreBusy(StoreUnavailable):
    """Another process has been writing for longer than one waits."""


class StoreReadOnly(StoreUnavailable):
    """The database's user may read the store, and no more."""


class NotFound(StoreError):
    """No such domain, dialogue or adapter version."""


class LeaseError(StoreError):
    """A domain's job is another process's, or over."""


class Switched(StoreError):
    """A domain runs on another version than the one that a change was decided by."""


class CheckpointError(OnrampError):
    """Weights that are missing, truncated, or not what their digest says."""


class ConfigError(OnrampError):
    """A setting, option or environment variable that can't be used."""


class ActionFailed(OnrampError):
    """An API call that got no usable answer. One line, fit for a log; not meant for the user."""

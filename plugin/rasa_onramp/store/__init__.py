"""The store: domains, dialogues, labels, adapter versions, jobs, feedback and judgements in SQL.

    store = open_store()          # $RASA_ONRAMP_DATABASE_URL, or a file in the user's directory
    store.upgrade()               # create the tables, or bring them up to date
    store.dialogues.import_corpus(corpus)
    store.adapters.active("parcel_delivery")

Every error is one of rasa_onramp.errors'.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Optional, Type

from rasa_onramp.environment import is_variable
from rasa_onramp.errors import ConfigError
from rasa_onramp.store.adapter_rows import AdapterInfo, AdapterVersion, ReplyAdapter
from rasa_onramp.store.adapters import AdapterStore
from rasa_onramp.store.connect import default_url
from rasa_onramp.store.curves import Curve, CurveStore
from rasa_onramp.store.database import Database
from rasa_onramp.store.dialogues import DialogueStore
from rasa_onramp.store.digest import support_digest
from rasa_onramp.store.embeddings import Embeddings, EmbeddingStore
from rasa_onramp.store.feedback import THUMBS, Feedback, FeedbackStore
from rasa_onramp.store.intake import ImportReport, Intake
from rasa_onramp.store.job_rows import Job, Lease
from rasa_onramp.store.jobs import ATTEMPTS, LEASE_SECONDS, POLL_SECONDS, JobStore
from rasa_onramp.store.judgements import JudgementStore, Pick, Tally
from rasa_onramp.store.labels import Label, LabelStore
from rasa_onramp.store.rasa_events import RasaEvents
from rasa_onramp.store.revisions import follows
from rasa_onramp.store.summaries import DomainSummary
from rasa_onramp.store.support import SupportSet, read_support

__all__ = [
    "ATTEMPTS",
    "LEASE_SECONDS",
    "POLL_SECONDS",
    "THUMBS",
    "AdapterInfo",
    "AdapterStore",
    "AdapterVersion",
    "Curve",
    "CurveStore",
    "DialogueStore",
    "DomainSummary",
    "EmbeddingStore",
    "Embeddings",
    "Feedback",
    "FeedbackStore",
    "ImportReport",
    "Intake",
    "Job",
    "JobStore",
    "JudgementStore",
    "Label",
    "LabelStore",
    "Lease",
    "Pick",
    "RasaEvents",
    "ReplyAdapter",
    "Store",
    "SupportSet",
    "Tally",
    "follows",
    "open_store",
    "open_store_from_env",
    "support_digest",
]


class Store:
    """A database of domains. Safe to share between threads; connects when first used."""

    def __init__(self, url: str):
        self._database = Database(url)
        self.dialogues = DialogueStore(self._database)
        self.adapters = AdapterStore(self._database)
        self.jobs = JobStore(self._database)
        self.judgements = JudgementStore(self._database)
        self.feedback = FeedbackStore(self._database)
        self.labels = LabelStore(self._database)
        self.curves = CurveStore(self._database)
        self.embeddings = EmbeddingStore(self._database)

    @property
    def name(self) -> str:
        """Where the store is, fit for logs: the URL without its password, or the file."""
        return self._database.name

    @property
    def remote(self) -> bool:
        """Whether a server keeps it, which may be out of reach, rather than a file."""
        return self._database.remote

    def upgrade(self) -> None:
        """Create the tables, or bring older ones up to date. Raises StoreUnavailable."""
        self._database.upgrade()

    def support(self, domain: str, *, held_out: bool = True) -> SupportSet:
        """What `domain` is adapted on and answers from, at one moment; without the dialogues that
        are held out if they aren't wanted. Raises NotFound, StoreError, StoreUnavailable.
        """
        return read_support(self._database, domain, held_out)

    def revision(self) -> int:
        """A number that rises with every change of a schema, a dialogue, an active version, or
        feedback from which something is to be learned. Two of them tell whether they are of one
        store (`follows`).

        One cheap query, fit for every message of a chat. Raises StoreUnavailable.
        """
        return self._database.revision()

    def journal(self) -> Optional[str]:
        """How an SQLite file is written: with `wal` readers and a writer don't wait for each other,
        with anything else they do. None for other databases. Raises StoreUnavailable.
        """
        return self._database.journal()

    def try_writing(self) -> None:
        """Raises StoreUnavailable if nothing can be changed in the store; changes nothing."""
        self._database.try_writing()

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.name!r})"


def open_store(url: Optional[str] = None) -> Store:
    """The store at `url`; by default at $RASA_ONRAMP_DATABASE_URL, else the SQLite file onramp.db
    in $RASA_ONRAMP_HOME or ~/.rasa-onramp. Nothing is connected or created yet.

    Raises ConfigError for a URL that can't be used.
    """
    return Store(default_url() if url is None else url)


def open_store_from_env(variable: str) -> Store:
    """The store whose URL the environment variable `variable` holds. Raises ConfigError, which
    repeats the name only where it looks like one: it may be the URL itself.
    """
    url = os.environ.get(variable)
    if url:
        return Store(url)
    if is_variable(variable):
        raise ConfigError(
            f"the environment variable {variable} isn't set; set it to the store's database URL, "
            f"for example {variable}=sqlite:////path/to/onramp.db"
        )
    raise ConfigError(
        "no environment variable of the name that is given is set; set one to the store's database "
        "URL, and give its name"
    )

"""What the page can ask for: each method takes what a request says, and returns plain JSON.

They raise Refused, and OnrampError as the store and the engine do.
"""

from __future__ import annotations

import threading
from http import HTTPStatus
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from rasa_onramp import __version__
from rasa_onramp.actions.support_rows import support_rows
from rasa_onramp.actions.written_rows import parse_rows
from rasa_onramp.advice import advice
from rasa_onramp.console.chats import Asked, Chats, Turned
from rasa_onramp.console.helper import Helper
from rasa_onramp.console.overview import Overview
from rasa_onramp.console.uploads import MOST_BYTES, corpus_of
from rasa_onramp.console.views import (
    curve_view,
    feedback_view,
    import_view,
    job_view,
    schema_view,
    summary_view,
    turn_view,
    version_view,
)
from rasa_onramp.dialogue import unlabelled
from rasa_onramp.refusals import Refused, fields, without_place
from rasa_onramp.runtime.conversation import Engine
from rasa_onramp.store import Intake, Store

__all__ = ["Console"]

#: Seconds that a worker elsewhere has to take a job before the helper looks for it.
_HEAD_START = 3.0

Said = Mapping[str, Any]
Answer = Dict[str, Any]


class Console:
    """The requests of the page. Thread-safe.

    `engine` gives the bot's engine as it is now. `helper` adapts and measures on this machine; None
    leaves that to workers.
    """

    def __init__(self, engine: Callable[[], Engine], helper: Optional[Helper]):
        self._engine = engine
        self._helper = helper
        self._chats = Chats()
        self._overview = Overview()
        self._importing = threading.Lock()

    @property
    def _store(self) -> Store:
        return self._engine().store

    def status(self, said: Said) -> Answer:
        """Whether the token is right, and what the console can do."""
        fields(said, {})
        return {
            "version": __version__,
            "adapts_here": self._helper is not None,
            "most_bytes": MOST_BYTES,
        }

    def domains(self, said: Said) -> Answer:
        """All domains at a glance."""
        fields(said, {})
        store = self._store
        jobs = {job.domain: job for job in store.jobs.newest() if job.unfinished}
        return {
            "domains": [
                {
                    **summary_view(summary),
                    "job": job_view(jobs[summary.name]) if summary.name in jobs else None,
                }
                for summary in self._overview.read(store)
            ]
        }

    def domain(self, said: Said) -> Answer:
        """All that the page shows of a domain."""
        name = fields(said, {"domain": str})["domain"]
        store = self._store
        schema = store.dialogues.schema(name)
        summary = store.dialogues.glance(name)
        return {
            **summary_view(summary),
            "remade": store.dialogues.remade([summary]).get(name),
            **schema_view(schema),
            **self._progress(store, name, summary.support_digest),
            "versions": [version_view(info) for info in store.adapters.versions(name)],
            "feedback": [feedback_view(each) for each in store.feedback.list(name)],
        }

    def progress(self, said: Said) -> Answer:
        """How far a domain's adapting and its curve are."""
        name = fields(said, {"domain": str})["domain"]
        store = self._store
        return self._progress(store, name, store.dialogues.glance(name).support_digest)

    def take_in(self, said: Said) -> Answer:
        """Import files: all of them, or none; with `dry_run` say what that would do."""
        given = fields(said, {"files": list}, {"dry_run": bool})
        if not self._importing.acquire(blocking=False):
            problem = "another import is under way; try again in a moment"
            raise Refused(problem, HTTPStatus.CONFLICT)
        try:
            corpus = corpus_of(given["files"])
            dry_run = bool(given["dry_run"])
            how = Intake(unlabelled, dry_run=dry_run)
            report = self._store.dialogues.import_corpus(corpus, how=how)
        finally:
            self._importing.release()
        return import_view(corpus, report, advice(corpus, unlabelled), dry_run=dry_run)

    def adapt(self, said: Said) -> Answer:
        """Ask for a domain to be adapted; who does it is whoever comes first."""
        given = fields(said, {"domain": str}, {"force": bool, "switch_anyway": bool})
        store, name = self._store, given["domain"]
        job, _ = store.jobs.enqueue(
            name,
            asked_by="console",
            force=bool(given["force"]),
            switch_anyway=bool(given["switch_anyway"]),
        )
        if self._helper is not None:
            # without the option a worker looks for all that changed; with it a comma separates
            only = () if "," in name or name != name.strip() else ("--domains", name)
            self._helper.ask(
                _adapting(name),
                *("worker", "--once", *only),
                wait=_HEAD_START,
                needed=lambda: any(
                    job.state == "queued" or job.lapsed for job in store.jobs.of(name)
                ),
            )
        return {"job": job_view(job)}

    def measure_curve(self, said: Said) -> Answer:
        """Have a domain's few-shot curve measured on this machine."""
        name = fields(said, {"domain": str})["domain"]
        found = self._store.support(name)
        command = f"rasa-onramp curve {name}"
        if self._helper is None:
            problem = f"this bot measures nothing; on another machine, run: {command}"
            raise Refused(problem, HTTPStatus.CONFLICT)
        if not found.held_out:
            raise Refused(
                f"domain {name!r} has no held-out dialogues to measure on; import some with "
                "`split: held-out`",
                HTTPStatus.CONFLICT,
            )
        self._helper.ask(_curve_of(name), "curve", "--", name)
        return self._progress(self._store, name, found.digest)

    def versions(self, said: Said) -> Answer:
        """Switch, pin or unpin a version; `version` null is the checkpoint without an adapter."""
        given = fields(said, {"domain": str, "do": str}, {"version": int})
        adapters, domain, version = self._store.adapters, given["domain"], given["version"]
        does: Mapping[str, Callable[[], Any]] = {
            "activate": lambda: adapters.activate(domain, version),
            "rollback": lambda: adapters.rollback(domain),
            "pin": lambda: adapters.pin(domain, version),
            "unpin": lambda: adapters.unpin(domain, version),
        }
        if given["do"] not in does:
            raise Refused(f"'do' is {given['do']!r}; make it one of {', '.join(does)}")
        if version is None and given["do"] in ("pin", "unpin"):
            raise Refused("'version' is missing; give a whole number")
        before = adapters.in_use(domain).version
        does[given["do"]]()
        return {
            "versions": [version_view(info) for info in adapters.versions(domain)],
            "warning": adapters.switch_warning(domain, before),
        }

    def begin_chat(self, said: Said) -> Answer:
        """A new conversation, with one domain or (null) with the one each message is routed to."""
        domain = fields(said, {}, {"domain": str})["domain"]
        if domain is not None:
            self._store.dialogues.schema(domain)  # raises NotFound
        return {"chat": self._chats.begin(domain).id, "domain": domain}

    def message(self, said: Said) -> Answer:
        """Say something in a chat."""
        given = fields(said, {"chat": str, "text": str})
        engine = self._engine()
        return self._turned(engine, self._chats.get(given["chat"]).say(engine, given["text"]))

    def answer(self, said: Said) -> Answer:
        """Answer the API call that a chat waits for, in the way that `how` says: with `rows` as
        they are written there, with a `sample` from the support dialogues, or as one that `failed`.
        """
        given = fields(said, {"chat": str, "how": str}, {"rows": str})
        engine, chat, how = self._engine(), self._chats.get(given["chat"]), given["how"]
        call = chat.call
        if call is None:
            raise Refused("no API call waits for an answer", HTTPStatus.CONFLICT)
        rows: Optional[Sequence[Mapping[str, str]]] = None
        if how == "rows":
            try:
                action = engine.store.dialogues.schema(call.domain).action(call.name)
            except KeyError:
                problem = f"the domain has no {call.name} any more; say the last message again"
                raise Refused(problem, HTTPStatus.CONFLICT) from None
            try:
                rows = parse_rows(given["rows"] or "", action.result_slots)
            except ValueError as error:
                raise Refused(str(error)) from error
        elif how == "sample":
            rows = support_rows(engine.store, call)
            if rows is None:
                problem = f"no support dialogue calls {call.name}; write what it answers"
                raise Refused(problem, HTTPStatus.NOT_FOUND)
        elif how != "failed":
            raise Refused(f"'how' is {how!r}; make it one of rows, sample, failed")
        return self._turned(engine, chat.answer(engine, rows))

    def judge(self, said: Said) -> Answer:
        """Feedback on a reply of a chat."""
        optional = {"thumb": str, "corrected_reply": str, "corrected_state": dict}
        given = fields(said, {"chat": str, "reply": int}, optional)
        chat = self._chats.get(given.pop("chat"))
        feedback = chat.judge(
            given["reply"], given["thumb"], given["corrected_reply"], given["corrected_state"]
        )
        return {"id": self._store.feedback.add(feedback, brief=True), "domain": feedback.domain}

    def take_back(self, said: Said) -> Answer:
        """Delete feedback."""
        given = fields(said, {"domain": str, "id": str})
        self._store.feedback.remove(given["domain"], given["id"], brief=True)
        return {"id": given["id"], "domain": given["domain"]}

    def _progress(self, store: Store, name: str, digest: str) -> Answer:
        jobs, curve, helper = store.jobs.of(name), store.curves.get(name), self._helper

        def problem(task: str) -> Optional[str]:
            failure = None if helper is None else helper.failure(task)
            return without_place(failure, "see the bot's log")

        return {
            "job": job_view(jobs[0]) if jobs else None,
            "adapting": helper is not None and helper.busy(_adapting(name)),
            "job_problem": problem(_adapting(name)),
            "curve": None if curve is None else curve_view(curve, digest),
            "measuring": helper is not None and helper.busy(_curve_of(name)),
            "curve_problem": problem(_curve_of(name)),
        }

    @staticmethod
    def _turned(engine: Engine, turned: Turned) -> Answer:
        slots: Sequence[str] = ()
        if isinstance(turned, Asked):
            schema = engine.store.dialogues.schema(turned.call.domain)
            slots = schema.results_of(turned.call.name)
        return turn_view(turned, slots)


def _adapting(domain: str) -> str:
    return f"adapting {domain}"


def _curve_of(domain: str) -> str:
    return f"the curve of {domain}"

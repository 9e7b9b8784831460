"""All checks, one after the other."""

from __future__ import annotations

from functools import partial
from typing import Callable, Iterable, Iterator, List, Optional, Tuple

from rasa_onramp.doctor.bot import (
    credential_findings,
    endpoint_findings,
    file_findings,
    pipeline_findings,
    session_findings,
)
from rasa_onramp.doctor.findings import Finding, guarded
from rasa_onramp.doctor.models import (
    encoder_findings,
    gpu_findings,
    language_model_findings,
    metric_findings,
    reply_findings,
    spacy_findings,
    tracker_findings,
)
from rasa_onramp.doctor.own_actions import action_findings
from rasa_onramp.doctor.packages import package_findings
from rasa_onramp.doctor.stored import store_findings
from rasa_onramp.doctor.subject import subject_of
from rasa_onramp.doctor.trained import model_findings
from rasa_onramp.rasa_project import RasaProject

__all__ = ["examine"]

_Check = Tuple[str, Callable[[], Iterable[Finding]]]


def examine(project: Optional[RasaProject] = None, *, progress: bool = False) -> Iterator[Finding]:
    """What is found, as it is found; `project` is a Rasa bot to look at too. Nothing is changed,
    nothing is fetched, and no error is raised.
    """
    subject = subject_of(project)
    checks: List[_Check] = [
        ("packages", partial(package_findings, needs_rasa=project is not None)),
        ("gpu", gpu_findings),
        ("spacy", spacy_findings),
        ("tracker", partial(tracker_findings, subject)),
        ("replies", partial(reply_findings, subject)),
        ("metrics", partial(metric_findings, subject)),
        ("encoder", partial(encoder_findings, subject)),
        ("language model", partial(language_model_findings, subject)),
        ("store", partial(store_findings, subject, progress)),
    ]
    if project is not None:
        checks += [
            ("bot", partial(file_findings, project)),
            ("sessions", partial(session_findings, project)),
            ("config.yml", partial(pipeline_findings, subject)),
            ("endpoints.yml", partial(endpoint_findings, project)),
            ("credentials.yml", partial(credential_findings, project)),
            ("actions", partial(action_findings, subject)),
            ("model", partial(model_findings, project)),
        ]
    for name, check in checks:
        yield from guarded(name, check)

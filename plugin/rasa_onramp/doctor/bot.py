"""Whether a Rasa bot's files have us, in the right places."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Optional

from rasa_onramp.botfiles import MODEL, TRACKER, carries_slots_over, component_entries, plan_edits
from rasa_onramp.channel_token import is_variable, token_flaw
from rasa_onramp.doctor.findings import Finding, ok, problem, warning
from rasa_onramp.doctor.subject import Subject, channel_settings
from rasa_onramp.yaml_edit import YamlFile

__all__ = [
    "credential_findings",
    "endpoint_findings",
    "file_findings",
    "pipeline_findings",
    "session_findings",
]


def file_findings(
    project: Path, domain: Optional[Path] = None, endpoints: Optional[Path] = None
) -> Iterator[Finding]:
    """What config.yml, the domain and endpoints.yml (at `domain` and `endpoints` if these are
    given) lack. Raises ConfigError, FormatError.
    """
    edits = plan_edits(project, domain=domain, endpoints=endpoints)
    more = "" if domain is None else f" --domain {domain}"
    more += "" if endpoints is None else f" --endpoints {endpoints}"
    for edit in edits.files:
        lacks = ", ".join(edit.adds)
        yield problem(
            edits.name(edit),
            f"it lacks {lacks}; `rasa-onramp init --bot {project}{more}` adds what is missing",
        )
    if not edits:
        named = (endpoints or Path("endpoints.yml")).name
        yield ok("bot", f"{project}: config.yml, domain and {named} have us")


def pipeline_findings(subject: Subject) -> Iterator[Finding]:
    """The order of the pipeline, and what it needs besides. Raises FormatError."""
    assert subject.project is not None
    file = YamlFile.read(subject.project / "config.yml")
    entries = component_entries(file, "pipeline")
    names = [_short(str(entry["name"])) for entry in entries]
    flaws = [*_order(names), *_variable(subject), *_models(entries)]
    for flaw in flaws:
        yield problem("config.yml", flaw)
    if not flaws:
        yield ok("config.yml", "the pipeline is in order")


def endpoint_findings(project: Path, endpoints: Optional[Path] = None) -> Iterator[Finding]:
    """What endpoints.yml, or the file `endpoints`, has that we can't work with. Raises
    FormatError.
    """
    path = endpoints or project / "endpoints.yml"
    if path.is_file() and YamlFile.read(path).data.get("nlu"):
        yield problem(
            path.name,
            "an NLU server (`nlu`) is sent no conversation, so that every message would be the "
            "first to us; take `nlu` out and run the whole model in one server",
        )


def session_findings(project: Path, domain: Optional[Path] = None) -> Iterator[Finding]:
    """What a new session has of the one before; `domain` as of `file_findings`. Raises ConfigError,
    FormatError.
    """
    if carries_slots_over(project, domain):
        yield warning(
            "sessions",
            "Rasa copies all that slots were ever set to, ours too, into each new session, so that "
            "a user's conversation grows with the square of their sessions; where your bot doesn't "
            "need it, set carry_over_slots_to_new_session under session_config in the domain to "
            "false",
        )


def credential_findings(project: Path) -> Iterator[Finding]:
    """Our channels in credentials.yml, which `rasa run` refuses to start without. Raises
    FormatError.
    """
    for name, settings in channel_settings(project).items():
        flaw = _channel(name, settings)
        if flaw is not None:
            yield problem("credentials.yml", f"{flaw}, or `rasa run` won't start")
        else:
            yield ok("credentials.yml", f"{_short(name)} has its token")


def _order(names: List[str]) -> Iterator[str]:
    tracker, model = _short(TRACKER), _short(MODEL)
    if tracker not in names or model not in names:
        return  # file_findings says so
    place = names.index(tracker)
    if names.index(model) > place:
        yield f"{tracker} stands before {model}, which it needs; put {model} before it"
    later = [name for name in names[place + 1 :] if name.endswith("Classifier")]
    if later:
        yield (
            f"{', '.join(later)} after {tracker} would take its messages away; "
            f"move {tracker} to the pipeline's end"
        )


def _variable(subject: Subject) -> Iterator[str]:
    variable = subject.database_variable
    if variable is None:
        return
    if not is_variable(variable):  # not repeated: it may hold a password
        yield (
            "database_url_env doesn't name an environment variable that is set; put the store's "
            "URL in one and the variable's name here"
        )


def _models(entries: List[Mapping[str, Any]]) -> Iterator[str]:
    """The spaCy pipelines that the bot's own components load."""
    for entry in entries:
        model = entry.get("model")
        if _short(str(entry["name"])) != "SpacyNLP" or not isinstance(model, str):
            continue
        if not Path(model).exists() and (not model.isidentifier() or find_spec(model) is None):
            yield f"SpacyNLP's model {model} isn't installed; python -m spacy download {model}"


def _channel(name: str, settings: Any) -> Optional[str]:
    variable = settings.get("token_env") if isinstance(settings, Mapping) else None
    if not isinstance(variable, str) or not is_variable(variable):
        return f"{_short(name)} needs token_env, the name of an environment variable that is set"
    flaw = token_flaw(variable)
    return flaw and f"{variable}, which {_short(name)} names, {flaw}"


def _short(name: str) -> str:
    return name.rpartition(".")[2]

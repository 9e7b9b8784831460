"""Whether a Rasa bot's files have us, in the right places."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Optional

from rasa_onramp.botfiles import MODEL, TRACKER, component_entries, plan_edits
from rasa_onramp.channel_token import is_variable, token_flaw
from rasa_onramp.doctor.findings import Finding, ok, problem
from rasa_onramp.doctor.subject import Subject, channel_settings
from rasa_onramp.yaml_edit import YamlFile

__all__ = ["credential_findings", "endpoint_findings", "file_findings", "pipeline_findings"]


def file_findings(project: Path, domain: Optional[Path] = None) -> Iterator[Finding]:
    """What config.yml, the domain (at `domain` if it is given) and endpoints.yml lack. Raises
    ConfigError, FormatError.
    """
    edits = plan_edits(project, domain=domain)
    more = "" if domain is None else f" --domain {domain}"
    for edit in edits.files:
        lacks = ", ".join(edit.adds)
        yield problem(
            edits.name(edit),
            f"it lacks {lacks}; `rasa-onramp init --bot {project}{more}` adds what is missing",
        )
    if not edits:
        yield ok("bot", f"{project}: config.yml, domain and endpoints.yml have us")


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


def endpoint_findings(project: Path) -> Iterator[Finding]:
    """What endpoints.yml has that we can't work with. Raises FormatError."""
    path = project / "endpoints.yml"
    if path.is_file() and YamlFile.read(path).data.get("nlu"):
        yield problem(
            "endpoints.yml",
            "an NLU server (`nlu`) is sent no conversation, so that every message would be the "
            "first to us; take `nlu` out and run the whole model in one server",
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
    if "://" in variable:  # not repeated: it may hold a password
        yield (
            "database_url_env holds a URL; put the URL in an environment variable and that "
            "variable's name here"
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

"""Whether a Rasa bot's files have us, in the right places."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Optional

from rasa_onramp.botfiles import MODEL, TRACKER, carries_slots_over, component_entries, plan_edits
from rasa_onramp.channel_token import token_flaw
from rasa_onramp.doctor.findings import Finding, ok, problem, warning
from rasa_onramp.doctor.subject import Subject, channel_settings
from rasa_onramp.environment import is_variable
from rasa_onramp.rasa_project import RasaProject
from rasa_onramp.yaml_edit import YamlFile

__all__ = [
    "credential_findings",
    "endpoint_findings",
    "file_findings",
    "pipeline_findings",
    "session_findings",
]


def file_findings(project: RasaProject) -> Iterator[Finding]:
    """What config.yml, the domain and endpoints.yml lack. Raises ConfigError, FormatError."""
    edits = plan_edits(project)
    command = f"rasa-onramp init --bot {project.folder}{project.named()}"
    for edit in edits.files:
        lacks = ", ".join(edit.adds)
        yield problem(edits.name(edit), f"it lacks {lacks}; `{command}` adds what is missing")
    if not edits:
        config, endpoints = project.config_file().name, project.endpoints_file().name
        yield ok("bot", f"{project.folder}: {config}, domain and {endpoints} have us")


def pipeline_findings(subject: Subject) -> Iterator[Finding]:
    """The order of the pipeline, and what it needs besides. Raises ConfigError, FormatError."""
    assert subject.project is not None
    file = YamlFile.read(subject.project.config_file())
    entries = component_entries(file, "pipeline")
    names = [_short(str(entry["name"])) for entry in entries]
    flaws = [*_order(names), *_settings(entries), *_models(entries)]
    for flaw in flaws:
        yield problem(file.path.name, flaw)
    if not flaws:
        yield ok(file.path.name, "the pipeline is in order")


def endpoint_findings(project: RasaProject) -> Iterator[Finding]:
    """What endpoints.yml has that we can't work with. Raises ConfigError, FormatError."""
    path = project.endpoints_file()
    if path.is_file() and YamlFile.read(path).data.get("nlu"):
        yield problem(
            path.name,
            "an NLU server (`nlu`) is sent no conversation, so that every message would be the "
            "first to us; take `nlu` out and run the whole model in one server",
        )


def session_findings(project: RasaProject) -> Iterator[Finding]:
    """What a new session has of the one before. Raises ConfigError, FormatError."""
    if carries_slots_over(project):
        yield warning(
            "sessions",
            "Rasa copies all that slots were ever set to, ours too, into each new session, so that "
            "a user's conversation grows with the square of their sessions; where your bot doesn't "
            "need it, set carry_over_slots_to_new_session under session_config in the domain to "
            "false",
        )


def credential_findings(project: RasaProject) -> Iterator[Finding]:
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
    behind = names[place + 1 :]
    takers = [name for name in behind if name.endswith("Classifier")]
    adders = [name for name in behind if name.endswith(("Extractor", "EntitySynonymMapper"))]
    for later, does in ((takers, "take its messages away"), (adders, "change their entities")):
        if later:
            said = f"{', '.join(later)} after {tracker} would {does}"
            yield f"{said}; move {tracker} to the pipeline's end"


def _settings(entries: List[Mapping[str, Any]]) -> Iterator[str]:
    """What `rasa train` refuses of our settings."""
    from rasa_onramp.runtime.settings import ModelSettings, check_keys

    for entry in entries:
        name = _short(str(entry["name"]))
        if name == _short(MODEL):
            yield from ModelSettings.problems_of(entry)
        elif name == _short(TRACKER):
            yield from check_keys(name, entry, {})


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

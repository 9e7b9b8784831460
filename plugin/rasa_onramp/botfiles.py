"""`rasa-onramp init --bot DIR`: the few edits that add us to an existing Rasa bot.

    edits = plan_edits(RasaProject(Path("mybot")))
    print(edits.diff())
    edits.apply()

config.yml gets the two pipeline components and the policy; the domain the intent, slots, action and
response they use; endpoints.yml the response generator and an action server. What is there already
stays, so that planning again after applying finds nothing to do.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Mapping, Sequence, Tuple

from rasa_onramp.bot_edits import BotEdits, FileEdit
from rasa_onramp.errors import FormatError
from rasa_onramp.rasa_names import DISPATCHER, INTENT, KEY, REPLY, RESULTS
from rasa_onramp.rasa_project import RasaProject
from rasa_onramp.yaml_edit import YamlFile

__all__ = [
    "MODEL",
    "POLICY",
    "TRACKER",
    "BotEdits",
    "FileEdit",
    "carries_slots_over",
    "component_entries",
    "declared_actions",
    "plan_edits",
]

#: The classes that a bot's files name.
MODEL = "rasa_onramp.components.OnrampModel"
TRACKER = "rasa_onramp.components.OnrampStateTracker"
POLICY = "rasa_onramp.components.OnrampPolicy"
GENERATOR = "rasa_onramp.components.OnrampResponseGenerator"

SLOTS = (KEY, RESULTS)
APOLOGY = "Sorry, I can't help with that right now."
ACTION_SERVER = "http://localhost:5055/webhook"

#: What Rasa 3.6 trains where config.yml leaves pipeline or policies empty.
_RASA_PIPELINE: Tuple[Dict[str, Any], ...] = (
    {"name": "WhitespaceTokenizer"},
    {"name": "RegexFeaturizer"},
    {"name": "LexicalSyntacticFeaturizer"},
    {"name": "CountVectorsFeaturizer"},
    {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
    {"name": "DIETClassifier", "epochs": 100, "constrain_similarities": True},
    {"name": "EntitySynonymMapper"},
    {"name": "ResponseSelector", "epochs": 100, "constrain_similarities": True},
    {"name": "FallbackClassifier", "threshold": 0.3, "ambiguity_threshold": 0.1},
)
_RASA_POLICIES: Tuple[Dict[str, Any], ...] = (
    {"name": "MemoizationPolicy"},
    {"name": "RulePolicy"},
    {"name": "UnexpecTEDIntentPolicy", "max_history": 5, "epochs": 100},
    {"name": "TEDPolicy", "max_history": 5, "epochs": 100, "constrain_similarities": True},
)


def plan_edits(
    project: RasaProject, *, database_url_env: str = "RASA_ONRAMP_DATABASE_URL"
) -> BotEdits:
    """What has to change in the bot.

    `database_url_env` names the environment variable that will hold the store's URL. Raises
    ConfigError if it is no Rasa bot, FormatError if one of its files can't be read.
    """
    files = [
        _config(YamlFile.read(project.config_file()), database_url_env),
        _domain(project),
        _endpoints(YamlFile.read(project.endpoints_file())),
    ]
    changed = ((f, adds) for f, adds in files if f.text != (f.before or ""))
    found = tuple(FileEdit(f.path, f.before, f.text, tuple(adds)) for f, adds in changed)
    return BotEdits(project.folder, found)


def _config(file: YamlFile, variable: str) -> Tuple[YamlFile, List[str]]:
    model = {"name": MODEL, "database_url_env": variable}
    pipeline, policies = _names(file, "pipeline"), _names(file, "policies")
    if _has(pipeline, TRACKER) and not _has(pipeline, MODEL):
        number = next(n for n, name in enumerate(pipeline) if _has([name], TRACKER))
        raise FormatError(
            "OnrampStateTracker stands without OnrampModel before it",
            path=file.path,
            line=file.line("pipeline", number),
            mend="delete it and run the command again",
        )
    ours: List[Dict[str, Any]] = [] if _has(pipeline, MODEL) else [model]
    ours += [] if _has(pipeline, TRACKER) else [{"name": TRACKER}]
    file.append("pipeline", [*_unless(file, "pipeline", _RASA_PIPELINE), *ours] if ours else [])
    adds = [str(entry["name"]) for entry in ours]
    if not _has(policies, POLICY):
        file.append("policies", [*_unless(file, "policies", _RASA_POLICIES), {"name": POLICY}])
        adds.append(POLICY)
    return file, adds


def _unless(
    file: YamlFile, key: str, default: Sequence[Dict[str, Any]]
) -> Sequence[Dict[str, Any]]:
    """What Rasa takes for `key` where the file says nothing of it; an empty list means none."""
    return default if file.data.get(key) is None else []


def _domain(project: RasaProject) -> Tuple[YamlFile, List[str]]:
    place = project.domain_place()
    file = YamlFile.read(place / "onramp.yml" if place.is_dir() else place)
    others = [YamlFile.read(path) for path in project.domain_files() if path != file.path]
    parts = [file, *others]
    known = {key: _known(parts, key) for key in ("intents", "slots", "actions", "responses")}
    _no_clash(parts)
    missing = {name: _slot() for name in SLOTS if name not in known["slots"]}
    adds = [f"intent {INTENT}"] if INTENT not in known["intents"] else []
    adds += [f"slot {name}" for name in missing]
    adds += [f"action {DISPATCHER}"] if DISPATCHER not in known["actions"] else []
    adds += [f"response {REPLY}"] if REPLY not in known["responses"] else []
    if not adds:
        return file, adds
    if file.before is None:
        version = next((str(p.data["version"]) for p in others if "version" in p.data), "3.1")
        file.begin(f'version: "{version}"\n')
    file.append("intents", [] if INTENT in known["intents"] else [INTENT])
    file.merge("slots", missing)
    file.append("actions", [] if DISPATCHER in known["actions"] else [DISPATCHER])
    file.merge("responses", {} if REPLY in known["responses"] else {REPLY: [{"text": APOLOGY}]})
    return file, adds


def declared_actions(project: RasaProject) -> FrozenSet[str]:
    """The actions that the bot's domain lists. Raises ConfigError, FormatError."""
    return frozenset(_known(_domain_files(project), "actions"))


def carries_slots_over(project: RasaProject) -> bool:
    """Whether a new session of the bot begins with the slots of the one before, as it does unless
    its domain says otherwise. Raises ConfigError, FormatError.
    """
    sessions = [file.data.get("session_config") for file in _domain_files(project)]
    return not any(
        isinstance(session, Mapping) and session.get("carry_over_slots_to_new_session") is False
        for session in sessions
    )


def _domain_files(project: RasaProject) -> List[YamlFile]:
    return [YamlFile.read(path) for path in project.domain_files()]


def _slot() -> Dict[str, Any]:
    return {"type": "any", "mappings": [{"type": "custom"}]}


def _endpoints(file: YamlFile) -> Tuple[YamlFile, List[str]]:
    adds: List[str] = []
    nlg = file.data.get("nlg")
    if nlg is not None and not isinstance(nlg, Mapping):
        raise FormatError(
            "nlg isn't a mapping",
            path=file.path,
            line=file.line("nlg"),
            mend="write `nlg:` and `type:`",
        )
    kind = (nlg or {}).get("type")
    if kind != GENERATOR:
        # what the bot spoke through before answers everything but utter_onramp
        delegate = {} if kind in (None, "callback", "response") else {"delegate": str(kind)}
        file.merge("nlg", {"type": GENERATOR, **delegate})
        adds.append(f"nlg type {GENERATOR}")
    if "action_endpoint" not in file.data:
        file.merge("action_endpoint", {"url": ACTION_SERVER})
        adds.append("action_endpoint")
    return file, adds


def component_entries(file: YamlFile, key: str) -> List[Mapping[str, Any]]:
    """The entries of a list of components in config.yml, each of which has a name.

    Raises FormatError where that isn't so.
    """
    entries = file.data.get(key)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise FormatError(
            f"{key} isn't a list",
            path=file.path,
            line=file.line(key),
            mend="write `- name: …` lines",
        )
    for number, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str):
            raise FormatError(
                f"entry {number + 1} of {key} has no name",
                path=file.path,
                line=file.line(key, number),
                mend="write `- name: …`",
            )
    return entries


def _names(file: YamlFile, key: str) -> List[str]:
    return [entry["name"] for entry in component_entries(file, key)]


def _has(names: Sequence[str], component: str) -> bool:
    short = component.rpartition(".")[2]
    return any(name.rpartition(".")[2] == short for name in names)


def _known(files: Sequence[YamlFile], key: str) -> List[str]:
    """The names that a key of the domain holds: a mapping's, or a list's of names or mappings."""
    names: List[str] = []
    for file in files:
        entries = file.data.get(key)
        wanted = list if key in ("intents", "actions") else Mapping
        if entries is None:
            continue
        if not isinstance(entries, wanted):
            kind = "a list" if wanted is list else "a mapping"
            raise FormatError(
                f"{key} isn't {kind}", path=file.path, line=file.line(key), mend=f"make it {kind}"
            )
        for entry in entries:
            names += list(entry) if isinstance(entry, Mapping) else [str(entry)]
    return names


def _no_clash(files: Sequence[YamlFile]) -> None:
    for file in files:
        for name in SLOTS:
            slot = (file.data.get("slots") or {}).get(name)
            if slot is not None and (not isinstance(slot, Mapping) or slot.get("type") != "any"):
                raise FormatError(
                    f"the bot has a slot {name!r} of its own",
                    path=file.path,
                    line=file.line("slots", name),
                    mend="rename that slot, or give it type any if it is ours",
                )

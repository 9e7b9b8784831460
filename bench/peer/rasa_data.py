"""Rasa's training data from support dialogues, as one who writes a Rasa bot for them would.

- Intents: the state's active intent with what the turn does, `FindBus_inform`, `FindBus_ask`,
  `FindBus_inform_ask`, or `FindBus_other` (yes, no, thanks); `out_of_scope` where it has no state.
- Entities: one a slot. The dialogues' own spans, and for new values without a span the place where
  a form of the value stands in the text ("two" for 2), with the value as its synonym. A value that
  stands nowhere in the text (the user takes an offer, or any will do) can't be an entity.
- Slots: filled from their entities (`from_entity`); listed values have a lookup table and synonyms.
- Replies: delexicalised as for our own generator, and grouped into actions by what they do (which
  slots they ask for, which they state): `utter_ask_city`, `utter_tell_price`.
- Stories: one a dialogue, with entities, slots, API calls (`action_FindBus`, which sets
  `results_found`) and replies.
- ResponseSelector: each message of intent `X` that the reply `utter_Y` answers is an example of the
  retrieval intent `X/Y`, whose responses are the ones of `utter_Y`.

The pipeline and the policies are those of `rasa init`, at 100 epochs, but for the two fallbacks,
which would only cost Rasa turns here. TED has the history of five turns that `rasa init` gives it.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from ruamel.yaml import YAML

from peer.rasa_labels import (
    FOUND,
    action_name,
    changes,
    entities,
    intent_name,
    replies_by_turn,
    reply_name,
)
from rasa_onramp.dialogue import Dialogue, Schema, Span, State, Turn
from rasa_onramp.generator.forms import surfaces
from rasa_onramp.generator.replies import support_replies

__all__ = ["CRF", "DIET_TED", "LABELS", "training_data", "write_project"]

#: What isn't in Rasa's files: which active intent a Rasa intent stands for.
LABELS = "labels.json"

_TOKENS: List[Dict[str, Any]] = [
    {"name": "WhitespaceTokenizer"},
    {"name": "RegexFeaturizer"},
]

#: `rasa init`'s pipeline and policies.
DIET_TED: Dict[str, Any] = {
    "pipeline": [
        *_TOKENS,
        {"name": "LexicalSyntacticFeaturizer"},
        {"name": "CountVectorsFeaturizer"},
        {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
        {"name": "DIETClassifier", "epochs": 100, "constrain_similarities": True},
        {"name": "EntitySynonymMapper"},
        {"name": "ResponseSelector", "epochs": 100, "constrain_similarities": True},
    ],
    "policies": [
        {"name": "MemoizationPolicy"},
        {"name": "RulePolicy", "enable_fallback_prediction": False},
        {"name": "TEDPolicy", "max_history": 5, "epochs": 100, "constrain_similarities": True},
    ],
}

#: Rasa's CRF with its defaults; it knows entities only, and reads no message without features.
CRF: Dict[str, Any] = {
    "pipeline": [
        *_TOKENS,
        {"name": "LexicalSyntacticFeaturizer"},
        {"name": "CRFEntityExtractor"},
        {"name": "EntitySynonymMapper"},
    ],
    "policies": [{"name": "MemoizationPolicy"}],
}


@dataclass(frozen=True)
class _Example:
    intent: str
    text: str  # with Rasa's marks


def write_project(
    folder: Path, schema: Schema, support: Sequence[Dialogue], config: Mapping[str, Any], seed: int
) -> None:
    """A Rasa project in `folder`, ready for `rasa train`. `seed` is its components' random seed."""
    (folder / "data").mkdir(parents=True)
    seeded = {
        "recipe": "default.v1",
        "assistant_id": "peer",
        "language": "en",
        **{part: [_seeded(one, seed) for one in config[part]] for part in ("pipeline", "policies")},
    }
    files = {"config.yml": seeded, **training_data(schema, support)}
    for name, content in files.items():
        (folder / name).write_text(_yaml(content), encoding="utf-8")
    labels = {
        intent_name(turn, before): turn.state.active_intent if turn.state is not None else None
        for dialogue in support
        for turn, before in _user_turns(dialogue)
    }
    (folder / LABELS).write_text(json.dumps(labels), encoding="utf-8")


def training_data(schema: Schema, support: Sequence[Dialogue]) -> Dict[str, Dict[str, Any]]:
    """The domain, the NLU examples and the stories, by the file's name."""
    replies = support_replies(schema, support)
    responses: Dict[str, List[str]] = {}
    for reply in replies:
        texts = responses.setdefault(reply_name(reply), [])
        if reply.template.text not in texts:
            texts.append(reply.template.text)
    examples = [one for dialogue in support for one in _examples(schema, dialogue)]
    selected = sorted({e.intent for e in examples if "/" in e.intent})
    answers = {
        **responses,
        **{f"utter_{name}": responses[f"utter_{name.split('/')[1]}"] for name in selected},
    }
    nlu: List[Dict[str, Any]] = []
    for intent in dict.fromkeys(e.intent for e in examples):
        texts = dict.fromkeys(e.text for e in examples if e.intent == intent)
        nlu.append({"intent": intent, "examples": [{"text": text} for text in texts]})
    tracked = [slot.name for slot in schema.slots if slot.name in schema.tracked_slots]
    filled = {p.name for reply in replies for p in reply.template.placeholders}
    return {
        "domain.yml": {
            "version": "3.1",
            "intents": sorted({e.intent.split("/")[0] for e in examples}),
            "entities": tracked,
            "slots": {
                **{name: _slot("text", True, [_from_entity(name)]) for name in tracked},
                **{name: _slot("text", False) for name in sorted(filled - set(tracked))},
                FOUND: _slot("bool", True),
            },
            "actions": [action_name(action.name) for action in schema.actions],
            "responses": {
                name: [{"text": text} for text in texts] for name, texts in answers.items()
            },
            "session_config": {
                "session_expiration_time": 0,
                "carry_over_slots_to_new_session": False,
            },
        },
        "data/nlu.yml": {"version": "3.1", "nlu": [*nlu, *_listed_values(schema)]},
        "data/stories.yml": {
            "version": "3.1",
            "stories": [_story(schema, dialogue) for dialogue in support],
        },
    }


def _user_turns(dialogue: Dialogue) -> List[Tuple[Turn, State]]:
    """The user turns, each with the state before it."""
    found, before = [], State()
    for turn in dialogue.turns:
        if turn.is_user:
            found.append((turn, before))
            before = turn.state or before
    return found


def _examples(schema: Schema, dialogue: Dialogue) -> List[_Example]:
    replies = replies_by_turn(schema, dialogue)
    found, before = [], State()
    for number, turn in enumerate(dialogue.turns):
        if not turn.is_user:
            continue
        intent = intent_name(turn, before)
        if number + 1 in replies:
            intent += "/" + reply_name(replies[number + 1])[len("utter_") :]
        found.append(_Example(intent, _marked(turn.text, entities(schema, turn, before))))
        before = turn.state or before
    return found


def _marked(text: str, found: Sequence[Tuple[Span, str]]) -> str:
    """The text with entities as Rasa marks them."""
    parts, position = [], 0
    for span, value in found:
        said = _plain(text[span.start : span.end])
        about = {"entity": span.slot}
        if value != said:
            about["value"] = _plain(value)
        parts.append(_plain(text[position : span.start]))
        parts.append(f"[{said}]{json.dumps(about, ensure_ascii=False)}")
        position = span.end
    return "".join([*parts, _plain(text[position:])]).strip()


def _plain(text: str) -> str:
    """Without the characters that mean something in Rasa's examples; as long as before."""
    return text.translate(str.maketrans("[]{}\n\r", "()()  "))


def _story(schema: Schema, dialogue: Dialogue) -> Dict[str, Any]:
    replies = replies_by_turn(schema, dialogue)
    steps: List[Dict[str, Any]] = []
    before = State()
    for number, turn in enumerate(dialogue.turns):
        if turn.is_user:
            said = [{span.slot: value} for span, value in entities(schema, turn, before)]
            step: Dict[str, Any] = {"intent": intent_name(turn, before)}
            steps.append({**step, "entities": said} if said else step)
            now = turn.state or before
            steps += _set(
                {
                    **{slot: None for slot in before.values if not now.values.get(slot)},
                    **{slot: values[0] for slot, values in changes(before, now).items()},
                },
                schema.tracked_slots,
            )
            before = now
        elif number in replies:
            if turn.action is not None:
                steps.append({"action": action_name(turn.action)})
                steps.append({"slot_was_set": [{FOUND: bool(turn.results)}]})
            steps.append({"action": reply_name(replies[number])})
    return {"story": dialogue.id, "steps": steps}


def _set(values: Mapping[str, Optional[str]], tracked: FrozenSet[str]) -> List[Dict[str, Any]]:
    known = [{slot: value} for slot, value in values.items() if slot in tracked]
    return [{"slot_was_set": known}] if known else []


# -- the domain ----------------------------------------------------------------------------------


def _slot(
    kind: str, influences: bool, mappings: Sequence[Mapping[str, str]] = ({"type": "custom"},)
) -> Dict[str, Any]:
    return {
        "type": kind,
        "influence_conversation": influences,
        "mappings": [dict(one) for one in mappings],
    }


def _from_entity(name: str) -> Dict[str, str]:
    return {"type": "from_entity", "entity": name}


def _listed_values(schema: Schema) -> List[Dict[str, Any]]:
    """Lookup tables and synonyms of the listed values: the schema is every method's to read."""
    found: List[Dict[str, Any]] = []
    for slot in schema.slots:
        values = [value for value in slot.values if value not in ("True", "False")]
        if not values or slot.name not in schema.tracked_slots:
            continue
        found.append({"lookup": slot.name, "examples": _listing(values)})
        for value in values:
            others = dict.fromkeys(text.lower() for text, _ in surfaces(value))
            found.append({"synonym": value, "examples": _listing(list(others))})
    return found


def _listing(texts: Sequence[str]) -> str:
    return "".join(f"- {_plain(text)}\n" for text in texts)


def _seeded(component: Mapping[str, Any], seed: int) -> Dict[str, Any]:
    if component["name"] in ("DIETClassifier", "ResponseSelector", "TEDPolicy"):
        return {**component, "random_seed": seed}
    return dict(component)


def _yaml(content: Mapping[str, Any]) -> str:
    yaml: Any = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.width = 2**30
    yaml.allow_unicode = True
    stream = io.StringIO()
    yaml.dump(dict(content), stream)
    return stream.getvalue()

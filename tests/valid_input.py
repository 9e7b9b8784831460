"""A small valid file of every format that dialogues come in, for tests that damage them."""

from __future__ import annotations

from typing import Any, Dict, List

from rasa_onramp.formats.yaml import parse_yaml

__all__ = [
    "TAXI",
    "VALID_EVENTS",
    "VALID_LOG",
    "VALID_REPLIES",
    "VALID_SGD",
    "VALID_STORIES",
    "VALID_YAML",
]

VALID_YAML = """\
onramp: "1.0"
domain:
  name: taxi
  slots:
    - {name: place, description: Where to}
    - {name: size, values: [Small, Extra large]}
  intents:
    - {name: book, required_slots: [place], optional_slots: {size: dontcare}}
  actions:
    - {name: send, required_slots: [place], result_slots: [size], url: "http://a.example"}
dialogues:
  - id: d1
    split: support
    turns:
      - user: "to [Leeds](place)"
        intent: book
        requested: [size]
      - system: "ok, [small](size)"
        action: send
        parameters: {place: Leeds}
        results: [{size: Small}]
      - user: "bye"
        set: {size: [Small, dontcare]}
        clear: [place]
"""

TAXI = parse_yaml(VALID_YAML, "x.yml").schemas["taxi"]

VALID_STORIES = """\
nlu:
  - intent: book
    examples: |
      - to [Leeds](place)
responses:
  utter_ok: [{text: "To {place}.", buttons: [{title: Small, payload: /small}]}]
stories:
  - story: s
    steps:
      - or: [{intent: book, entities: [{place: York}]}, {user: '[Hull]{"entity": "place"}'}]
      - action: utter_ok
      - user: /small
        intent: book
      - slot_was_set: [{size: small}]
      - action: send
      - bot: bye
"""

VALID_LOG: List[Dict[str, Any]] = [
    {
        "conversation": "c",
        "speaker": "user",
        "text": "to Leeds",
        "time": 1,
        "intent": "book",
        "slots": {"place": "Leeds"},
        "requested": ["size"],
        "spans": [{"slot": "place", "start": 3, "end": 8}],
    },
    {
        "conversation": "c",
        "speaker": "system",
        "text": "ok",
        "time": 2,
        "split": "support",
        "action": "send",
        "parameters": {"place": "Leeds"},
        "results": [{"size": "Small"}],
    },
]

VALID_EVENTS: List[Any] = [
    {"event": "session_started"},
    {
        "event": "user",
        "text": "to Leeds",
        "parse_data": {
            "intent": {"name": "book"},
            "entities": [{"entity": "place", "value": "Leeds", "start": 3, "end": 8, "role": "x"}],
        },
        "metadata": {},
    },
    {"event": "slot", "name": "place", "value": "Leeds"},
    {"event": "action", "name": "action_send"},
    {"event": "bot", "text": "ok", "data": {"buttons": [{"title": "a", "payload": "/a"}]}},
    {"event": "slot", "name": "size", "value": "small"},
    {"event": "rewind"},
    {
        "event": "user",
        "text": "to Leeds",
        "parse_data": {
            "onramp": {
                "domain": "taxi",
                "in_scope": True,
                "state": {
                    "values": {"place": ["Leeds"]},
                    "active_intent": "book",
                    "requested_slots": ["size"],
                },
                "spans": [["place", 3, 8]],
            }
        },
    },
    {
        "event": "bot",
        "text": "small",
        "metadata": {
            "onramp": {
                "domain": "taxi",
                "action": "send",
                "parameters": {"place": "Leeds"},
                "results": [{"size": "Small"}],
                "spans": [["size", 0, 5]],
            }
        },
    },
]

VALID_SGD: Dict[str, Any] = {
    "schema.json": [
        {
            "service_name": "Taxi_1",
            "description": "Taxis",
            "slots": [
                {"name": "place", "description": "Where to", "is_categorical": False},
                {"name": "size", "is_categorical": True, "possible_values": ["small", "large"]},
            ],
            "intents": [
                {
                    "name": "Book",
                    "required_slots": ["place"],
                    "optional_slots": {"size": "dontcare"},
                    "result_slots": ["size"],
                }
            ],
        }
    ],
    "dialogues_001.json": [
        {
            "dialogue_id": "1",
            "services": ["Taxi_1"],
            "turns": [
                {
                    "speaker": "USER",
                    "utterance": "to Leeds",
                    "frames": [
                        {
                            "service": "Taxi_1",
                            "slots": [{"slot": "place", "start": 3, "exclusive_end": 8}],
                            "state": {
                                "active_intent": "Book",
                                "requested_slots": ["size"],
                                "slot_values": {"place": ["Leeds"], "size": ["small"]},
                            },
                        }
                    ],
                },
                {
                    "speaker": "SYSTEM",
                    "utterance": "ok",
                    "frames": [
                        {
                            "service": "Taxi_1",
                            "slots": [],
                            "service_call": {"method": "Book", "parameters": {"place": "Leeds"}},
                            "service_results": [{"size": "small"}],
                        }
                    ],
                },
            ],
        }
    ],
}

VALID_REPLIES: List[Dict[str, Any]] = [
    {
        "service": "taxi",
        "shots": 5,
        "seed": 0,
        "dialogue": str(number),
        "turn": 1,
        "history": [["user", f"to Leeds {number}"]],
        "reference": "ok",
        "replies": {"a": f"one {number}", "b": f"two {number}"},
    }
    for number in range(3)
]

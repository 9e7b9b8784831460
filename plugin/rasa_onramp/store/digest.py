"""Digests of content: equal content has equal digests, whatever order it is stored or read in."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Iterable

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.store.serialise import dialogue_to_json, schema_to_json

__all__ = [
    "bytes_digest",
    "canonical_json",
    "dialogue_digest",
    "schema_digest",
    "support_digest",
    "support_digest_of",
]


def canonical_json(value: Any) -> str:
    """`value` as JSON in one spelling only: keys sorted, no blanks, ASCII.

    Raises ValueError for numbers that JSON doesn't have, and TypeError for what isn't JSON.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def bytes_digest(data: bytes) -> str:
    """The SHA-256 of `data`, in hex."""
    return hashlib.sha256(data).hexdigest()


def schema_digest(schema: Schema) -> str:
    """The digest of a schema's whole content. The order of its slots, intents, actions counts."""
    return _digest(schema_to_json(schema))


def dialogue_digest(dialogue: Dialogue) -> str:
    """The digest of a dialogue's whole content, its id, domain and split among it."""
    return _digest(dialogue_to_json(dialogue))


def support_digest(schema: Schema, dialogues: Iterable[Dialogue]) -> str:
    """What an adapter was adapted on: a digest of the schema and the set of `dialogues`.

    The order of the dialogues doesn't count.
    """
    return support_digest_of(schema_digest(schema), map(dialogue_digest, dialogues))


def support_digest_of(schema: str, dialogues: Iterable[str], feedback: Iterable[str] = ()) -> str:
    """`support_digest` from the digests of the schema and of each dialogue, and of the feedback
    from which something is to be learned, if there is any.
    """
    parts = {"schema": schema, "dialogues": sorted(dialogues)}
    given = sorted(feedback)
    return _digest({**parts, "feedback": given} if given else parts)


def _digest(value: Any) -> str:
    return bytes_digest(canonical_json(value).encode("ascii"))

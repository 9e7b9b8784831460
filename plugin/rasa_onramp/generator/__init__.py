"""Replies: retrieved from a domain's own support dialogues, delexicalised, filled and grounded."""

from rasa_onramp.generator.delexicalise import delexicalise
from rasa_onramp.generator.grounding import Grounding
from rasa_onramp.generator.retrieval import Reply, RetrievalGenerator
from rasa_onramp.generator.templates import Placeholder, Template, fill

__all__ = [
    "Grounding",
    "Placeholder",
    "Reply",
    "RetrievalGenerator",
    "Template",
    "delexicalise",
    "fill",
]

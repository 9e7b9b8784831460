"""Peers that are a part of a bot only: a linear probe for intents, and replies of other methods.

The probe is scikit-learn's LogisticRegression (defaults, but 1,000 iterations) on the sentence
embedding of the message by all-MiniLM-L6-v2, the encoder that our tracker and router start from:
what SetFit does after its contrastive stage. SetFit itself isn't run: the newest that resolves
beside Rasa 3.6's pins and our transformers is 1.0.3, which doesn't import with the huggingface_hub
that these need (it wants `DatasetFilter`, which is gone).
"""

from __future__ import annotations

import time
from typing import List, Optional

from sklearn.linear_model import LogisticRegression

from peer.work import Heard, Job, Outcome, Said
from rasa_onramp.evaluation.protocol import Split
from rasa_onramp.evaluation.reply_few_shot import measure_replies
from rasa_onramp.generator.checkpoint import load_replies, new_replies
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning
from rasa_onramp.tracker.sentences import SentenceEncoder

__all__ = ["probe", "write_replies"]

_NONE = ""  # the class of messages that leave no intent active


def probe(job: Job) -> Outcome:
    """Learn the active intent from single messages, and tell it of the held-out ones."""
    embed = SentenceEncoder.load("all-MiniLM-L6-v2").embed
    turns = [turn for dialogue in job.support for turn in dialogue.turns if turn.is_user]
    labels = [(turn.state.active_intent if turn.state else None) or _NONE for turn in turns]
    began = time.perf_counter()
    outcome = Outcome(gives=["intents"])
    model: Optional[LogisticRegression] = None
    if len(set(labels)) > 1:
        model = LogisticRegression(max_iter=1000)
        model.fit(embed([turn.text for turn in turns]).numpy(), labels)
    outcome.seconds["learn"] = time.perf_counter() - began
    for dialogue in job.held_out:
        for number, turn in enumerate(dialogue.turns):
            if turn.is_user:
                began = time.perf_counter()
                (found,) = model.predict(embed([turn.text]).numpy()) if model else labels[:1]
                taken = round(1000 * (time.perf_counter() - began), 2)
                outcome.answered()
                outcome.heard.append(
                    Heard(dialogue.id, number, intent=found or None, milliseconds=taken)
                )
    return outcome


def write_replies(job: Job, method: str, *, plain: bool = False) -> Outcome:
    """The held-out replies by one of the methods of evaluation/reply_few_shot.py; if `plain`, of
    the language model as it was published, without our updates.
    """
    outcome = Outcome()
    embed = SentenceEncoder.load("all-MiniLM-L6-v2").embed
    if plain:
        model = new_replies()
    else:  # eager attention learns faster on a CPU
        model = load_replies(attention="eager" if method == "finetune" else "sdpa")
    split = Split(job.schema, job.support, job.held_out, job.seed)
    began = time.time()
    (found,) = measure_replies(
        model,
        split,
        len(job.support),
        (method,),
        embed,
        ReplyFineTuning(),
    )
    outcome.seconds["learn_replies"] = found.adapting_seconds
    said: List[Said] = []
    for dialogue in job.held_out:
        references = support_replies(job.schema, [dialogue])
        for reference, reply in zip(references, found.replies.get(dialogue.id, ())):
            text, template = reply.text, reply.template
            said.append(Said(dialogue.id, reference.number, text, template, reply.slots))
    outcome.said = said
    outcome.seconds["write"] = found.writing_seconds
    a_reply = found.writing_seconds / max(1, len(said))
    outcome.seconds["a_reply"] = a_reply
    outcome.answered_at = began + found.adapting_seconds + a_reply  # all were written at once
    return outcome

"""Replies by the few-shot protocol: methods side by side, states and results given.

- templates: the schema's own words, no support dialogue read;
- retrieval: the best support reply;
- zero-shot: the initialisation, no support dialogue read;
- in-context: the initialisation, similar support replies in its prompt (not the language model as
  it was published: that one is bench/peers.py's `in-context`);
- finetune: plain fine-tuning of the initialisation's updates on the support, with retrieval;
- adapted: the learned inner steps on the support, with retrieval;
- adapted-alone: the same without retrieved replies in the prompt;
- served: what a bot says: as adapted, but a support reply whose situation was alike enough is said
  as it is.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Dict, Generator, Iterator, List, Optional, Sequence, Tuple

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.embedding import Embed
from rasa_onramp.evaluation.processes import in_processes
from rasa_onramp.evaluation.protocol import Protocol, Split
from rasa_onramp.evaluation.reply_metrics import ScoredReply
from rasa_onramp.generator.checkpoint import load_replies
from rasa_onramp.generator.model import ReplyModel, Weights
from rasa_onramp.generator.neural import WRITTEN, Asked, NeuralGenerator, sure_enough
from rasa_onramp.generator.packing import pack, reply_spans
from rasa_onramp.generator.pool import ReplyPool
from rasa_onramp.generator.prompt import exchanges
from rasa_onramp.generator.replies import SupportReply, support_replies
from rasa_onramp.generator.retrieval import Reply, RetrievalGenerator
from rasa_onramp.generator.writing import Updates, Writer
from rasa_onramp.metalearning.precision import learning_attention
from rasa_onramp.metalearning.reply_episodes import packed_dialogues
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning, finetune_replies
from rasa_onramp.metalearning.reply_training import adapt_replies
from rasa_onramp.tracker.sentences import cached_sentences

__all__ = ["REPLY_METHODS", "ReplyResult", "measure_replies", "replies_in_processes"]

REPLY_METHODS = (
    "templates",
    "retrieval",
    "zero-shot",
    "in-context",
    "finetune",
    "adapted",
    "adapted-alone",
    "served",
)

#: What a method learns from the support; those that aren't here learn nothing.
_LEARNED = {name: name for name in ("finetune", "adapted", "adapted-alone")}
_LEARNED["served"] = "adapted"

#: Methods that read similar support replies in their prompts.
_SHOWN = ("in-context", "finetune", "adapted", "served")

_UNCUT = 1_000_000
_NEVER = 1.1  # more alike than anything can be


@dataclass(frozen=True)
class ReplyResult:
    """Scored replies of one method on one support set, by dialogue id. `seconds` of adapting, and
    of writing all replies.
    """

    service: str
    method: str
    shots: int
    seed: int
    adapting_seconds: float
    writing_seconds: float
    replies: Dict[str, Tuple[ScoredReply, ...]]


@dataclass(frozen=True)
class _Turns:
    """A held-out dialogue: what each of its replies was asked by, and the replies."""

    dialogue: str
    asked: Tuple[Asked, ...]
    said: Tuple[SupportReply, ...]
    texts: Tuple[str, ...]


def measure_replies(
    model: Optional[ReplyModel],
    split: Split,
    shots: int,
    methods: Sequence[str],
    embed: Embed,
    finetuning: ReplyFineTuning,
) -> Iterator[ReplyResult]:
    """Each method on the first `shots` support dialogues of a split, one result at a time.

    `model` may be None where no method needs it.
    """
    schema, support = split.schema, split.pool[:shots]
    held_out = [turns for turns in (_turns_of(schema, d) for d in split.held_out) if turns.said]
    known = [support_replies(schema, [d]) for d in support]
    pool = ReplyPool(schema, [reply for replies in known for reply in replies], embed)
    nothing = ReplyPool(schema, [], embed)

    def learn(how: str) -> Optional[Weights]:
        """The updates after learning from the support; None for the initialisation itself."""
        assert model is not None
        reads = nothing if how == "adapted-alone" else pool
        packed = packed_dialogues(model.tokens, schema, known, reads)
        if how == "finetune":
            return finetune_replies(model, packed, finetuning) if packed else None
        return adapt_replies(model, packed, seed=split.seed)

    learned: Dict[str, Tuple[Optional[Weights], float]] = {"": (None, 0.0)}
    for method in methods:
        shown = support if method not in ("templates", "zero-shot") else ()
        how = _LEARNED.get(method, "")
        if how not in learned:
            began = time.perf_counter()
            learned[how] = learn(how), time.perf_counter() - began
        weights, seconds = learned[how]
        began = time.perf_counter()
        retrieval = RetrievalGenerator(schema, shown, embed)
        if method in ("templates", "retrieval"):
            replies = [[retrieval.reply(*asked) for asked in turns.asked] for turns in held_out]
        else:
            assert model is not None
            reads = pool if method in _SHOWN else nothing
            sure = sure_enough(retrieval.pool) if method == "served" else _NEVER
            replies = _written(retrieval, model, held_out, reads, weights, sure)
        yield ReplyResult(
            service=schema.name,
            method=method,
            shots=shots,
            seed=split.seed,
            adapting_seconds=seconds,
            writing_seconds=time.perf_counter() - began,
            replies={
                turns.dialogue: tuple(map(_scored, turns.said, turns.texts, given))
                for turns, given in zip(held_out, replies)
            },
        )


def _turns_of(schema: Schema, dialogue: Dialogue) -> _Turns:
    said = support_replies(schema, [dialogue])
    asked, texts = [], []
    for reply in said:
        turn, before = dialogue.turns[reply.number], dialogue.turns[: reply.number]
        asked.append(Asked(before, before[-1].state, turn.results, turn.action))
        texts.append(turn.text)
    return _Turns(dialogue.id, tuple(asked), said, tuple(texts))


def _written(
    retrieval: RetrievalGenerator,
    model: ReplyModel,
    held_out: Sequence[_Turns],
    pool: ReplyPool,
    weights: Optional[Weights],
    sure: float,
) -> List[List[Reply]]:
    """Replies to all turns, a dialogue's together; `pool` is what the prompts show, `sure` how
    alike a support reply's situation must be for it to be said as it is.
    """
    generator = NeuralGenerator(retrieval, model.tokens, lambda prompt: None)
    writer, updates = Writer(model), Updates("", model.weights if weights is None else weights)
    replies = []
    for turns in held_out:
        found = exchanges(retrieval.schema, turns.said, pool)
        # uncut, and with every reply marked, so that each one's place can be told
        whole = pack(model.tokens, retrieval.schema, [replace(e, said=True) for e in found], _UNCUT)
        best = [retrieval.reply(*asked) for asked in turns.asked]
        unsure = [n for n, reply in enumerate(best) if reply.confidence < sure]
        places = [start for start, _ in reply_spans(whole)]
        texts = writer.write_along(whole, [places[n] for n in unsure], updates)
        for n, text in zip(unsure, texts):
            best[n] = generator.settled(turns.asked[n], text)
        replies.append(best)
    return replies


def _scored(reference: SupportReply, text: str, reply: Reply) -> ScoredReply:
    # what the bot stated without state or results holding it can't be asked of a method
    wanted = [p.slot for p in reference.template.placeholders if p.origin != "own"]
    kind = {WRITTEN: "generated", "schema": "schema"}.get(reply.source, "support")
    return ScoredReply(
        reference_text=text,
        text=reply.text,
        reference_template=reference.template.text,
        template=reply.template,
        reference_slots=tuple(wanted),
        slots=reply.slots,
        source=kind,
        grounded=kind == "generated",
    )


def replies_in_processes(
    work: Sequence[Split],
    protocol: Protocol,
    finetuning: ReplyFineTuning,
    *,
    jobs: int,
    checkpoint: Optional[str] = None,
    device: str = "cpu",
    threads: Optional[int] = None,
) -> Generator[Tuple[Split, List[ReplyResult]], None, None]:
    """All methods on each split and size of support, the splits shared among `jobs` processes."""
    attention = learning_attention(device)  # learning takes the most time
    found = in_processes(
        partial(_measured, protocol=protocol, finetuning=finetuning),
        work,
        jobs=jobs,
        load=partial(load_replies, checkpoint, device=device, attention=attention),
        threads=threads,
    )
    with closing(found):
        for split, results in zip(work, found):
            for together in results:
                yield split, together


def _measured(
    model: ReplyModel, split: Split, *, protocol: Protocol, finetuning: ReplyFineTuning
) -> List[List[ReplyResult]]:
    """The results of each size of support, in their order."""
    return [
        list(measure_replies(model, split, shots, protocol.methods, cached_sentences(), finetuning))
        for shots in protocol.shots
    ]

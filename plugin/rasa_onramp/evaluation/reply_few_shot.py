"""Replies by the few-shot protocol: methods side by side, states and results given.

- templates: the schema's own words, no support dialogue read;
- retrieval: the best support reply;
- zero-shot: the initialisation, no support dialogue read;
- in-context: the initialisation, similar support replies in its prompt;
- finetune: plain fine-tuning of the initialisation's updates on the support, with retrieval;
- adapted: the learned inner steps on the support, with retrieval;
- adapted-alone: the same without retrieved replies in the prompt.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Dict, Generator, Iterator, List, Optional, Sequence, Tuple

import numpy

from rasa_onramp.dialogue import Dialogue, Schema
from rasa_onramp.evaluation.few_shot import Protocol, Split
from rasa_onramp.evaluation.processes import in_processes
from rasa_onramp.evaluation.reply_metrics import ScoredReply
from rasa_onramp.generator.checkpoint import load_replies
from rasa_onramp.generator.model import ReplyModel, Weights
from rasa_onramp.generator.neural import WRITTEN, Asked, NeuralGenerator
from rasa_onramp.generator.packing import pack, reply_places
from rasa_onramp.generator.pool import Embed, ReplyPool
from rasa_onramp.generator.prompt import exchanges
from rasa_onramp.generator.replies import SupportReply, support_replies
from rasa_onramp.generator.retrieval import Reply, RetrievalGenerator
from rasa_onramp.generator.writing import Updates, Writer
from rasa_onramp.metalearning.reply_episodes import packed_dialogues
from rasa_onramp.metalearning.reply_finetuning import ReplyFineTuning, finetune_replies
from rasa_onramp.metalearning.reply_training import adapt_replies
from rasa_onramp.tracker.encoder import SentenceEncoder

__all__ = ["REPLY_METHODS", "ReplyResult", "measure_replies", "replies_in_processes"]

REPLY_METHODS = (
    "templates",
    "retrieval",
    "zero-shot",
    "in-context",
    "finetune",
    "adapted",
    "adapted-alone",
)

_UNCUT = 1_000_000


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
    for method in methods:
        began = time.perf_counter()
        weights: Optional[Weights] = None
        reads = pool if method in ("in-context", "finetune", "adapted") else nothing
        shown = support if method not in ("templates", "zero-shot") else ()
        if method in ("templates", "retrieval"):
            retrieval = RetrievalGenerator(schema, shown, embed)
            adapted = written = time.perf_counter()
            replies = [[retrieval.reply(*asked) for asked in turns.asked] for turns in held_out]
        else:
            assert model is not None
            if method not in ("zero-shot", "in-context"):
                packed = packed_dialogues(model.tokens, schema, known, reads)
                if method != "finetune":
                    weights = adapt_replies(model, packed, seed=split.seed)
                elif packed:
                    weights = finetune_replies(model, packed, finetuning)
            adapted = time.perf_counter()
            retrieval = RetrievalGenerator(schema, shown, embed)
            replies = _written(retrieval, model, held_out, reads, weights)
        written = time.perf_counter()
        yield ReplyResult(
            service=schema.name,
            method=method,
            shots=shots,
            seed=split.seed,
            adapting_seconds=adapted - began,
            writing_seconds=written - adapted,
            replies={
                turns.dialogue: tuple(map(_scored, turns.said, turns.texts, given))
                for turns, given in zip(held_out, replies)
            },
        )


def _turns_of(schema: Schema, dialogue: Dialogue) -> _Turns:
    said = support_replies(schema, [dialogue])
    asked, texts = [], []
    for reply in said:
        number = int(reply.source.rpartition("#")[2])
        turn, before = dialogue.turns[number], dialogue.turns[:number]
        asked.append(Asked(before, before[-1].state, turn.results, turn.action))
        texts.append(turn.text)
    return _Turns(dialogue.id, tuple(asked), said, tuple(texts))


def _written(
    retrieval: RetrievalGenerator,
    model: ReplyModel,
    held_out: Sequence[_Turns],
    pool: ReplyPool,
    weights: Optional[Weights],
) -> List[List[Reply]]:
    """Replies to all turns, a dialogue's together; `pool` is what the prompts show."""
    generator = NeuralGenerator(retrieval, model.tokens, lambda prompt: None)
    writer, updates = Writer(model), Updates("", model.weights if weights is None else weights)
    replies = []
    for turns in held_out:
        found = exchanges(retrieval.schema, turns.said, pool)
        # uncut, and with every reply marked, so that each one's place can be told
        whole = pack(model.tokens, retrieval.schema, [replace(e, said=True) for e in found], _UNCUT)
        texts = writer.write_along(whole, reply_places(whole), updates)
        replies.append([generator.settled(*each) for each in zip(turns.asked, texts)])
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
    found = in_processes(
        partial(_measured, protocol=protocol, finetuning=finetuning),
        work,
        jobs=jobs,
        load=partial(load_replies, checkpoint, device=device),
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
        list(measure_replies(model, split, shots, protocol.methods, _embed(), finetuning))
        for shots in protocol.shots
    ]


@lru_cache(maxsize=1)
def _embed() -> Embed:
    """The embeddings of a process, each text's computed once."""
    encoder = SentenceEncoder.load("all-MiniLM-L6-v2")
    known: Dict[str, numpy.ndarray] = {}

    def embed(texts: Sequence[str]) -> Any:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, encoder.embed(new).numpy()))
        return numpy.stack([known[text] for text in texts])

    return embed

"""How long the language model takes for a reply, beside transformers' own `generate`.

    python bench/reply_speed.py [--dialogues 10] [--threads 2] [--together 4,16,64] [--json OUT]

Held-out conversations of dialogue_data/parcel_delivery.yml, turn by turn as they are served: the
domain's updates merged, what was read of a conversation kept. `generate` has the same merged
weights and the same prompts, and reads each anew; both decode greedily up to the end of the line.

A decoded token reads all weights once, so their bytes over the memory's measured bandwidth are the
least that it can take (`token_floor_ms`).

`together` are conversations answered in one batch, of one domain (merged weights) and of as many
domains as there are rows (each with its own updates): replies a second, over those of one alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import numpy
import torch
from tqdm import tqdm

from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.formats import read
from rasa_onramp.generator.checkpoint import load_replies
from rasa_onramp.generator.model import ReplyModel
from rasa_onramp.generator.packing import Packed, pack
from rasa_onramp.generator.pool import ReplyPool
from rasa_onramp.generator.prompt import Exchange, exchanges
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.generator.writing import MOST_NEW_TOKENS, Updates, Writer
from rasa_onramp.tracker.sentences import SentenceEncoder

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dialogues", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--together", default="4,16,64", help="sizes of batches")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = [int(size) for size in options.together.split(",") if size]
    settings = {name: getattr(options, name) for name in ("dialogues", "threads", "together")}
    found = {"settings": settings, **measure(options.dialogues, sizes)}
    print(json.dumps(found, indent=2))
    if options.json is not None:
        write_figures(str(options.json), found)


def measure(dialogues: int, sizes: List[int]) -> Dict[str, Any]:
    """Seconds a reply, and tokens."""
    model = load_replies(device="cuda" if torch.cuda.is_available() else "cpu")
    start = {name: value.to(model.dtype) for name, value in model.weights.items()}
    updates, end = Updates(model.digest, start), model.tokens.end
    prompts = asked(model.tokens, dialogues)
    keeping, anew = Writer(model), Writer(model, read=0)
    merged = model.merged(model.weights)

    def theirs(prompt: Packed) -> List[int]:
        with model.using_merged(merged) as lm:
            return generated(lm, prompt, end[0])

    ways: Dict[str, Callable[[Packed], Any]] = {
        "ours": lambda prompt: keeping.write([prompt], [updates]),
        "anew": lambda prompt: anew.write([prompt], [updates]),
        "generate": theirs,
    }
    anew.write(prompts[:1], [updates])  # these three merge the weights and warm up
    keeping.write([Packed(numpy.array(end), numpy.zeros(1, dtype=bool))], [updates], most=1)
    theirs(prompts[0])
    taken: Dict[str, List[float]] = {name: [] for name in ways}
    lengths: List[int] = []
    same, again = 0, 0.0
    for number, prompt in enumerate(tqdm(prompts, desc="replies", disable=None)):
        found: Dict[str, Any] = {}
        turn = number % len(ways)  # each is first as often
        for name in [*ways, *ways][turn : turn + len(ways)]:
            began = time.perf_counter()
            found[name] = ways[name](prompt)
            taken[name].append(time.perf_counter() - began)
        began = time.perf_counter()
        keeping.write([prompt], [updates])  # all of it is known now: one token is read again
        again += time.perf_counter() - began
        lengths.append(len(found["generate"]))
        same += found["ours"] == [model.tokens.text(found["generate"][:-1]).strip()]
    token, floor = again / sum(lengths), weight_bytes(model) / bandwidth(model.device)
    return {
        "replies": len(prompts),
        "written alike": same,
        "tokens a reply": round(statistics.fmean(lengths), 1),
        **{f"{name}_{key}": value for name, each in taken.items() for key, value in of(each)},
        "token_ms": round(1000 * token, 2),
        "token_floor_ms": round(1000 * floor, 2),
        "token_over_floor": round(token / floor, 2),
        "together": [batch(model, prompts, updates, size) for size in sizes],
        "device": torch.cuda.get_device_name() if model.device.type == "cuda" else "cpu",
        "checkpoint": model.digest,
    }


def of(seconds: List[float]) -> Iterator[Tuple[str, float]]:
    """The figures of one way to write."""
    yield "mean_s", round(statistics.fmean(seconds), 3)
    yield "p50_s", round(statistics.median(seconds), 3)
    yield "p95_s", round(statistics.quantiles(seconds, n=20)[-1], 3)


def weight_bytes(model: ReplyModel) -> int:
    """What a decoded token reads; the table of embedded words is the output head too, or is hardly
    read.
    """
    lm = model.model
    read = {id(p): p.numel() * p.element_size() for p in lm.parameters()}
    embedded, head = lm.get_input_embeddings().weight, lm.get_output_embeddings().weight
    if embedded is not head:
        del read[id(embedded)]
    return sum(read.values())


def bandwidth(device: torch.device) -> float:
    """Bytes a second that the memory gives: the best of ten sums over 1 GiB."""
    data = torch.ones(2**28, device=device)
    best = 0.0
    for _ in range(10):
        began = time.perf_counter()
        float(data.sum())
        best = max(best, data.numel() * 4 / (time.perf_counter() - began))
    return best


def batch(model: ReplyModel, prompts: List[Packed], updates: Updates, size: int) -> Dict[str, Any]:
    """`size` conversations at once, beside as many one after the other: all read anew, and the
    weights of one domain merged before.
    """
    some = [prompts[number % len(prompts)] for number in range(size)]
    many = [Updates(f"{updates.digest} {number}", updates.weights) for number in range(size)]
    # a prompt of its own, which takes the place of what was read last
    other = Packed(numpy.array(model.tokens.end), numpy.zeros(1, dtype=bool))
    writer, alone = Writer(model, read=0), 0.0
    for prompt in tqdm(some, desc=f"{size} one by one", disable=None):
        writer.write([other], [updates], most=1)  # merges the weights, the first time
        began = time.perf_counter()
        writer.write([prompt], [updates])
        alone += time.perf_counter() - began
    found: Dict[str, Any] = {"conversations": size, "alone_replies_s": round(size / alone, 2)}
    for name, each in (("one_domain", [updates] * size), ("all_domains", many)):
        began = time.perf_counter()
        writer.write(some, each)  # reads all anew
        taken = time.perf_counter() - began
        found[f"{name}_replies_s"] = round(size / taken, 2)
        found[f"{name}_over_alone"] = round(alone / taken, 2)
    return found


def asked(tokens: Any, dialogues: int) -> List[Packed]:
    """The prompts of every turn, conversation by conversation."""
    corpus = read(ROOT / "dialogue_data" / "parcel_delivery.yml")
    (schema,) = corpus.schemas.values()
    support = [d for d in corpus.dialogues if d.split == "support"]
    pool = ReplyPool(
        schema, support_replies(schema, support), SentenceEncoder.load("all-MiniLM-L6-v2").embed
    )
    found = []
    for dialogue in [d for d in corpus.dialogues if d.split == "held-out"][:dialogues]:
        said = exchanges(schema, support_replies(schema, [dialogue]), pool)
        for number, each in enumerate(said):
            found.append(pack(tokens, schema, [*said[:number], Exchange(each.before)]))
    return found


@torch.inference_mode()
def generated(lm: Any, prompt: Packed, end: int) -> List[int]:
    """What transformers writes."""
    ids = torch.from_numpy(prompt.ids)[None].to(lm.device)
    out = lm.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=MOST_NEW_TOKENS,
        eos_token_id=end,
        pad_token_id=end,
    )
    return out[0, ids.shape[1] :].tolist()


if __name__ == "__main__":
    main()

"""How long the language model takes for a reply, beside transformers' own `generate`.

    python bench/reply_speed.py [--dialogues 10] [--threads 2] [--json OUT]

Held-out conversations of dialogue_data/parcel_delivery.yml, turn by turn as they are served: the
domain's updates merged, what was read of a conversation kept. `generate` has the same merged
weights and the same prompts, and reads each anew; both decode greedily up to the end of the line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any, Dict, List

import torch

from rasa_onramp.formats import read
from rasa_onramp.generator.checkpoint import load_replies
from rasa_onramp.generator.packing import Packed, pack
from rasa_onramp.generator.pool import ReplyPool
from rasa_onramp.generator.prompt import Exchange, exchanges
from rasa_onramp.generator.replies import support_replies
from rasa_onramp.generator.writing import MOST_NEW_TOKENS, Updates, Writer
from rasa_onramp.tracker.encoder import SentenceEncoder

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dialogues", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    text = json.dumps(measure(options.dialogues), indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")


def measure(dialogues: int) -> Dict[str, Any]:
    """Seconds a reply, and tokens."""
    model = load_replies()
    writer, updates = Writer(model), Updates(model.digest, model.weights)
    prompts = asked(model.tokens, dialogues)
    writer.write(prompts[:1], [updates])  # merges the weights
    ours: List[float] = []
    theirs: List[float] = []
    lengths: List[int] = []
    same = 0
    for prompt in prompts:
        began = time.perf_counter()
        (written,) = writer.write([prompt], [updates])
        ours.append(time.perf_counter() - began)
        with model.using_merged(model.merged(model.weights)) as lm:
            began = time.perf_counter()
            found = generated(lm, prompt, model.tokens.end[0])
            theirs.append(time.perf_counter() - began)
        lengths.append(len(found))
        same += written == model.tokens.text(found[:-1]).strip()
    return {
        "replies": len(prompts),
        "written alike": same,
        "tokens a reply": round(statistics.fmean(lengths), 1),
        "ours_p50_s": round(statistics.median(ours), 3),
        "ours_p95_s": round(statistics.quantiles(ours, n=20)[-1], 3),
        "generate_p50_s": round(statistics.median(theirs), 3),
        "generate_p95_s": round(statistics.quantiles(theirs, n=20)[-1], 3),
        "threads": torch.get_num_threads(),
        "checkpoint": model.digest,
    }


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
    ids = torch.from_numpy(prompt.ids)[None]
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

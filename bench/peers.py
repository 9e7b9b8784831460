"""Peers and ours on the same few dialogues: what each learns of them, and what that costs.

    python bench/peers.py --data FOLDER [--services unseen] [--shots 5] [--seeds 1] [--limit 3]
                          [--json bench/results/peers_sgd_dev.json]

For every service and seed the support and held-out dialogues are those of `rasa-onramp evaluate`
with the same options. Every method is a process of its own on the same files, one after another,
with the same number of threads:

    rasa              DIET + TED + ResponseSelector by `rasa train`, from data made of the support
                      dialogues (peer/rasa_data.py says how), with the settings of `rasa init`
    rasa-crf          Rasa's CRFEntityExtractor in their place; entities and slots only
    entities          no method: what Rasa's slots would hold if every entity were found
    probe             LogisticRegression on MiniLM's embedding of a message; intents only
    in-context        the same small language model as it was published, with similar replies in its
                      prompt; replies only
    initialisation    the same with our updates as they ship, not adapted; replies only
    finetune          our tracker's checkpoint, plainly fine-tuned; support replies answer
    finetune-replies  the language model's updates, plainly fine-tuned; replies only
    imported          ours, imported and not adapted: zero-shot tracker, support replies answer
    adapted           ours, adapted without the language model: support replies answer
    adapted-written   ours as `rasa-onramp adapt` leaves it; its states are `adapted`'s

SetFit isn't among them: see peer/parts.py.

"Ready" is the time from the dialogues' files to the first answer, nothing running before: for Rasa
writing its data, `rasa train`, loading the model and a turn; for ours `rasa-onramp init`, `import`,
`adapt`, opening a bot and a turn. "Learning" is the part of ours that a bot that already runs waits
for beside the import: the gradient steps. Memory is the largest process's peak. How figures are
computed stands in peer/scores.py. In the table `*` marks the best of a column.

Rows are kept as they are done; the same command goes on where it was stopped, and more services,
seeds or methods add to what is in the JSON file.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Dict, Tuple

from tqdm import tqdm

from measuring import journal_beside, label, tell_if_done
from peer.report import METHODS, measured_by_all, report, summaries
from peer.scores import figures
from peer.work import Outcome, prepare
from rasa_onramp.cli.corpora import read_all
from rasa_onramp.cli.figures_file import write_figures
from rasa_onramp.errors import OnrampError
from rasa_onramp.evaluation.journal import Row
from rasa_onramp.evaluation.protocol import Protocol, Split, choose_services, splits
from rasa_onramp.generator.checkpoint import reply_card
from rasa_onramp.metalearning.adaptation import Adaptation
from rasa_onramp.metalearning.finetuning import FineTuning
from rasa_onramp.tracker.checkpoint import load_tracker

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rasa", "tensorflow", "torch", "transformers", "scikit-learn", "sklearn-crfsuite")


def main() -> None:
    """Measure what isn't measured yet, and print the table."""
    options = _options()
    corpus = read_all(options.data, None)
    tracker = load_tracker()
    services = choose_services(corpus, options.services, tracker.training_services)
    protocol = Protocol(
        shots=(options.shots,),
        seeds=options.seeds,
        dialogues=options.dialogues,
        limit=options.limit,
        own_split=options.own_split,
    )
    settings = {
        "data": [label(path) for path in options.data],
        "shots": options.shots,
        "dialogues": options.dialogues,
        "own_split": options.own_split,
        "limit": options.limit,
        "offers": options.offers,
        "threads": options.threads,
        "checkpoint": tracker.digest,
        "adaptation": Adaptation.of(tracker, offers=options.offers).as_settings,
        "finetune": FineTuning().as_settings,
        "replies": {"checkpoint": reply_card().digest},
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "machine": machine(),
    }
    journal, _ = journal_beside(options.json, settings, key="rows")
    done = {(row["service"], row["seed"], row["method"]) for row in journal.rows}
    work = [
        (split, method)
        for split in splits(corpus, services, protocol)
        for method in options.methods
        if (split.schema.name, split.seed, method) not in done
    ]
    tell_if_done(work)
    with tqdm(work, desc="peers", unit="run", disable=None) as bar:
        for split, method in bar:
            bar.set_postfix_str(f"{split.schema.name} {split.seed} {method}")
            journal.add([measure(split, method, options)])
    if options.json is not None:
        chosen = measured_by_all(journal.rows)
        lines = [{"method": name, **line} for name, line in summaries(chosen).items()]
        figures_of_all = {"settings": settings, "summary": lines, "rows": journal.rows}
        write_figures(str(options.json), figures_of_all)
    journal.close()
    print(report(measured_by_all(journal.rows)))


def measure(split: Split, method: str, options: argparse.Namespace) -> Row:
    """One method on one support set."""
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        folder = Path(name)
        prepare(folder, split, options.shots, threads=options.threads, offers=options.offers)
        began = time.time()
        memory = run(method, folder, options.threads)
        outcome = Outcome.load(folder)
    row: Row = {
        "service": split.schema.name,
        "seed": split.seed,
        "method": method,
        "held_out": len(split.held_out),
        "ready_seconds": round(outcome.answered_at - began, 2),
        "learning_seconds": outcome.seconds.get("learn", outcome.seconds.get("learn_replies")),
        "memory_mb": round(memory),
        **figures(split.schema, split.held_out, outcome),
        "seconds": {part: round(taken, 2) for part, taken in outcome.seconds.items()},
        "load": round(os.getloadavg()[0], 1),
    }
    return row


def run(method: str, folder: Path, threads: int) -> float:
    """Run a method's process to its end; the megabytes that its largest process took."""
    paths = [str(ROOT / "plugin"), str(ROOT / "bench")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
    }
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "peer", method, str(folder)],
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        # the usage of the process and of all those that it waited for
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1
    if process.returncode:
        said = log.read_text(encoding="utf-8", errors="replace")
        raise SystemExit(f"{method} failed:\n{said[-4000:]}")
    return usage.ru_maxrss / 1024


def machine() -> Dict[str, Any]:
    """What it runs on."""
    name = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    return {"processor": name, "cores": os.cpu_count()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", required=True, help="folder or file; repeatable")
    parser.add_argument("--services", default="unseen", help="unseen, all, or names with commas")
    parser.add_argument("--shots", type=int, default=5, help="support dialogues")
    parser.add_argument("--seeds", type=int, default=1, help="support sets a service")
    parser.add_argument(
        "--limit", type=int, default=3, help="held-out dialogues a service and seed"
    )
    parser.add_argument("--dialogues", choices=("single", "all"), default="single")
    parser.add_argument("--own-split", action="store_true", help="the data's own support dialogues")
    parser.add_argument("--offers", action="store_true", help="mark what the bot stated, for ours")
    parser.add_argument("--methods", type=_methods, default=METHODS, help="names with commas")
    parser.add_argument("--threads", type=int, default=1, help="of every method")
    parser.add_argument("--json", type=Path, help="write the rows there, and go on from there")
    return parser.parse_args()


def _methods(text: str) -> Tuple[str, ...]:
    found = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in found if name not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}: choose of {', '.join(METHODS)}")
    return found


if __name__ == "__main__":
    try:
        main()
    except OnrampError as error:
        raise SystemExit(f"peers.py: {error}") from None

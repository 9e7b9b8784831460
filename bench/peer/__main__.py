"""Run one method on one job: `python -m peer METHOD FOLDER`. bench/peers.py calls it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable, Dict

from peer.rasa_data import CRF, DIET_TED
from peer.work import Job, Outcome, read_job


def _rasa(job: Job) -> Outcome:
    from peer.rasa_bot import run_rasa

    return run_rasa(job, DIET_TED)


def _crf(job: Job) -> Outcome:
    from peer.rasa_bot import run_rasa

    return run_rasa(job, CRF)


def _entities(job: Job) -> Outcome:
    from peer.rasa_labels import all_entities

    return all_entities(job)


def _probe(job: Job) -> Outcome:
    from peer.parts import probe

    return probe(job)


def _in_context(job: Job) -> Outcome:
    from peer.parts import write_replies

    return write_replies(job, "in-context", plain=True)


def _initialisation(job: Job) -> Outcome:
    from peer.parts import write_replies

    return write_replies(job, "in-context")


def _finetuned_replies(job: Job) -> Outcome:
    from peer.parts import write_replies

    return write_replies(job, "finetune")


def _finetuned(job: Job) -> Outcome:
    from peer.onramp_bot import finetuned

    return finetuned(job)


def _onboarded(adapt: bool, written: bool) -> Callable[[Job], Outcome]:
    def run(job: Job) -> Outcome:
        from peer.onramp_bot import onboarded

        return onboarded(job, adapt=adapt, written=written)

    return run


#: Each imports what it needs only, so that its memory is its own.
_RUN: Dict[str, Callable[[Job], Outcome]] = {
    "rasa": _rasa,
    "rasa-crf": _crf,
    "entities": _entities,
    "probe": _probe,
    "in-context": _in_context,
    "initialisation": _initialisation,
    "finetune": _finetuned,
    "finetune-replies": _finetuned_replies,
    "imported": _onboarded(adapt=False, written=False),
    "adapted": _onboarded(adapt=True, written=False),
    "adapted-written": _onboarded(adapt=True, written=True),
}


def main() -> None:
    """Run it."""
    job = read_job(Path(sys.argv[2]))
    if job.threads and sys.argv[1] not in ("rasa", "rasa-crf", "entities"):
        import torch

        torch.set_num_threads(job.threads)
    _RUN[sys.argv[1]](job).save(job)


if __name__ == "__main__":
    main()

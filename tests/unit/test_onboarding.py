"""What `adapt` switches to, and when it has nothing to do, with a small trained tracker."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Iterator, Tuple

import pytest
import torch

from rasa_onramp.dialogue import Corpus, Dialogue, State
from rasa_onramp.errors import StoreBusy, StoreError
from rasa_onramp.evaluation.metrics import Figures
from rasa_onramp.onboarding import (
    AdaptationReport,
    Attempt,
    ReplyLearner,
    adapt,
    attempt,
    guard,
    made_already,
    onboard,
)
from rasa_onramp.onboarding.guard import JGA_TOLERANCE, worse
from rasa_onramp.store import Intake, Store, open_store
from rasa_onramp.tracker.model import StateTracker
from small_bot import TABLES, dialogues, small_tracker
from tiny_replies import embed, tiny_model

NAME = TABLES.name
#: Enough steps on wrong states to unlearn the right ones.
MANY = 24


@pytest.fixture(scope="module")
def tracker() -> StateTracker:
    return dataclasses.replace(small_tracker(), digest="small")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'onramp.db'}") as store:
        store.upgrade()
        yield store


def _support(wrong: bool = False) -> Tuple[Dialogue, ...]:
    """Three dialogues; the wrong ones say that nobody ever wants anything."""
    found = dialogues(TABLES, 3)
    if not wrong:
        return found
    return tuple(
        dataclasses.replace(
            d,
            turns=tuple(
                dataclasses.replace(t, state=State(), spans=()) if t.is_user else t for t in d.turns
            ),
        )
        for d in found
    )


def _import(store: Store, *, wrong: bool = False, held_out: int = 3) -> None:
    kept = tuple(
        dataclasses.replace(d, split="held-out") for d in dialogues(TABLES, 3 + held_out)[3:]
    )
    store.dialogues.import_corpus(Corpus({NAME: TABLES}, (*_support(wrong), *kept)))


def _active(store: Store) -> int:
    active = store.adapters.active(NAME)
    return 0 if active is None else active.version


def _jga(report: AdaptationReport) -> Tuple[float, float]:
    assert report.before is not None and report.after is not None
    return report.before.jga, report.after.jga


def test_a_first_version_worse_than_the_checkpoint_is_not_switched_to(
    store: Store, tracker: StateTracker
) -> None:
    _import(store, wrong=True)
    revision = store.revision()
    report = adapt(store, tracker, NAME, steps=MANY)
    before, after = _jga(report)
    assert after < before - JGA_TOLERANCE
    told = f"JGA {after:.3f} instead of {before:.3f} on 3 held-out dialogues"
    assert report.kept == f"which is worse than the checkpoint: {told}"
    assert _active(store) == 0
    assert store.revision() == revision  # a running bot has nothing to read anew
    (info,) = store.adapters.versions(NAME)
    assert info.switched_at is None
    assert info.figures["running"]["version"] is None
    assert info.figures["running"]["jga"] == pytest.approx(before)

    anyway = adapt(store, tracker, NAME, steps=MANY, switch_anyway=True)
    assert (anyway.kept, _active(store)) == (None, 2)


def test_a_version_worse_than_the_active_one_is_not_switched_to(
    store: Store, tracker: StateTracker
) -> None:
    _import(store)
    good = adapt(store, tracker, NAME, steps=1)
    assert (good.kept, _active(store)) == (None, 1)
    _import(store, wrong=True)
    bad = adapt(store, tracker, NAME, steps=MANY)
    assert bad.kept is not None and bad.kept.startswith("which is worse than version 1: JGA ")
    assert _active(store) == 1
    # both are measured on what is held out now, whatever was held out when version 1 was made
    _import(store, wrong=True, held_out=5)
    bad = adapt(store, tracker, NAME, steps=MANY)
    assert bad.kept is not None and bad.kept.endswith("on 5 held-out dialogues")
    running = store.adapters.info(NAME, bad.version).figures["running"]
    assert (running["version"], running["turns"]) == (1, 15)
    _import(store)
    assert adapt(store, tracker, NAME, steps=1).kept is None
    assert _active(store) == 4


def test_where_nothing_is_held_out_every_version_is_switched_to(
    store: Store, tracker: StateTracker
) -> None:
    _import(store, wrong=True, held_out=0)
    assert adapt(store, tracker, NAME, steps=2).kept is None
    assert "running" not in store.adapters.info(NAME, 1).figures
    assert _active(store) == 1


def test_a_version_that_cannot_run_is_no_bar(store: Store, tracker: StateTracker) -> None:
    _import(store)
    adapt(store, dataclasses.replace(tracker, digest="another"), NAME, steps=1)
    _import(store, wrong=True)
    report = adapt(store, tracker, NAME, steps=MANY)
    before, after = _jga(report)
    assert after < before - JGA_TOLERANCE
    assert (report.kept, _active(store)) == (None, 2)
    assert "running" not in store.adapters.info(NAME, 2).figures
    said = "version 2 was made from another checkpoint than version 1: a bot with the latter's"
    assert report.warning is not None and report.warning.startswith(said)
    assert adapt(store, tracker, NAME, steps=MANY).warning is None  # from 2 to 3


def test_a_pinned_version_stays_active(store: Store, tracker: StateTracker) -> None:
    _import(store)
    adapt(store, tracker, NAME, steps=1)
    store.adapters.pin(NAME, 1)
    for anyway in (False, True):
        report = adapt(store, tracker, NAME, steps=2, switch_anyway=anyway)
        assert report.kept == "as the active version is pinned"
        assert _active(store) == 1
    assert len(store.adapters.versions(NAME)) == 3


def test_it_is_compared_with_what_runs_when_it_is_stored(
    store: Store, tracker: StateTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator rolls back while the version before is measured; later another pins."""
    _import(store)
    adapt(store, tracker, NAME, steps=1)
    adapt(store, tracker, NAME, steps=2)
    looked = []

    def running(*given: Any) -> Any:
        found = guard.running(*given)
        looked.append(found.version)
        if len(looked) == 1:
            store.adapters.rollback(NAME)
        if len(looked) == 2:
            store.adapters.pin(NAME, 1)
        return found

    monkeypatch.setattr(onboard, "running", running)
    report = adapt(store, tracker, NAME, steps=3)
    assert looked == [2, 1, 1]
    assert (report.version, report.kept) == (3, "as the active version is pinned")
    assert _active(store) == 1 and len(store.adapters.versions(NAME)) == 3
    assert store.adapters.info(NAME, 3).figures["running"]["version"] == 1


@pytest.mark.parametrize(
    ("new", "now", "lost"),
    [
        ((0.50, 0.9), (0.56, 0.1), "JGA 0.500 instead of 0.560"),
        ((0.50, 0.9), (0.54, 0.9), None),
        ((0.50, 0.8), (0.51, 0.9), "average goal accuracy 0.800 instead of 0.900"),
        ((0.57, 0.1), (0.51, 0.9), None),
        ((0.50, 0.9), (0.53, 0.8), None),
        ((0.50, 0.89), (0.50, 0.9), None),
        ((float("nan"), 0.8), (float("nan"), 0.9), "average goal accuracy 0.800 instead of 0.900"),
        ((float("nan"), float("nan")), (float("nan"), float("nan")), None),
    ],
)
def test_what_counts_as_worse(new: tuple, now: tuple, lost: object) -> None:
    one, other = (Figures(jga, goal, 1.0, 1.0, 1.0, 40) for jga, goal in (new, now))
    assert worse(one, other) == lost


def test_what_was_made_already(store: Store, tracker: StateTracker) -> None:
    _import(store)
    assert made_already(store, tracker, NAME, steps=1) is None
    adapt(store, tracker, NAME, steps=1)
    found = made_already(store, tracker, NAME, steps=1)
    assert found is not None and (found.version, found.active) == (1, True)
    assert made_already(store, tracker, NAME, steps=2) is None
    assert made_already(store, dataclasses.replace(tracker, digest="x"), NAME, steps=1) is None
    card = {"adaptation": {**tracker.card.get("adaptation", {}), "mixing": 0.5}}
    assert made_already(store, dataclasses.replace(tracker, card=card), NAME, steps=1) is None
    _import(store, held_out=5)  # figures would change, the weights would not
    assert made_already(store, tracker, NAME, steps=1) is not None
    _import(store, wrong=True)
    assert made_already(store, tracker, NAME, steps=1) is None
    _import(store)
    changed = dataclasses.replace(TABLES, description="Book a table")
    store.dialogues.import_corpus(Corpus({NAME: changed}, ()))
    assert made_already(store, tracker, NAME, steps=1) is None


def test_held_out_dialogues_are_not_read_to_know_that_nothing_changed(
    store: Store, tracker: StateTracker
) -> None:
    """They are most of a store, and `adapt --all` asks this of every domain."""
    _import(store, held_out=2)
    adapt(store, tracker, NAME, steps=1)
    with store._database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE turns SET state = 'no' WHERE dialogue IN "
            "(SELECT id FROM dialogues WHERE split = 'held-out')"
        )
    with pytest.raises(StoreError):
        store.support(NAME)
    assert made_already(store, tracker, NAME, steps=1) is not None


def test_settings_that_came_later_make_no_other_version(
    store: Store, tracker: StateTracker
) -> None:
    _import(store)
    adapt(store, tracker, NAME, steps=1)
    with store._database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE adapters SET figures = json_remove(figures, '$.adaptation.epochs')"
        )
    assert "epochs" not in store.adapters.info(NAME, 1).figures["adaptation"]
    assert made_already(store, tracker, NAME, steps=1) is not None


def test_more_support_takes_more_steps(store: Store, tracker: StateTracker) -> None:
    card = {"adaptation": {**tracker.card.get("adaptation", {}), "steps": 2, "epochs": 2}}
    tracker = dataclasses.replace(tracker, card=card)
    _import(store)
    told = []
    report = adapt(store, tracker, NAME, progress=lambda done, total, _: told.append((done, total)))
    assert report.steps == store.adapters.info(NAME, 1).figures["steps"] == 3
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert made_already(store, tracker, NAME) is not None
    assert made_already(store, tracker, NAME, steps=2) is None


def test_other_settings_of_the_replies_make_another_version(
    store: Store, tracker: StateTracker
) -> None:
    pytest.importorskip("transformers")
    model = tiny_model()
    model.weights, model.digest = model.initial_weights(2), "tiny"
    model.rates = {name: torch.full((1,), 0.05) for name in model.weights}
    model.card["adaptation"] = {"steps": 1, "dialogues_a_step": 1, "optimiser": "adam"}
    replies = ReplyLearner(model, embed)
    _import(store)
    adapt(store, tracker, NAME, steps=1, replies=replies)
    assert made_already(store, tracker, NAME, steps=1, replies=replies) is not None
    model.card["adaptation"] = {**model.card["adaptation"], "dialogues_a_step": 2}
    assert made_already(store, tracker, NAME, steps=1) is not None
    assert made_already(store, tracker, NAME, steps=1, replies=replies) is None
    # earlier versions didn't keep them
    with store._database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE adapters SET figures = json_remove(figures, '$.replies.adaptation')"
        )
    assert made_already(store, tracker, NAME, steps=1, replies=replies) is not None


def test_a_version_that_was_rolled_back_is_not_made_again(
    store: Store, tracker: StateTracker
) -> None:
    _import(store)
    adapt(store, tracker, NAME, steps=1)
    adapt(store, tracker, NAME, steps=2)
    store.adapters.rollback(NAME)
    found = made_already(store, tracker, NAME, steps=2)
    assert found is not None and (found.version, found.active) == (2, False)


def test_a_job_may_switch_to_a_version_that_is_there(store: Store, tracker: StateTracker) -> None:
    _import(store)
    adapt(store, tracker, NAME, steps=1)
    adapt(store, tracker, NAME, steps=2)
    store.adapters.rollback(NAME)

    def asked(**how: Any) -> Attempt:
        store.jobs.enqueue(NAME, asked_by="ann", inner_steps=2, **how)
        lease = store.jobs.claim("me")
        assert lease is not None
        return attempt(store, lease, tracker)

    done = asked()
    assert done.said.endswith(f"it isn't active: rasa-onramp versions activate {NAME} 2")
    store.adapters.pin(NAME, 1)
    asked(switch_anyway=True)
    assert _active(store) == 1
    store.adapters.unpin(NAME, 1)
    done = asked(switch_anyway=True)
    assert _active(store) == 2
    assert done.said == "up to date, nothing changed since version 2 was made"


@pytest.mark.parametrize("long", [3, 99])
def test_what_was_made_waits_for_a_long_import(
    store: Store, tracker: StateTracker, monkeypatch: pytest.MonkeyPatch, long: int
) -> None:
    _import(store)
    add, tries = store.adapters.add, []

    def busy(*args: Any, **kwargs: Any) -> int:
        tries.append(1)
        if len(tries) <= long:
            raise StoreBusy("another process has been writing; try again when it is done")
        return add(*args, **kwargs)

    monkeypatch.setattr(store.adapters, "add", busy)
    if long == 3:
        assert adapt(store, tracker, NAME, steps=1).version == 1
        assert len(tries) == 4
    else:
        with pytest.raises(StoreBusy):
            adapt(store, tracker, NAME, steps=1)
        assert len(tries) == 10


def test_a_damaged_version_is_made_again(store: Store, tracker: StateTracker) -> None:
    _import(store)
    report = adapt(store, tracker, NAME, steps=1)
    assert made_already(store, tracker, NAME, steps=1) is not None
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE adapters SET weights = zeroblob(9)")
    assert made_already(store, tracker, NAME, steps=1) is None
    again = adapt(store, tracker, NAME, steps=1)
    assert (again.kept, again.after) == (None, report.after)
    assert _active(store) == 2


def test_equal_support_makes_equal_weights(store: Store, tracker: StateTracker) -> None:
    """Why nothing is lost by not adapting again."""
    _import(store)
    one, two = (adapt(store, tracker, NAME, steps=2).version for _ in range(2))
    assert store.adapters.get(NAME, one).digest == store.adapters.get(NAME, two).digest


def test_dialogues_that_wait_for_labels_are_told(store: Store, tracker: StateTracker) -> None:
    waiting = Intake(waits=lambda dialogue: dialogue.split != "held-out")
    store.dialogues.import_corpus(Corpus({NAME: TABLES}, dialogues(TABLES, 3)), how=waiting)
    report = adapt(store, tracker, NAME, steps=1)
    assert report.figures.startswith("from 0 support dialogues in ")
    assert report.figures.endswith(f"; 3 more wait for labels: rasa-onramp label {NAME}")

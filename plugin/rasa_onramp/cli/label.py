"""rasa-onramp label"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Iterator, List, Mapping, Optional, Sequence, Tuple

import click

from rasa_onramp.cli.chat_view import state_lines
from rasa_onramp.cli.labelling import Labelling
from rasa_onramp.cli.options import checkpoint_option, load, names_in, threads_option
from rasa_onramp.cli.terminal import read_line, somebody_types
from rasa_onramp.dialogue import Dialogue, State, Turn
from rasa_onramp.errors import NotFound, StoreError, StoreUnavailable
from rasa_onramp.formats.wording import one_line
from rasa_onramp.runtime.adapter_cache import prepared
from rasa_onramp.store import Store, open_store
from rasa_onramp.tracker.decoding import Prepared, TurnPrediction
from rasa_onramp.tracker.model import StateTracker
from rasa_onramp.tracker.together import track

__all__ = ["command"]

_HELP = (
    "Enter accepts; slot=value corrects, slot= clears, intent=NAME or intent=none; "
    "/asks SLOT, SLOT what the user wants to know; /none nothing to this domain; "
    "/guess what the tracker makes of it; /undo; /skip this dialogue; /quit"
)


@click.command("label")
@click.argument("domain")
@click.option("--all", "everything", is_flag=True, help="Dialogues that don't wait for labels too.")
@click.option(
    "--dialogue", "names", metavar="ID", multiple=True, help="Only this dialogue. May be repeated."
)
@click.option(
    "--split",
    type=click.Choice(["support", "held-out"]),
    default="support",
    show_default=True,
    help="What labelled dialogues that are of no split are for.",
)
@checkpoint_option
@threads_option
def command(
    domain: str,
    everything: bool,
    names: Tuple[str, ...],
    split: str,
    checkpoint: Optional[str],
    threads: Optional[int],
) -> None:
    """Label the states of DOMAIN's dialogues in the terminal.

    Goes through the dialogues that wait for labels: those imported without states, or to be
    checked. Each user turn is shown with the state that it has, or that the tracker guesses (by the
    domain's active adapter), and is accepted or corrected. A dialogue is stored when its last turn
    is done, and is learned from at the next `adapt`. No later import takes the labels back. Where
    one couldn't be stored, which is said, the exit code is 1.
    """
    with open_store() as store:
        schema = store.dialogues.schema(domain)
        dialogues = _chosen(store, domain, everything, names)
        if not dialogues:
            click.echo(f"no dialogue of {domain} waits for labels; --all takes up the others")
            return
        tracker = load(checkpoint, "cpu", threads)
        version = store.dialogues.glance(domain).active_version
        ready = prepared(store, tracker, schema, version)
        click.echo(_HELP)
        stored = lost = turns = corrected = 0
        for number, dialogue in enumerate(dialogues, start=1):
            click.echo(f"\n{one_line(dialogue.id)} ({number} of {len(dialogues)})")
            labelling = Labelling(schema, dialogue, partial(_guess, tracker, ready))
            verdict = _label(labelling)
            if verdict == "quit":
                break
            if verdict == "skip":
                continue
            after = labelling.labelled(split)
            guesses = {place: found.state for place, found in labelling.guesses.items()}
            if not _saved(store, dialogue, after, guesses, version):
                lost += 1
                with suppress(StoreUnavailable):  # it may be out of reach still
                    if store.dialogues.schema(domain) != schema:
                        click.echo(
                            f"the schema of {domain} was changed meanwhile; run this again",
                            err=True,
                        )
                        break
                continue
            stored += 1
            turns += len(guesses)
            corrected += sum(after.turns[i].state != guess for i, guess in guesses.items())
        click.echo(
            f"{domain}: {stored} dialogues labelled; "
            f"{corrected} of {turns} turns are not as the tracker guessed"
        )
    if lost:
        raise click.exceptions.Exit(1)


def _saved(
    store: Store,
    before: Dialogue,
    after: Dialogue,
    guesses: Mapping[int, State],
    version: Optional[int],
) -> bool:
    """Store a dialogue's labels, again and again where the store can't be reached; False, which is
    said, where that isn't the dialogue any more, or nobody wants to try again.
    """
    while True:
        try:
            store.labels.save(before, after, guesses, version)
            return True
        except StoreUnavailable as error:
            if not somebody_types():  # what is piped in next is no answer to that
                raise
            click.echo(f"rasa-onramp: {error}", err=True)
            typed = read_line("Enter tries again, /skip leaves it > ")
            if typed is None or typed.strip() == "/skip":
                return False
        except StoreError as error:
            click.echo(f"rasa-onramp: {error}", err=True)
            return False


def _chosen(store: Store, domain: str, everything: bool, names: Sequence[str]) -> List[Dialogue]:
    waiting = None if everything or names else True
    found = store.dialogues.dialogues(domain, waiting=waiting)
    for name in names:
        if name not in {dialogue.id for dialogue in found}:
            mend = f"those that wait are shown by `rasa-onramp label {domain}`, the others exported"
            raise NotFound(f"domain {domain!r} has no dialogue {name!r}; {mend}")
    return [dialogue for dialogue in found if not names or dialogue.id in names]


def _guess(
    tracker: StateTracker, ready: Prepared, turns: Sequence[Turn], before: State
) -> TurnPrediction:
    return track(tracker, ready, turns, before, offers=True)


def _label(labelling: Labelling) -> str:
    """Every turn of a dialogue; says "done", "skip" or "quit"."""
    shown = None
    while not labelling.done:
        if shown != labelling.place:
            _show_turns(labelling)
            shown = labelling.place
        for line in _proposal_lines(labelling):
            click.secho(f"  {one_line(line)}", fg="bright_black")
        typed = read_line("label> ")
        if typed is None or typed.strip() == "/quit":
            return "quit"
        if typed.strip() == "/skip":
            return "skip"
        try:
            _obey(typed.strip(), labelling)
        except ValueError as error:
            click.echo(f"  {error}")
    return "done"


def _obey(typed: str, labelling: Labelling) -> None:
    order, _, rest = typed.partition(" ")
    if not typed:
        labelling.accept()
    elif order == "/asks":
        labelling.request(names_in(rest))
    elif typed == "/none":
        labelling.take_out()
    elif typed == "/guess":
        labelling.take_guess()
    elif typed == "/undo":
        labelling.undo()
    elif typed.startswith("/") or "=" not in typed:
        raise ValueError(_HELP)
    else:
        name, _, value = typed.partition("=")
        hint = labelling.put(name.strip(), value.strip())
        if hint is not None:
            click.echo(f"  {hint}")


def _show_turns(labelling: Labelling) -> None:
    """What was said since the user turn before, and the one in hand."""
    turns = labelling.dialogue.turns
    first = labelling.place
    while first > 0 and not turns[first - 1].is_user:
        first -= 1
    for turn in turns[first : labelling.place + 1]:
        click.echo(f"{'you' if turn.is_user else 'bot'}> {one_line(turn.text)}")


def _proposal_lines(labelling: Labelling) -> Iterator[str]:
    state, guess = labelling.proposal.state, labelling.prediction
    if state is None:
        yield "scope   says nothing to this domain"
    else:
        before = labelling.before
        changes = {
            slot: state.values.get(slot, ())
            for slot in dict.fromkeys((*before.values, *state.values))
            if state.values.get(slot, ()) != before.values.get(slot, ())
        }
        if state == guess.state:
            yield from state_lines(
                state,
                intent_confidence=guess.intent_confidence,
                slot_confidence=guess.slot_confidence,
                changes=changes,
            )
            return
        yield from state_lines(state, changes=changes)
    for number, line in enumerate(state_lines(guess.state)):
        yield f"{'guess ' if number == 0 else '':<8}{line}"

"""rasa-onramp remove"""

from __future__ import annotations

from typing import Sequence, Tuple

import click

from rasa_onramp.cli.options import agree, tell_if_stale
from rasa_onramp.formats.wording import one_line
from rasa_onramp.store import Store, open_store

__all__ = ["command"]


@click.command("remove")
@click.argument("domain")
@click.option(
    "--dialogue",
    "dialogues",
    metavar="ID",
    multiple=True,
    help="Delete this dialogue alone, with its labels; repeatable.",
)
@click.option("--yes", is_flag=True, help="Delete without asking.")
def command(domain: str, dialogues: Tuple[str, ...], yes: bool) -> None:
    """Delete DOMAIN with its dialogues, adapter versions and feedback, in one transaction.

    A running bot doesn't know it any more at its next message. With --dialogue only these go: the
    domain, its versions, which may have learned from them, and its feedback stay. If it is
    declined, nothing is changed and the exit code is 1.
    """
    with open_store() as store:
        if dialogues:
            _remove_dialogues(store, domain, sorted(set(dialogues)), yes)
            return
        versions = len(store.adapters.versions(domain))
        feedback = store.feedback.count(domain)
        found = store.dialogues.glance(domain)
        what = f"{domain} with {found.n_dialogues - found.n_waiting} dialogues, "
        if found.n_waiting:
            what += f"{found.n_waiting} more that wait for labels, "
        what += f"{versions} adapter versions and {feedback} feedback"
        if not yes:
            agree(f"Delete {what}?")
        store.dialogues.delete_domain(domain)
    click.echo(f"Deleted {what}.")


def _remove_dialogues(store: Store, domain: str, ids: Sequence[str], yes: bool) -> None:
    store.dialogues.check_ids(domain, ids)  # before anybody is asked
    what = f"{len(ids)} dialogues of {domain} ({', '.join(map(one_line, ids))})"
    if not yes:
        agree(f"Delete {what}?")
    store.dialogues.delete_dialogues(domain, ids)
    click.echo(f"Deleted {what}.")
    tell_if_stale(store, domain)

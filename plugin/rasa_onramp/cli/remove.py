"""rasa-onramp remove"""

from __future__ import annotations

import click

from rasa_onramp.cli.options import agree
from rasa_onramp.store import open_store

__all__ = ["command"]


@click.command("remove")
@click.argument("domain")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def command(domain: str, yes: bool) -> None:
    """Delete DOMAIN with its dialogues, adapter versions and feedback, in one transaction.

    A running bot doesn't know it any more at its next message. If it is declined, nothing is
    changed and the exit code is 1.
    """
    with open_store() as store:
        versions = len(store.adapters.versions(domain))
        feedback = len(store.feedback.list(domain))
        found = store.dialogues.glance(domain)
        what = f"{domain} with {found.n_dialogues - found.n_waiting} dialogues, "
        if found.n_waiting:
            what += f"{found.n_waiting} more that wait for labels, "
        what += f"{versions} adapter versions and {feedback} feedback"
        if not yes:
            agree(f"Delete {what}?")
        store.dialogues.delete_domain(domain)
    click.echo(f"Deleted {what}.")

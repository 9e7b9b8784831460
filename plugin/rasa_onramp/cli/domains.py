"""rasa-onramp domains"""

from __future__ import annotations

import click

from rasa_onramp.formats.wording import one_line
from rasa_onramp.store import open_store

__all__ = ["command"]


@click.command("domains")
def command() -> None:
    """List the store's domains; `versions list` lists the adapter versions of one."""
    with open_store() as store:
        rows = store.dialogues.summary()
        remade = store.dialogues.remade(rows)
    if not rows:
        click.echo("no domains yet; import some: rasa-onramp import FILE")
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        version = f"version {row.active_version}" if row.active_version else "not adapted"
        if row.stale:
            version += ", support or feedback changed since: "
            made = remade.get(row.name)
            version += "adapt again" if made is None else f"version {made} has that (versions list)"
        if row.n_waiting:
            version += f", {row.n_waiting} wait for labels"
        counts = f"{row.n_support:>4} support {row.n_held_out:>5} held out"
        click.echo(f"{one_line(row.name):<{width}}  {counts}  {version}")

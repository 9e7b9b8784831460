"""rasa-onramp domains"""

from __future__ import annotations

from typing import Optional

import click

from rasa_onramp.store import open_store

__all__ = ["command"]


@click.command("domains")
@click.argument("domain", required=False)
def command(domain: Optional[str]) -> None:
    """List the store's domains, or the adapter versions of one DOMAIN."""
    with open_store() as store:
        if domain is None:
            rows = store.dialogues.summary()
            if not rows:
                click.echo("no domains yet; import some: rasa-onramp import FILE")
            width = max((len(row.name) for row in rows), default=0)
            for row in rows:
                version = f"version {row.active_version}" if row.active_version else "not adapted"
                if row.stale:
                    version += ", support changed since: adapt again"
                counts = f"{row.n_support:>4} support {row.n_held_out:>5} held out"
                click.echo(f"{row.name:<{width}}  {counts}  {version}")
            return
        store.dialogues.schema(domain)
        versions = store.adapters.versions(domain)
        active = store.adapters.active(domain)
        if not versions:
            click.echo(f"{domain} isn't adapted yet; run: rasa-onramp adapt {domain}")
        for info in versions:
            mark = "*" if active is not None and info.version == active.version else " "
            after = (info.figures.get("after") or {}).get("jga")
            jga = f"held-out JGA {after:.3f}" if after is not None else "no held-out figures"
            when = info.created_at.strftime("%Y-%m-%d %H:%M")
            click.echo(f"{mark} version {info.version}  {when}  {jga}  {info.digest[:12]}")

"""rasa-onramp adapt"""

from __future__ import annotations

from typing import Optional, Tuple

import click

from rasa_onramp.cli.options import (
    checkpoint_option,
    device_option,
    load,
    progress_bar,
    progress_option,
    threads_option,
)
from rasa_onramp.errors import ConfigError
from rasa_onramp.store import open_store

__all__ = ["command"]


@click.command("adapt")
@click.argument("domains", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Adapt every domain of the store.")
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=None,
    help="Inner steps a run. Default: what the checkpoint recommends, fewer of them below five "
    "support dialogues.",
)
@checkpoint_option
@device_option
@threads_option
@progress_option
def command(
    domains: Tuple[str, ...],
    everything: bool,
    steps: Optional[int],
    checkpoint: Optional[str],
    device: str,
    threads: Optional[int],
    progress: Optional[bool],
) -> None:
    """Adapt DOMAINS to their support dialogues and switch to the new versions.

    Prints the joint goal accuracy (JGA) on the domain's held-out dialogues before and after.
    """
    from rasa_onramp.onboarding import adapt

    with open_store() as store:
        chosen = store.dialogues.domains() if everything else domains
        if not chosen:
            raise ConfigError("no domain given; name domains, or import some and use --all")
        for domain in chosen:  # a wrong name is said before any work
            store.dialogues.schema(domain)
        tracker = load(checkpoint, device, threads)
        for domain in chosen:
            with progress_bar(progress, desc=domain, unit="step") as bar:

                def after_step(done: int, total: int, loss: float) -> None:
                    bar.total = total
                    bar.set_postfix(loss=f"{loss:.2f}", refresh=False)
                    bar.update()

                report = adapt(store, tracker, domain, steps=steps, progress=after_step)
            line = (
                f"{domain}: version {report.version} from {report.support} support dialogues "
                f"in {report.seconds:.1f} s"
            )
            if report.before is not None and report.after is not None:
                line += (
                    f"; JGA on {report.held_out} held-out dialogues "
                    f"{report.before.jga:.3f} → {report.after.jga:.3f}"
                )
            click.echo(line)

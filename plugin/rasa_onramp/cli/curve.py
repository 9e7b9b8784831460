"""rasa-onramp curve"""

from __future__ import annotations

from typing import Optional, Tuple

import click

from rasa_onramp.cli.options import (
    checkpoint_option,
    device_option,
    load,
    numbers,
    progress_bar,
    progress_option,
    threads_option,
)
from rasa_onramp.evaluation.tables import table
from rasa_onramp.store import Curve, open_store

__all__ = ["command"]


@click.command("curve")
@click.argument("domain")
@click.option(
    "--shots",
    metavar="NUMBERS",
    default=None,
    callback=lambda ctx, param, value: None if value is None else numbers(0)(ctx, param, value),
    help="Numbers of support dialogues, separated by commas. Default: 0, 1, 2, 5, 10, 20, as far "
    "as the domain has them, and all of them.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Orders of the support dialogues to take the mean of.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Held-out dialogues to measure on, at most.",
)
@checkpoint_option
@device_option
@threads_option
@progress_option
def command(
    domain: str,
    shots: Optional[Tuple[int, ...]],
    seeds: int,
    limit: int,
    checkpoint: Optional[str],
    device: str,
    threads: Optional[int],
    progress: Optional[bool],
) -> None:
    """Measure how good DOMAIN's tracker is with few and with more of its support dialogues.

    Each time it is adapted anew, which stores no version, and measured on the domain's held-out
    dialogues. The curve is stored; the console page shows it.
    """
    from rasa_onramp.evaluation.curves import measure_curve

    with open_store() as store:
        store.dialogues.schema(domain)  # a wrong name is said before any work
        tracker = load(checkpoint, device, threads)
        with progress_bar(progress, desc=domain, unit="point") as bar:

            def tell(curve: Curve) -> None:
                bar.total = len(curve.wanted)
                bar.update()

            curve = measure_curve(
                store, tracker, domain, shots=shots, seeds=seeds, limit=limit, after_each=tell
            )
    rows = [
        [
            str(point["shots"]),
            *(f"{point[key]:.3f}" for key in ("jga", "average_goal_accuracy")),
            f"{point['seconds']:.1f}",
        ]
        for point in curve.points
    ]
    click.echo(table(["support dialogues", "JGA", "goal", "seconds"], rows))
    click.echo(f"on {curve.held_out} held-out dialogues of {domain}")

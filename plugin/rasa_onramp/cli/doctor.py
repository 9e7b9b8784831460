"""rasa-onramp doctor"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import List, Optional

import click

from rasa_onramp.cli.options import progress_option, refuse_options, shows_progress
from rasa_onramp.cli.rasa_files import RASA_FILES, rasa_files_options
from rasa_onramp.rasa_project import RasaProject

__all__ = ["command"]

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command("doctor")
@click.option(
    "--rasa-project",
    "folder",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of a Rasa bot to look at too: its files, its newest model, and the store and "
    "checkpoints that its config.yml names.",
)
@rasa_files_options
@click.option("--json", "as_json", is_flag=True, help="Print all findings as one JSON object.")
@progress_option
def command(
    folder: Optional[Path],
    config: Optional[Path],
    domain: Optional[Path],
    endpoints: Optional[Path],
    as_json: bool,
    progress: Optional[bool],
) -> None:
    """Check that all that a bot needs is there and fits, and say what to do where it doesn't.

    Python and packages, GPU, spaCy, checkpoints, pretrained weights, the store and its domains;
    with --rasa-project the bot too. Nothing is changed or downloaded. A warning is about what
    works, but not as well as it could. The exit code is 1 if there is a problem.
    """
    if folder is None:
        refuse_options(RASA_FILES, "with --rasa-project")
    from rasa_onramp.doctor import PROBLEM, WARNING, Finding, examine

    found: List[Finding] = []
    project = None if folder is None else RasaProject(folder, config, domain, endpoints)
    seen = examine(project, progress=shows_progress(progress))
    for finding in seen:
        found.append(finding)
        if not as_json:
            level = click.style(f"{finding.level:<8}", fg=_COLOURS[finding.level])
            click.echo(f"{level} {finding.check}: {finding.says}")
    counts = Counter(finding.level for finding in found)
    if as_json:
        report = {"ok": not counts[PROBLEM], "findings": [asdict(each) for each in found]}
        click.echo(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        click.echo(f"problems: {counts[PROBLEM]}, warnings: {counts[WARNING]}")
    if counts[PROBLEM]:
        raise click.exceptions.Exit(1)

"""Whether the model that `rasa run` would load has us, as the bot and our code are now."""

from __future__ import annotations

import json
import tarfile
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterator

from rasa_onramp import __version__
from rasa_onramp.botfiles import POLICY, TRACKER
from rasa_onramp.doctor.findings import Finding, ok, problem, some, warning
from rasa_onramp.provenance import STAMP, code_digest
from rasa_onramp.rasa_project import RasaProject

__all__ = ["model_findings"]

#: What Rasa writes about a model, and what we do; both are read whole.
_METADATA = "metadata.json"
_MOST_BYTES = 64 * 1024 * 1024


def model_findings(project: RasaProject) -> Iterator[Finding]:
    """The newest trained model, which is the one that `rasa run` loads. Raises ConfigError."""
    folder, mend = project.folder / "models", f"run `{project.train_command()}`"
    models = sorted(folder.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
    if not models:
        yield warning("model", f"{folder} holds none; {mend}")
        return
    newest = models[-1]
    try:
        found = _read(newest)
        nodes = found[_METADATA]["predict_schema"]["nodes"].values()
        used = {str(node["uses"]).rpartition(".")[2] for node in nodes}
    except (OSError, EOFError, tarfile.TarError, ValueError, KeyError, TypeError, AttributeError):
        yield problem("model", f"{newest} is damaged or no model of Rasa's; {mend}")
        return
    lacks = [name for name in (TRACKER, POLICY) if name.rpartition(".")[2] not in used]
    if lacks:
        yield problem("model", f"{newest.name} was trained without {lacks[0]}; {mend}")
        return
    doubts = [*_doubts(found), *_edited(project, newest)]
    for doubt in doubts:
        yield warning("model", f"{newest.name} {doubt}; {mend}")
    if not doubts:
        yield ok("model", f"{newest.name} was trained with this code")


def _doubts(found: Dict[str, Any]) -> Iterator[str]:
    stamp = found.get(STAMP)
    if not isinstance(stamp, dict) or stamp.get("code") != code_digest():
        version = stamp.get("version") if isinstance(stamp, dict) else None
        whose = f"rasa-onramp {version}" if version else "an earlier rasa-onramp"
        yield f"was trained by another code of ours ({whose}; this is {__version__})"
    trained = found[_METADATA].get("rasa_open_source_version")
    try:
        installed = metadata.version("rasa")
    except metadata.PackageNotFoundError:
        return
    if trained != installed:
        yield f"was trained by Rasa {trained}, and {installed} is installed"


def _edited(project: RasaProject, model: Path) -> Iterator[str]:
    since = model.stat().st_mtime
    sources = (project.config_file(), *project.domain_files())  # which are often edited
    changed = [project.name(path) for path in sources if path.stat().st_mtime > since]
    if changed:
        yield f"is older than {some(changed)}"


def _read(path: Path) -> Dict[str, Any]:
    """The JSON of Rasa's metadata and of our stamp in a model."""
    found: Dict[str, Any] = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            if name not in (_METADATA, STAMP) or not member.isfile() or member.size > _MOST_BYTES:
                continue
            content = archive.extractfile(member)
            assert content is not None  # it is a file
            found[name] = json.load(content)
    return found

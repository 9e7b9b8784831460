"""Which code made something."""

from __future__ import annotations

import hashlib
from pathlib import Path

import rasa_onramp

__all__ = ["STAMP", "code_digest"]

#: The file in a trained Rasa model that says which code of ours trained it: `version` and `code`.
STAMP = "rasa_onramp.json"


def code_digest() -> str:
    """A digest of the package's code: Rasa itself looks at the component's own class only."""
    digest = hashlib.sha256()
    root = Path(rasa_onramp.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()

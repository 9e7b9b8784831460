"""The names that users may rely on: `__all__` of each package and top-level module.

They stand in tests/public_names.txt, so that a change to them is seen in review. After a change on
purpose: `python tests/unit/test_public_names.py`.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "plugin"
PINNED = ROOT / "tests" / "public_names.txt"
HEADER = "# Written by `python tests/unit/test_public_names.py`; see there.\n"

#: Packages that need what isn't everywhere.
NEEDS = {"rasa_onramp.components": "rasa", "rasa_onramp.actions": "rasa_sdk"}


def dotted(path: Path) -> str:
    parts = list(path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def declared(path: Path) -> Optional[List[str]]:
    """`__all__` as the file spells it, without importing the file; None where there is none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                assert node.value is not None
                return list(ast.literal_eval(node.value))
    return None


@lru_cache(maxsize=1)
def public() -> Dict[str, List[str]]:
    """`__all__` of every package and top-level module that has one."""
    package = SOURCE / "rasa_onramp"
    paths = {*package.glob("*.py"), *package.rglob("__init__.py")}
    found = {dotted(path): declared(path) for path in sorted(paths)}
    return {name: names for name, names in found.items() if names}


def as_text(names: Dict[str, List[str]]) -> str:
    return HEADER + "".join(
        "\n" + module + "\n" + "".join(f"    {name}\n" for name in names[module])
        for module in sorted(names)
    )


def test_public_names_are_pinned() -> None:
    assert as_text(public()) == PINNED.read_text(encoding="utf-8")


@pytest.mark.parametrize("module", sorted(public()))
def test_public_names_exist(module: str) -> None:
    needed = NEEDS.get(module)
    if needed is not None and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{module} needs {needed}, which isn't installed")
    imported = importlib.import_module(module)
    assert [name for name in public()[module] if not hasattr(imported, name)] == []


def test_every_module_declares_its_names() -> None:
    """Also inside packages: what isn't in `__all__` is the module's own affair."""
    silent = [
        dotted(path)
        for path in (SOURCE / "rasa_onramp").rglob("*.py")
        if "migrations" not in path.parts and path.name != "__init__.py" and declared(path) is None
    ]
    assert silent == []


def test_what_one_module_imports_from_another_is_declared() -> None:
    """What isn't in `__all__` may go any day, so nobody else may rely on it."""
    undeclared = []
    for path in (SOURCE / "rasa_onramp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            module = SOURCE.joinpath(*(node.module or "").split(".")).with_suffix(".py")
            if module.is_file():  # a package's names are its modules, too
                promised = declared(module) or []
                taken = [alias.name for alias in node.names if alias.name not in promised]
                undeclared += [f"{dotted(path)}: {dotted(module)}.{name}" for name in taken]
    assert undeclared == []


if __name__ == "__main__":
    PINNED.write_text(as_text(public()), encoding="utf-8")

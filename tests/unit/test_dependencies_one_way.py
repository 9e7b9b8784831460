"""Who may import whom: imports in the package point one way, from the top of LAYERS to its bottom.

Imports are read from the source, so that those inside functions count too. What is imported only
for annotations (under `if TYPE_CHECKING:`) doesn't count.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "plugin"
PACKAGE = "rasa_onramp"

#: Bottom to top. A part may import from the lines above its own, and from itself; parts of one
#: line don't know each other. Evaluation stands in several lines: metrics know at most dialogues.
LAYERS: Tuple[Tuple[str, ...], ...] = (
    ("errors", "rasa_names"),
    (
        *("channel_token", "dialogue", "environment", "home", "logs", "memory"),
        *("near_names", "plain_json", "provenance", "rasa_project", "whole_files"),
        *("evaluation.bleu", "evaluation.bootstrap"),
    ),
    (
        *("weights", "embedding", "bot_edits", "example_calls", "yaml_edit"),
        *("evaluation.metrics", "evaluation.reply_metrics"),
    ),
    ("checkpoint_files",),
    ("formats", "store", "tracker", "generator", "botfiles"),
    ("advice", "metalearning"),
    ("onboarding",),
    ("actions", "evaluation", "refusals", "runtime"),
    ("doctor", "console"),
    ("components", "cli", "fleet"),
)

#: Third parties that only some modules may import.
RESERVED = {
    "rasa": ("components",),
    "rasa_sdk": ("actions",),
    "sqlalchemy": ("store",),
    "alembic": ("store",),
    "psycopg2": ("store",),
    "higher": ("metalearning.inner_loop",),
    "transformers": ("generator",),  # elsewhere only the reference that tests compare with
    "gguf": ("weights",),
    "sentence_transformers": (),
    "huggingface_hub": ("weights",),
    "click": ("cli",),
    "ruamel": ("formats", "yaml_edit"),
    "matplotlib": ("evaluation.plots",),
    "sacrebleu": ("evaluation.bleu",),
    "celery": ("fleet",),
    "structlog": ("logs",),
    "prometheus_client": ("runtime.telemetry", "runtime.gauges"),
}

#: Run on a bare GPU machine, where these aren't installed.
BARE = ("tracker", "generator", "metalearning")
ABSENT_THERE = ("rasa", "rasa_sdk", "sqlalchemy", "alembic", "psycopg2", "click")


class Import(NamedTuple):
    """`module` (dotted, without the package's name) imports `name` (full dotted name)."""

    module: str
    name: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}: {self.name}"


def modules() -> List[Tuple[str, Path]]:
    """Every module of the package as (dotted name without the package's, file)."""
    found = []
    for path in sorted((SOURCE / PACKAGE).rglob("*.py")):
        parts = list(path.relative_to(SOURCE / PACKAGE).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found.append((".".join(parts), path))
    return found


def imports_of(module: str, source: str, *, is_package: bool) -> Iterator[Import]:
    """The imports in `source`, relative ones resolved, `if TYPE_CHECKING:` left out."""
    parts = [PACKAGE, *module.split(".")] if module else [PACKAGE]
    here = parts if is_package else parts[:-1]
    waiting: List[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(module, f"{target}.{alias.name}", node.lineno)
        waiting.extend(ast.iter_child_nodes(node))


@lru_cache(maxsize=1)
def all_imports() -> Tuple[Import, ...]:
    return tuple(
        found
        for module, path in modules()
        for found in imports_of(
            module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py"
        )
    )


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def layer_of(name: str) -> Optional[Tuple[int, str]]:
    """The line of LAYERS and the part that `name` belongs to; the longest part wins."""
    fitting = [
        (len(part), level, part)
        for level, parts in enumerate(LAYERS)
        for part in parts
        if within(name, part)
    ]
    return max(fitting)[1:] if fitting else None


def wrong_way(found: Import) -> bool:
    """Whether an import inside the package points up or sideways."""
    if not within(found.name, PACKAGE):
        return False
    target = layer_of(found.name[len(PACKAGE) + 1 :])
    if target is None:  # the package's root: its version
        return False
    own = layer_of(found.module)
    return own is None or not (target[0] < own[0] or target[1] == own[1])


def test_every_module_has_its_layer() -> None:
    assert [name for name, _ in modules() if name and layer_of(name) is None] == []


def test_imports_point_one_way() -> None:
    assert [str(found) for found in all_imports() if wrong_way(found)] == []


@pytest.mark.parametrize("library", sorted(RESERVED))
def test_third_parties_stay_where_they_belong(library: str) -> None:
    strangers = [
        str(found)
        for found in all_imports()
        if within(found.name, library)
        and not any(within(found.module, part) for part in RESERVED[library])
    ]
    assert strangers == []


def test_learning_code_runs_without_rasa_and_sql() -> None:
    """For real: in a process where those can't be imported."""
    names = [
        f"{PACKAGE}.{name}" for name, _ in modules() if any(within(name, part) for part in BARE)
    ]
    assert len(names) > len(BARE)
    script = (
        "import importlib, sys\n"
        f"for name in {ABSENT_THERE!r}: sys.modules[name] = None\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("tracker.model", "from ..metalearning import lora", True),
        ("tracker.model", "import rasa_onramp.store", True),
        ("tracker.model", "def late():\n    from rasa_onramp.generator import fill", True),
        ("store.tables", "from .. import runtime", True),
        ("evaluation.metrics", "from .few_shot import run", True),
        ("metalearning.lora", "from ..tracker.encoder import Encoder", False),
        ("evaluation.few_shot", "from .metrics import score_turn", False),
        ("cli.adapt", "from .. import __version__", False),
        ("tracker.model", "if TYPE_CHECKING:\n    from ..metalearning import lora", False),
        ("tracker.model", "import torch", False),
    ],
)
def test_the_check_itself(module: str, source: str, wrong: bool) -> None:
    assert [wrong_way(found) for found in imports_of(module, source, is_package=False)] == (
        [wrong] if "TYPE_CHECKING" not in source else []
    )

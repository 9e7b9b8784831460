"""Rules that hold for every tracked file, whoever wrote it."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "plugin" / "rasa_onramp"

#: Lines a module may have before it should become two; "about 300" with some slack.
LONGEST_MODULE = 330

#: Loading these can run code that the file's author chose.
UNSAFE_MODULES = ("cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve")

#: These run text as a program, or write a file where others may have put a link.
UNSAFE_CALLS = ("compile", "eval", "exec", "os.popen", "os.system", "tempfile.mktemp")

#: What reads files for us; the rest that we use (tokenizers, safetensors' core) is Rust.
READERS = ("gguf.gguf_reader", "gguf.quants", "safetensors.numpy", "safetensors.torch")

#: What belongs to one machine or network. The brackets keep a rule from finding itself.
LOCAL = {
    "a home folder": re.compile(r"(?<![\w.])/(?:root|home/[a-z][\w-]*|Users/[A-Za-z][\w-]*)/"),
    "this project's workplace": re.compile(r"(?<![\w./-])/wor[k]/"),
    "a package index": re.compile(
        r"(?:index-ur[l]|find-link[s]|trusted-hos[t])[= ]+\S*(?:://|/)"
        r"|https?://[^/\s]*(?:artifactor[y]|nexu[s]|devp[i])"
    ),
    "a private network": re.compile(r"https?://(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d"),
}


def tracked() -> List[Path]:
    """The files git tracks; without git (an unpacked archive), those it would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [
            path
            for path in REPOSITORY.rglob("*")
            for parts in [path.relative_to(REPOSITORY).parts]
            if not any(part.startswith(".") or part == "__pycache__" for part in parts)
        ]
    return [path for path in paths if path.is_file()]


@lru_cache(maxsize=1)
def texts() -> Tuple[Tuple[Path, str], ...]:
    """Tracked files that are text, with what they say."""
    contents = ((path, path.read_bytes()) for path in tracked())
    return tuple(
        (path.relative_to(REPOSITORY), content.decode("utf-8"))
        for path, content in contents
        if b"\0" not in content
    )


def unsafe_loads(source: str) -> Iterator[str]:
    """Where `source` imports or calls something that runs what a file says."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        for name in names:
            if name.split(".")[0] in UNSAFE_MODULES:
                yield f"line {node.lineno}: imports {name}"
        if isinstance(node, ast.Call):
            yield from (f"line {node.lineno}: {what}" for what in _unsafe_call(node))


def _unsafe_call(node: ast.Call) -> Iterator[str]:
    called = _dotted(node.func)
    short = called.rsplit(".", 1)[-1]
    given = {
        keyword.arg: keyword.value.value if isinstance(keyword.value, ast.Constant) else keyword
        for keyword in node.keywords
    }
    if called in UNSAFE_CALLS:
        yield called
    if (
        called in ("torch.load", "load_state_dict_from_url")
        and given.get("weights_only") is not True
    ):
        yield f"{called} without weights_only=True"
    if called in ("np.load", "numpy.load") and given.get("allow_pickle") is not False:
        yield "numpy.load without allow_pickle=False"
    if called in ("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"):
        yield f"{called}: use ruamel.yaml's safe kind"
    if short == "YAML" and given.get("typ", "rt") not in ("rt", "safe"):
        yield "YAML of an unsafe kind"
    if given.get("shell") is True:
        yield "a shell"
    if short == "from_pretrained":
        if given.get("use_safetensors") is not True:
            yield "from_pretrained without use_safetensors=True"
        if given.get("trust_remote_code") is not False:
            yield "from_pretrained without trust_remote_code=False"


def _dotted(node: ast.AST) -> str:
    """A name with what stands before its dots; empty for what is none."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_nothing_unpickles() -> None:
    found = [
        f"{path}, {what}"
        for path, text in texts()
        if path.suffix == ".py"
        for what in unsafe_loads(text)
        # tests compare with what others load, from folders that they wrote themselves
        if path.parts[0] != "tests" or "from_pretrained" not in what
    ]
    assert found == []


@pytest.mark.parametrize("module", READERS)
def test_what_reads_files_for_us_does_not_unpickle_either(module: str) -> None:
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"{module} isn't installed"
    assert spec.origin is not None
    assert list(unsafe_loads(Path(spec.origin).read_text(encoding="utf-8"))) == []


def made_sql(source: str) -> Iterator[str]:
    """Where `source` puts a statement together from parts; constants, in capitals, may be parts."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if _dotted(node.func).rsplit(".", 1)[-1] in ("text", "execute", "exec_driver_sql"):
            for part in ast.walk(node.args[0]):
                value = part.value if isinstance(part, ast.FormattedValue) else None
                if value is not None and not _dotted(value).isupper():
                    yield f"line {node.lineno}: a statement with {ast.dump(value)} in it"
                if isinstance(part, ast.BinOp) and any(
                    isinstance(getattr(side, "value", None), str)
                    for side in (part.left, part.right)
                ):
                    yield f"line {node.lineno}: a statement by + or %"
                if isinstance(part, ast.Call) and _dotted(part.func).endswith(".format"):
                    yield f"line {node.lineno}: a statement by format"


def test_no_sql_is_put_together() -> None:
    found = [
        f"{path.relative_to(SOURCE)}, {what}"
        for path in (SOURCE / "store").rglob("*.py")
        for what in made_sql(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("connection.execute(f'SELECT {name}')", 1),
        ("connection.execute(sa.text(f'SELECT {name}'))", 2),
        ("connection.execute('SELECT ' + name)", 1),
        ("connection.execute('SELECT %s' % name)", 1),
        ("connection.execute('SELECT {}'.format(name))", 1),
        ("sa.text(f'SET lock_timeout = {SECONDS}')", 0),
        ("connection.execute(sa.select(table.c.name).where(table.c.name == name))", 0),
    ],
)
def test_the_search_for_sql(source: str, found: int) -> None:
    assert len(list(made_sql(source))) == found


def test_tokens_are_compared_in_constant_time() -> None:
    """By hmac.compare_digest: == tells by its time how much of a token was right."""
    found = [
        f"{path.relative_to(SOURCE)}, line {node.lineno}"
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, (ast.Eq, ast.NotEq, ast.In)) for operator in node.ops)
        and any(
            re.fullmatch(r"(self\.)?_?(token|secret|password)s?", _dotted(side))
            for side in (node.left, *node.comparators)
        )
        and not any(isinstance(side, ast.Constant) for side in node.comparators)
    ]
    assert found == []


@pytest.mark.parametrize("what", sorted(LOCAL))
def test_no_file_names(what: str) -> None:
    found = [
        f"{path}:{number}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if LOCAL[what].search(line)
    ]
    assert found == []


def test_modules_stay_short() -> None:
    lengths = {
        str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCE.rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_modules_say_what_they_are_for() -> None:
    silent = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if path.read_text(encoding="utf-8").strip()
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_tracked_files_are_small() -> None:
    """Only checkpoints may weigh something; one of them at most 50 MB."""
    heavy = {
        str(path.relative_to(REPOSITORY)): path.stat().st_size
        for path in tracked()
        if path.stat().st_size > (50e6 if path.suffix == ".safetensors" else 1e6)
    }
    assert heavy == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", 1),
        ("from joblib import load", 1),
        ("import torch\ntorch.load(path)", 1),
        ("import torch\ntorch.load(path, weights_only=False)", 1),
        ("import torch\ntorch.load(path, weights_only=True)", 0),
        ("import numpy as np\nnp.load(path, allow_pickle=True)", 1),
        ("import numpy as np\nnp.load(path)", 1),
        ("import numpy as np\nnp.load(path, allow_pickle=False)", 0),
        ("eval(text)", 1),
        ("model.eval()", 0),
        ("re.compile(text)", 0),
        ("exec(text)", 1),
        ("os.system(text)", 1),
        ("subprocess.run(text, shell=True)", 1),
        ("yaml.load(text)", 1),
        ("YAML(typ='unsafe')", 1),
        ("YAML(typ='safe')", 0),
        ("AutoModel.from_pretrained(folder)", 2),
        ("AutoModel.from_pretrained(f, use_safetensors=True, trust_remote_code=False)", 0),
        ("from safetensors.torch import load_file", 0),
    ],
)
def test_the_search_for_unpickling(source: str, found: int) -> None:
    assert len(list(unsafe_loads(source))) == found


@pytest.mark.parametrize(
    ("what", "line", "found"),
    [
        ("a home folder", "/" + "home/ann/.cache", True),
        ("a home folder", "/homepage/", False),
        ("this project's workplace", "cd /wor" + "k/main", True),
        ("this project's workplace", "docs/work/", False),
        ("a package index", "--index-" + "url https://mirror.example/simple", True),
        ("a package index", "https://pypi.org/project/rasa", False),
        ("a private network", "http://" + "10.0.0.5:8080", True),
    ],
)
def test_the_search_for_addresses(what: str, line: str, found: bool) -> None:
    assert bool(LOCAL[what].search(line)) == found

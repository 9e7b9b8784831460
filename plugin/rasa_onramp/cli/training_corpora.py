"""Corpora to meta-train on: an SGD-format folder or a folder of YAML files, with paraphrases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Mapping, Sequence

from rasa_onramp.cli.corpora import yaml_files
from rasa_onramp.dialogue import Corpus, Schema
from rasa_onramp.errors import ConfigError
from rasa_onramp.formats import read
from rasa_onramp.formats.merging import merged
from rasa_onramp.formats.sgd_schema import read_sgd_schemas
from rasa_onramp.metalearning.corpus import Task, tasks_of

if TYPE_CHECKING:  # torch is imported by what computes, not by every command
    from rasa_onramp.embedding import Embed

__all__ = ["corpus_embed", "tasks_in", "training_tasks"]


def corpus_embed() -> Embed:
    """What finds similar turns of a corpus, as a bot finds them; a text is embedded once.

    In the precision that this machine learns in, for speed, where a bot and evaluate embed many
    texts in float32: of turns that are all but equally alike, machines may choose others. Raises
    CheckpointError.
    """
    import torch

    from rasa_onramp.embedding import WHOLE_CORPUS, CachedEmbed
    from rasa_onramp.metalearning.precision import learning_precision
    from rasa_onramp.tracker.sentences import SentenceEncoder

    encoder = SentenceEncoder.load("all-MiniLM-L6-v2")

    def embed(texts: Sequence[str]) -> torch.Tensor:
        with learning_precision(torch.device("cpu")):
            return encoder.embed(texts).float()

    return CachedEmbed(embed, WHOLE_CORPUS)


def tasks_in(folders: Sequence[str], paraphrases: Sequence[str] = ()) -> List[Task]:
    """The tasks of all `folders`; `paraphrases` are the first one's.

    Raises FormatError, and ConfigError as `training_tasks` does or where a service is in two.
    """
    tasks = [t for n, f in enumerate(folders) for t in training_tasks(f, () if n else paraphrases)]
    if not tasks:
        raise ConfigError(f"--data: no dialogues to train on in {', '.join(folders)}")
    names = [task.schema.name for task in tasks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"--data: service {twice[0]!r} is in two corpora; rename one of them")
    return tasks


def training_tasks(folder: str, paraphrases: Sequence[str] = ()) -> List[Task]:
    """The tasks in `folder`, its dialogues of split held-out left out.

    In an SGD-format folder each paraphrase (`paraphrases`, and the folder's own `paraphrase_*`) is
    a schema.json with the same services in the same order. In a folder of YAML files,
    `paraphrase_*/NAME.yml` describes NAME.yml's domain anew; those that are there are used.
    Raises FormatError and ConfigError.
    """
    root = Path(folder)
    if root.is_dir() and not any(root.glob("schema.json*")):
        if paraphrases:
            raise ConfigError(
                f"--paraphrases goes with a first corpus in SGD's format; put those of {folder} "
                "into its folders paraphrase_*"
            )
        return _yaml_tasks(root)
    own = sorted(str(path.parent) for path in root.glob("paraphrase_*/schema.json"))
    return tasks_of(
        read(folder, format="sgd"), [read_sgd_schemas(path) for path in (*paraphrases, *own)]
    )


def _yaml_tasks(root: Path) -> List[Task]:
    parts = [(path, read(path, format="yaml")) for path in yaml_files(root)]
    whole = merged(parts)
    # by domain and folder: a domain may be in several files, and so may its paraphrase
    wordings: Dict[str, Dict[str, Mapping[str, Schema]]] = {name: {} for name in whole.schemas}
    for path, part in parts:
        for other in sorted(folder / path.name for folder in root.glob("paraphrase_*")):
            if other.exists():
                for name in part.schemas:
                    wordings[name][other.parent.name] = read(other, format="yaml").schemas
    tasks: List[Task] = []
    for name, schema in whole.schemas.items():
        dialogues = (d for d in whole.dialogues if d.domain == name and d.split != "held-out")
        others = list(wordings[name].values())
        tasks += tasks_of(Corpus({name: schema}, tuple(dialogues)), others, whole)
    if not tasks:
        raise ConfigError(f"{root}: no schema.json and no YAML file with dialogues to train on")
    return tasks

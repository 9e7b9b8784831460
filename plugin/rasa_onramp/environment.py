"""Names of environment variables."""

from __future__ import annotations

import os

__all__ = ["is_variable"]


def is_variable(text: str) -> bool:
    """Whether `text` names an environment variable, as far as it is safe to repeat: a token or URL
    that was pasted in a name's place may look like one (`openssl rand -hex 32` does at times).
    """
    return text.isidentifier() and (text in os.environ or text.isupper())

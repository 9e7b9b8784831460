"""The token that opens a channel of ours, as an environment variable holds it."""

from __future__ import annotations

import os
import re
from typing import Optional

__all__ = ["token_flaw"]

#: Characters, at least: a token that is shorter is soon guessed.
_LEAST = 16

#: What a header carries as it is: neither blanks, nor the line's end that `echo` leaves.
_TOKEN = re.compile(r"[\x21-\x7e]+")


def token_flaw(variable: str) -> Optional[str]:
    """What is wrong with the token in this environment variable, and what to do about it;
    None for nothing.
    """
    token = os.environ.get(variable, "")
    if len(token) < _LEAST:
        flaw = f"holds no token of {_LEAST} characters or more"
    elif not _TOKEN.fullmatch(token):
        flaw = "holds a token with a blank, a line's end or an accent, which no request can send"
    else:
        return None
    return f"{flaw}; set one, for example export {variable}=$(openssl rand -hex 32)"

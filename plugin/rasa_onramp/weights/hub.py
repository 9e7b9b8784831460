"""The Hugging Face hub: its local cache, and downloads, which go on where they were cut off."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterable, Optional

from rasa_onramp.errors import CheckpointError

__all__ = ["cached", "download", "has_client"]

#: How long the hub may take to say that it is there.
SECONDS = 5


def has_client() -> bool:
    """Whether huggingface_hub is installed."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        return False
    return True


def cached(hub_id: str, patterns: Iterable[str]) -> Optional[Path]:
    """The folder of `hub_id` in the hub's local cache, perhaps incomplete; None if not there."""
    if not has_client():
        return None
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(patterns), local_files_only=True))
    except Exception:  # not there, or `hub_id` is no hub id
        return None


def download(hub_id: str, patterns: Iterable[str], *, progress: bool = False) -> Path:
    """Fetch `hub_id` into the hub's cache. A download that was cut off goes on where it stopped.

    Raises CheckpointError that says in a word or two why it can't be had; at once when
    HF_HUB_OFFLINE is set, and after `SECONDS` when the hub can't be reached.
    """
    if not has_client():
        raise CheckpointError("huggingface_hub isn't installed")
    from huggingface_hub import hf_hub_url, snapshot_download
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        build_hf_headers,
        disable_progress_bars,
        enable_progress_bars,
        get_session,
    )

    silenced = not progress and not are_progress_bars_disabled()
    try:
        # one short question first: the client itself asks several times, with pauses
        url = hf_hub_url(hub_id, "config.json")
        answer = get_session().head(url, headers=build_hf_headers(), timeout=SECONDS)
        if answer.status_code >= 400:
            raise CheckpointError(f"the hub answers {answer.status_code}")
        if silenced:
            disable_progress_bars()
        return Path(snapshot_download(hub_id, allow_patterns=list(patterns)))
    except CheckpointError:
        raise
    except OSError as error:
        # requests' own errors are OSErrors too, without an errno
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise CheckpointError(reason) from None
    except Exception as error:
        raise CheckpointError(type(error).__name__) from None
    finally:
        if silenced:
            enable_progress_bars()

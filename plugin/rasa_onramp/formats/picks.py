"""A person's picks between pairs of replies, as the page that `rasa-onramp judge page` makes saves
them: JSON with the pairs' ids and what was picked. Which methods they are, the file doesn't say.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Union

from rasa_onramp.errors import FormatError
from rasa_onramp.formats.jsontext import line_of, parse_json
from rasa_onramp.formats.shape import Misfit, get, shape
from rasa_onramp.formats.source import read_text
from rasa_onramp.formats.wording import quote

__all__ = ["CHOICES", "VERSION", "PicksFile", "read_picks"]

VERSION = 1
CHOICES = ("left", "right", "tie")

_LIMIT = 16 * 2**20
_LONGEST_NAME = 200


@dataclass(frozen=True)
class PicksFile:
    """What a picks file says: `replies` is the digest of the replies file, `page` that of the
    page, `picks` the choice (one of CHOICES) by the pair's id.
    """

    path: Path
    replies: str
    page: str
    seed: int
    judge: str
    picks: Dict[str, str]


def read_picks(path: Union[str, Path]) -> PicksFile:
    """The picks that a page saved. Raises FormatError."""
    path = Path(path)
    text = read_text(path, _LIMIT)
    raw = parse_json(text, path)
    try:
        return _picks(raw, path)
    except Misfit as misfit:
        raise FormatError(
            misfit.message, path=path, line=line_of(text, misfit.keys), mend=misfit.mend
        ) from misfit


def _picks(raw: Any, path: Path) -> PicksFile:
    shape(raw, dict, "a picks file", ())
    if "onramp_picks" not in raw:
        raise Misfit("not a file of picks", "name the file that the page's button saves", ())
    if raw["onramp_picks"] != VERSION:
        raise Misfit(
            f"picks of version {quote(raw['onramp_picks'])}; this program knows {VERSION}",
            "make the page with this version of rasa-onramp, or upgrade it",
            ("onramp_picks",),
        )
    judge = " ".join(get(raw, "judge", str, ()).split()) if "judge" in raw else ""
    if len(judge) > _LONGEST_NAME:
        raise Misfit("a judge's name of more than 200 characters", "shorten it", ("judge",))
    picks: Dict[str, str] = {}
    for place, item in enumerate(get(raw, "picks", list, ())):
        keys = ("picks", place)
        shape(item, dict, "a pick", keys)
        pair, choice = get(item, "pair", str, keys), get(item, "pick", str, keys)
        if choice not in CHOICES:
            raise Misfit(
                f"{quote(choice)} is no pick", f"write one of {', '.join(CHOICES)}", (*keys, "pick")
            )
        if pair in picks:
            raise Misfit(f"a second pick on pair {quote(pair)}", "keep one of them", keys)
        picks[pair] = choice
    return PicksFile(
        path=path,
        replies=get(raw, "replies", str, ()),
        page=get(raw, "page", str, ()),
        seed=get(raw, "seed", int, ()),
        judge=judge,
        picks=picks,
    )

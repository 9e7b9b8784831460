"""What a revision tells of a store."""

from __future__ import annotations

import pytest

from rasa_onramp.store import follows, open_store

EPOCH = 1 << 32


@pytest.mark.parametrize(
    ("known", "revision", "same"),
    [
        (0, 0, True),
        (3, 5, True),
        (5, 3, False),
        (EPOCH + 3, EPOCH + 5, True),
        (3, EPOCH + 5, False),
        (EPOCH + 5, 7, False),
        (EPOCH, 2 * EPOCH, False),
    ],
)
def test_a_store_is_known_by_its_revision(known: int, revision: int, same: bool) -> None:
    assert follows(known, revision) == same


def test_stores_begin_apart() -> None:
    begun = []
    for _ in range(5):
        with open_store("sqlite://") as store:
            store.upgrade()
            begun.append(store.revision())
    assert len({revision >> 32 for revision in begun}) > 1
    assert all(revision % EPOCH == 0 and revision < 2**53 for revision in begun)

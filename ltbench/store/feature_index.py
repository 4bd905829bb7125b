"""Which artefacts of a store have features of one look, so that the next one copies what it has in common with them.

    <root>/features/<look>/<key>    an empty file for each artefact

Nothing depends on this folder: without it, features are computed again.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltbench.store.store import Store


def add(look: str, key: str, store: Store) -> None:
    """Note an artefact. Does not raise if that cannot be written."""
    with contextlib.suppress(OSError):
        folder = store.root / "features" / look
        folder.mkdir(parents=True, exist_ok=True)
        (folder / key).touch()


def keys(look: str, store: Store) -> list[str]:
    """Return the keys of the artefacts, which may have been removed, newest first."""
    try:
        files = [(-path.stat().st_mtime, path.name) for path in (store.root / "features" / look).iterdir()]
    except OSError:
        return []
    return [name for _, name in sorted(files)]

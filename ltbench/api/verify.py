"""`ltbench.verify`: check records, recompute their metrics and rerun some of their cells."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ltbench.api.arguments import checked_as
from ltbench.api.asked import PathLike, data_folder, texts
from ltbench.api.html import preformatted
from ltbench.core.devices import AUTO
from ltbench.core.one_look import one_look

if TYPE_CHECKING:
    from ltbench.cli.running.verifying import Verified


class Verification:
    """What came of a verification. Notebooks and `print` show what `ltbench verify` prints."""

    def __init__(self, found: Verified) -> None:
        self._found = found
        self.facts: dict[str, Any] = msgspec.to_builtins(found.facts)
        """What `ltbench verify --json` prints."""
        self.failed = found.failed
        """Whether something is wrong: a record, or a rerun with other numbers."""
        self.verified = found.verification is not None
        """Whether nothing is wrong and cells were rerun."""

    def __str__(self) -> str:
        from ltbench.cli.running.verifying import print_verified

        with contextlib.redirect_stdout(io.StringIO()) as printed:
            print_verified(self._found)
        return printed.getvalue().rstrip("\n")

    def __repr__(self) -> str:
        state = "failed" if self.failed else "verified" if self.verified else "not verified"
        return f"Verification({self.facts['path']!r}, {state})"

    def _repr_html_(self) -> str:
        return preformatted(str(self))


@checked_as("verify")
def verify(
    records: PathLike, *, rerun: int = 0, seed: int | None = None, tolerance: float | None = None, dry: bool = False, executor: str = "local",
    device: str = AUTO, workers: int | None = None, plugins: str | Iterable[str] = (),
    plugin_files: PathLike | Iterable[PathLike] = (), leaderboards: PathLike = "leaderboards", data_root: PathLike | None = None,
) -> Verification:  # fmt: skip
    """Verify records, as `ltbench verify` does: an audit of each, and reruns of some of their cells.

    records: a records file, a suite's folder or name, or a store. rerun: how many cells, drawn with `seed`, by default a random one.
    tolerance: allowed difference of top-1 accuracies. dry: whether verified.json is not written. A record that is wrong is in the
    result; errors of `ltbench.errors` are raised if there are no records to examine.
    """
    from ltbench.cli.options import find_page, load_registry, selected_plugins
    from ltbench.cli.running.verifying import verify as verified

    with one_look():
        found = verified(
            find_page(str(records), Path(leaderboards)), load_registry(selected_plugins(texts(plugin_files), texts(plugins))),
            data_folder(data_root), count=rerun, seed=seed, tolerance=tolerance, dry=dry, executor=executor, device=device, workers=workers,
        )  # fmt: skip
    return Verification(found)

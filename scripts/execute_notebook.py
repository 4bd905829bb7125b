"""Execute `docs/notebooks/ltbench.ipynb` in an empty folder, and keep what its cells show.

    python scripts/execute_notebook.py

Progress on stderr is left out, as it differs each time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "notebooks" / "ltbench.ipynb"


def executed(folder: Path, changes: Mapping[str, str] | None = None) -> Any:
    """Return the notebook as executed in a folder, with a store of its own. changes: text -> what replaces it in all cells."""
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        for text, other in (changes or {}).items():
            cell.source = cell.source.replace(text, other)
    before = dict(os.environ)
    os.environ |= {"LTBENCH_STORE": str(folder / "store"), "IPYTHONDIR": str(folder / "ipython")}
    try:
        NotebookClient(
            notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        ).execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def main() -> None:
    """Execute the notebook in its place."""
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(executed(Path(folder)), NOTEBOOK)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()

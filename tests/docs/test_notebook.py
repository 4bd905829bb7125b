"""The notebook of the documentation runs in a kernel, and is kept with what its cells show."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from execute_notebook import NOTEBOOK, executed  # noqa: E402 - a script

FEWER = {'"steps": 150': '"steps": 4', '"seeds": [0, 1, 2]': '"seeds": [0, 1]'}


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the HTML that cells show, or their text."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.data.get("text/html") or output.data["text/plain"] for output in outputs]


def test_the_committed_notebook_is_executed() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    text = "".join(shown(notebook))
    assert "half_adjust[share=1]" in text
    assert not re.search(r"/(?:home|root|tmp|work|Users)/", text)
    assert all(any(text in cell.source for cell in code) for text in FEWER)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the libraries of Jupyter
def test_its_cells_run_and_show_tables_and_figures(tmp_path: Path) -> None:
    texts = shown(executed(tmp_path, FEWER))
    assert len(texts) == len(shown(nbformat.read(NOTEBOOK, as_version=4)))
    assert any("<table>" in text and "data:image/svg+xml" in text for text in texts)
    assert any(text.startswith("<pre>suite quick") for text in texts)
    assert any(text.startswith("<pre>A  half_adjust") for text in texts)
    assert list((tmp_path / "leaderboards" / "local" / "_sources").rglob("half_adjust.py"))

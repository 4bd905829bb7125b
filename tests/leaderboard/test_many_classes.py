"""Pages of 8,142 classes: readable, small, and made without a dense matrix."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic import COLUMNS, raw

from ltbench.cli.show_cell import command as show_cell
from ltbench.confusion import Confusion
from ltbench.leaderboard.figures.series import GROUPS, group_means, group_names, group_size, total_confusion
from ltbench.leaderboard.html.content import report_content
from ltbench.leaderboard.publish import load, write_folder
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record, seal, validate
from ltbench.records.records_file import records_file
from ltbench.suite.published import FIGURES

CLASSES, IMAGES = 8142, 20_000
FIGURES_HERE = tuple(f"{name}[threshold=40]" if name in ("resampling", "bags") else name for name in FIGURES)


def record(techniques: dict[str, str], seed: int, right: float) -> Record:
    rng = np.random.default_rng(seed)
    labels = np.arange(IMAGES) % CLASSES
    predicted = np.where(rng.random(IMAGES) < right, labels, rng.integers(CLASSES, size=IMAGES))
    confusion = Confusion.of(labels, predicted, CLASSES)
    recall = confusion.recall()
    per_class = {"accuracy": recall, "recall": recall, "precision": confusion.precision(), "f1": confusion.f1(),
                 "support": confusion.support.tolist()}  # fmt: skip
    return validate(
        seal(
            raw(
                techniques, 100.0, seed, {"top1": right}, classes=[f"Plantae speciosa {c:05d}" for c in range(CLASSES)],
                confusion=confusion, per_class=per_class,
                curve={"epoch": [1.0, 2.0], "loss": [2.0, 1.0], "lr": [0.1, 0.1], "accuracy": [0.3, 0.6]},
            )
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Return the folder of a page, and the most memory that writing it took."""
    folder = tmp_path_factory.mktemp("boards") / "species"
    rows = (({}, 0.5), ({"sampler": "cb_sampler"}, 0.6), ({"mix": "mixup"}, 0.4))
    records = [record(techniques, seed, right) for techniques, right in rows for seed in (0, 1)]
    facts = SuiteFacts(name="species", columns=COLUMNS, figures=FIGURES_HERE)
    write_folder(folder.parent / "warm", facts, records_file(records[:1]))
    tracemalloc.start()
    write_folder(folder, facts, records_file(records))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return folder, peak


def test_a_page_is_made_without_a_dense_matrix(made: tuple[Path, int]) -> None:
    """A matrix with a byte for each pair of classes would have 66 MB."""
    assert made[1] < 60_000_000


def test_a_page_and_its_figures_are_small_and_list_no_class_by_class(made: tuple[Path, int]) -> None:
    page = (made[0] / "README.md").read_text(encoding="utf-8")
    assert len(page) < 60_000
    assert "speciosa" not in page
    assert re.search(r"\| \*many: [\d,]+ classes\* +\|", page)
    assert "median class" in page
    figures = {path.name: path.stat().st_size for path in (made[0] / "figures").iterdir()}
    kinds = {name.partition("-")[0] for name in figures}
    assert {"head_to_tail", "confusion", "spread", "histogram", "resampling", "bags"} <= kinds
    assert max(figures.values()) < 250_000, figures
    text = "".join(path.read_text(encoding="utf-8") for path in (made[0] / "figures").iterdir())
    assert "group of 82 classes" in text
    assert "groups of 82" in text
    assert "tick: percentile" in text


def test_a_report_is_small_and_has_every_image_in_a_group(made: tuple[Path, int]) -> None:
    loaded = load(made[0])
    content = report_content(loaded)
    assert len(str(content.core)) < 100_000
    assert sum(len(text or "") for text in (*content.lines, *content.matrices, *content.traces)) < 200_000
    (one,) = [value for value in content.core["pool"] if isinstance(value, dict) and "names" in value]
    assert (one["size"], len(one["names"]), len(one["counts"])) == (82, 100, 100)
    total = total_confusion(loaded.records[:2], range(CLASSES))
    assert (len(total), sum(map(sum, total))) == (100, 2 * IMAGES)
    assert sum(total[g][g] for g in range(100)) >= sum(int(r.confusion.hits.sum()) for r in loaded.records[:2])


def test_a_cell_is_shown_in_percentiles(made: tuple[Path, int]) -> None:
    found = load(made[0]).records[0]
    result = CliRunner().invoke(show_cell, [found.id[:12], "--records", str(made[0])])
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) < 120
    recall = found.per_class["recall"]
    assert re.search(rf"  recall +0\.000 .* +{np.median(recall):.3f} .* +1\.000", result.output)


@pytest.mark.parametrize("classes", [1, 7, GROUPS, GROUPS + 1, 365, 8142])
def test_groups_of_neighbours_cover_all_classes_once(classes: int) -> None:
    size, names = group_size(classes), group_names(classes)
    assert len(names) <= GROUPS
    assert (len(names) - 1) * size < classes <= len(names) * size
    values = [float(c) for c in range(classes)]
    means = group_means(values)
    assert len(means) == len(names)
    assert means[0] == (size - 1) / 2
    assert group_means([None] * classes) == [None] * len(names)

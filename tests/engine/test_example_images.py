from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.cli import main
from ltbench.engine.example_images import COLUMNS, DRAWS, examples
from ltbench.errors import UsageError
from ltbench.registry.registry import Registry


@pytest.mark.parametrize("name", ["jiang_augment", "mixup[lam=0.4]", "tail_cutmix"])
def test_a_figure_has_a_row_of_images_and_rows_of_transformed_ones(
    name: str, registry: Registry, tmp_path: Path
) -> None:
    figure = examples(registry.parse(name), registry.parse("fashion_mini"), tmp_path)
    assert len(figure.axes) == COLUMNS * (1 + DRAWS)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "T-shirt/top"
    if name.startswith("mixup"):
        assert any(title.startswith("0.40 ") for title in titles[COLUMNS:])


@pytest.mark.parametrize("name", ["cuda[chance=1]", "autoaugment", "cmo", "unimix", "manifold_mixup"])
def test_a_technique_that_is_told_more_changes_the_images(name: str, registry: Registry, tmp_path: Path) -> None:
    figure = examples(registry.parse(name), registry.parse("fashion_mini"), tmp_path)
    pictures = [axes.images[0].get_array() for axes in figure.axes]
    changed = [not (pictures[place % COLUMNS] == picture).all() for place, picture in enumerate(pictures)]
    assert sum(changed) >= COLUMNS


def test_a_loss_has_no_picture(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="loss 'focal' changes no images"):
        examples(registry.parse("focal"), registry.parse("fashion_mini"), tmp_path)


def test_the_command_show_writes_the_picture(tmp_path: Path) -> None:
    file = tmp_path / "mixup.png"
    with pytest.raises(SystemExit) as done:
        main(["show", "mixup", "--figure", str(file), "--data-root", str(tmp_path)])
    assert done.value.code == 0
    assert file.read_bytes().startswith(b"\x89PNG")

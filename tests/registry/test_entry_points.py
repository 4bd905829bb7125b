"""Plugins of editable distributions: what their pyproject.toml says now, without installing them again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import install, install_package, loss_source

from ltbench.cli import group
from ltbench.registry.registry import Registry

PROJECT = """
[project]
name = "my-pkg"
version = "1.5"

[project.entry-points.ltbench]
old_loss = "my_pkg_old"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pyproject.toml of an editable distribution that was installed with one plugin and has two modules."""
    package = tmp_path / "my package"
    (package / "src").mkdir(parents=True)
    (package / "pyproject.toml").write_text(PROJECT)
    for name in ("old", "new"):
        (package / "src" / f"my_pkg_{name}.py").write_text(loss_source(f"{name}_loss"))
    for folder in install_package(package, tmp_path / "site"):
        monkeypatch.syspath_prepend(str(folder))
    assert "old_loss" in Registry.load().entries
    return package / "pyproject.toml"


def plugins(distribution: str = "my-pkg") -> set[str]:
    return {name for name, entry in Registry.load().entries.items() if entry.distribution == distribution}


def test_an_added_line_takes_effect_at_once(project: Path) -> None:
    project.write_text(PROJECT + 'new_loss = "my_pkg_new"\n')
    registry = Registry.load()
    assert plugins() == {"old_loss", "new_loss"}
    assert registry.entries["new_loss"].version == "1.5"
    assert registry.broken == []
    assert [name for name in registry.entries if name in {"new_loss", "focal"}] == ["focal", "new_loss"]


def test_a_removed_line_takes_effect_at_once(project: Path) -> None:
    project.write_text(PROJECT.replace('old_loss = "my_pkg_old"', ""))
    assert plugins() == set()
    project.write_text(PROJECT.partition("[project.entry-points")[0])
    assert plugins() == set()


def test_a_new_plugin_can_be_switched_off_by_name(project: Path) -> None:
    project.write_text(PROJECT + 'new_loss = "my_pkg_new"\n')
    words = ["list", "loss", "--json", "-p", "no:new_loss"]
    done = CliRunner().invoke(group, words)
    assert {"old_loss"} == {row["technique"] for row in json.loads(done.stdout)} & {"old_loss", "new_loss"}


@pytest.mark.parametrize(
    "text",
    [None, '[tool.poetry]\nname = "my-pkg"\n', '[project]\nname = "my-pkg"\ndynamic = ["version", "entry-points"]\n'],
)
def test_without_entry_points_in_the_project_file_the_metadata_counts(project: Path, text: str | None) -> None:
    if text is None:
        project.unlink()
    else:
        project.write_text(text)
    assert plugins() == {"old_loss"}
    assert Registry.load().broken == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (PROJECT + "new_loss = ", "Invalid value (at end of document)"),
        (PROJECT.replace('"my_pkg_old"', "3"), "Expected `str`, got `int`"),
        ("project = 3", "'int' object has no attribute"),
        (b"\xff", "can't decode byte 0xff"),
    ],
)
def test_an_unreadable_project_file_is_reported_and_the_metadata_counts(
    project: Path, text: str | bytes, why: str
) -> None:
    project.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert plugins() == {"old_loss"}
    (broken,) = Registry.load().broken
    assert (broken.plugin, broken.distribution, broken.version) == ("pyproject.toml", "my-pkg", "1.5")
    assert f"{project} cannot be read: " in broken.error
    assert why in broken.error
    assert broken.fix == f"correct {project}"
    done = CliRunner().invoke(group, ["list", "loss"])
    assert done.exit_code == 0
    assert "warning: plugin 'pyproject.toml' of my-pkg 1.5 is disabled: " in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "direct", ["", "{", "[]", '{"url": "https://host/x.whl"}', '{"url": "file:///x", "dir_info": {}}']
)
def test_only_editable_distributions_read_a_project_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct: str
) -> None:
    folder = install(tmp_path / "site", "plain-pkg", "2", {"plain_loss": loss_source("plain_loss")})
    (info,) = folder.glob("*.dist-info")
    (info / "direct_url.json").write_text(direct)
    monkeypatch.syspath_prepend(str(folder))
    assert plugins("plain-pkg") == {"plain_loss"}


def test_a_shadowed_editable_distribution_does_not_count(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_text(PROJECT + 'new_loss = "my_pkg_new"\n')
    folder = install(tmp_path / "first", "my-pkg", "2", {"first_loss": loss_source("first_loss")})
    monkeypatch.syspath_prepend(str(folder))
    assert plugins() == {"first_loss"}

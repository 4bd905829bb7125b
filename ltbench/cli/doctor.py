"""`ltbench doctor`: check the installation and suggest fixes."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from ltbench.cli.options import plugin_options
from ltbench.cli.output import print_json
from ltbench.core.devices import gpus, has_gpu_driver, why_no_gpu
from ltbench.core.folders import cores, data_root, store_root
from ltbench.core.words import counted
from ltbench.errors import CELLS_FAILED, TRAINING, LtbenchError

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection

SHOWN = 5
LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib", "pluggy", "msgspec", "safetensors", *TRAINING)


class Finding(msgspec.Struct, frozen=True):
    """One thing that was examined."""

    subject: str
    state: Literal["ok", "note", "wrong"]
    text: str
    fix: str = ""


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def command(as_json: bool, choice: PluginSelection) -> int:
    """Check plugins, libraries, processor, data and store. Exits 1 if something is wrong."""
    findings = list(examine(choice))
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            click.echo(f"{finding.state:5}  {finding.subject}: {finding.text}")
            if finding.fix:
                click.echo(f"       try: {finding.fix}")
    return CELLS_FAILED if any(finding.state == "wrong" for finding in findings) else 0


def examine(choice: PluginSelection) -> Iterator[Finding]:
    """Yield a finding for each thing that a run depends on."""
    from ltbench.suite.recipe import decided

    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    for library in LIBRARIES:
        try:
            yield Finding(library, "ok", importlib.metadata.version(library))
        except importlib.metadata.PackageNotFoundError:
            yield _missing(library)
    yield from _plugins(choice)
    yield Finding(
        "processor", "ok", f"{counted(cores(), 'core')}; precision 'auto' is {decided('auto', 'cpu')} on them"
    )
    yield _gpu()
    for subject, folder, variable in (("data", data_root(), "LTBENCH_DATA"), ("store", store_root(), "LTBENCH_STORE")):
        yield _folder(subject, folder, variable)
    yield from _damage(store_root())


def _missing(library: str) -> Finding:
    if library not in TRAINING:
        return Finding(library, "wrong", "is not installed", f"{sys.executable} -m pip install {library}")
    return Finding(
        library, "note", "is not installed; only training and prediction need it", "pip install 'ltbench[train]'"
    )


def _gpu() -> Finding:
    """Say what --device auto is here, and why."""
    from ltbench.suite.recipe import decided

    if count := gpus():
        import torch

        names = ", ".join(dict.fromkeys(torch.cuda.get_device_name(number) for number in range(count)))
        precision = decided("auto", "cuda:0")
        return Finding("gpu", "ok", f"{count} that torch can use ({names}); precision 'auto' is {precision} on them")
    if has_gpu_driver():
        return Finding(
            "gpu", "note", f"there is a driver, but {why_no_gpu()}, so --device auto is cpu",
            "install a build of torch with CUDA for this driver: https://pytorch.org/get-started",
        )  # fmt: skip
    return Finding("gpu", "ok", "none; --device auto is cpu")


def _damage(store: Path) -> Iterator[Finding]:
    from ltbench.store.quarantine import NAME, quarantined

    damages = quarantined(store)
    if damages:
        some = "; ".join(f"{damage.key}: {damage.why}" for damage in damages[:SHOWN])
        more = f"; and {len(damages) - SHOWN} more" if len(damages) > SHOWN else ""
        yield Finding(
            "damage", "note", f"{len(damages)} damaged files of the store were quarantined: {some}{more}",
            f"if more appear, check the disk; quarantined files can be deleted: rm -r {store / NAME}",
        )  # fmt: skip


def _plugins(choice: PluginSelection) -> Iterator[Finding]:
    from ltbench.core.plugins import BUILT_IN
    from ltbench.registry.loading import SLOW_SECONDS
    from ltbench.registry.registry import Registry

    registry = Registry.load(choice.origin())
    yield Finding("plugins", "ok", f"{len(registry.entries)} techniques, {len(registry.suites)} suites")
    for broken in registry.broken:
        fix = f"pip install --upgrade {broken.distribution}, or leave it out with -p no:{broken.plugin}"
        if broken.distribution == BUILT_IN:
            fix = "pip install --force-reinstall ltbench"
        yield Finding(f"plugin {broken.plugin}", "wrong", str(broken), broken.fix or fix)
    for name, entries in registry.clashes.items():
        owners = " and ".join(f"{entry.distribution} {entry.version}" for entry in entries)
        ways = " or ".join(f"{entry.distribution}/{name}" for entry in entries)
        yield Finding(f"technique {name}", "wrong", f"is disabled because both {owners} provide it",
                      f"write {ways}, or leave one out with -p no:{entries[-1].plugin}")  # fmt: skip
    for loaded in registry.loaded:
        plugin = f"plugin {loaded.source.plugin}"
        for note in loaded.notes:
            yield Finding(plugin, "note", f"{loaded.source.distribution}: {note}", "report it to its author")
        if loaded.is_slow:
            yield Finding(plugin, "note", f"{loaded.source.distribution}: it takes "
                f"{1000 * loaded.seconds:.0f} ms to load, which delays every command (limit {1000 * SLOW_SECONDS:.0f} ms)",
                          "its author should import heavy modules where they are used")  # fmt: skip
    for name in registry.of("dataset"):
        try:
            yield Finding(f"data set {name}", "ok", getattr(registry.parse(name), "locate")(data_root()))  # noqa: B009
        except LtbenchError as error:
            yield Finding(f"data set {name}", "note", error.what, error.fix)


def _folder(subject: str, folder: Path, variable: str) -> Finding:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Finding(subject, "wrong", f"{folder} cannot be written: {error.strerror}", f"set {variable}")
    free = shutil.disk_usage(existing).free / 2**30
    text = f"{folder}, {free:.0f} GiB free"
    return Finding(subject, "ok", text) if free > 1 else Finding(subject, "note", text, f"set {variable}")

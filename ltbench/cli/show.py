"""`ltbench show NAME`: a technique or executor with its parameters, or the text of a suite."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ltbench.cli.options import data_root_option, load_registry, plugin_options
from ltbench.cli.output import print_json, print_prose, print_table, print_wrapped, terminal_width
from ltbench.cli.paths import PathOption
from ltbench.core.words import with_article
from ltbench.errors import nearest

if TYPE_CHECKING:
    from ltbench.core.plugins import PluginSource
    from ltbench.hookspecs import Family
    from ltbench.registry.discovery import PluginSelection
    from ltbench.registry.parameter_help import Parameter
    from ltbench.registry.registry import Registry
    from ltbench.technique import Parametrized, Technique


@click.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--figure", type=PathOption(dir_okay=False), metavar="FILE.png",
              help="Draw the effect of an augmentation or mix on real images.")  # fmt: skip
@click.option(
    "--dataset", default="fashion_mini", show_default=True, metavar="NAME", help="Data set of the images in --figure."
)
@data_root_option
@plugin_options
def command(
    name: str, as_json: bool, figure: Path | None, dataset: str, data_root: Path, choice: PluginSelection
) -> None:
    """Describe a technique: what it does, its parameters with ranges and defaults, its source.

    NAME can also be a method, an executor, an observer, a family of techniques such as timm, or a suite.
    """
    registry = load_registry(choice)
    if figure is not None:
        _draw(name, dataset, data_root, figure, registry)
        return
    if name in registry.suites and name not in registry.entries:
        _show_suite(name, registry, as_json)
        return
    for what, offers in (("executor", registry.executors), ("observer", registry.observers)):
        if name in offers and name not in registry.entries:
            source, offer = offers[name]
            _show_offer(name, what, source, offer, as_json)
            return
    if name in registry.methods:
        _show_method(name, registry, as_json)
        return
    from ltbench.registry.families import families_of

    if name not in registry.entries and (families := families_of(name, registry.families)):
        _show_families(name, families, as_json)
        return
    from ltbench.registry.notation import parse_selection
    from ltbench.registry.parameter_help import parameters
    from ltbench.registry.registry import UnknownTechnique

    choices = parse_selection(name)
    bare = choices[0].name if choices else name
    try:
        entry = registry.entry(bare)
    except UnknownTechnique as error:
        if near := nearest(bare, [*registry.suites, *registry.executors, *registry.observers]):
            raise UnknownTechnique(error.what, fix=f"did you mean {' or '.join(near)}?") from None
        raise
    kind = entry.technique
    facts: dict[str, Any] = {
        "name": kind.name,
        "stage": kind.stage,
        "baseline": kind.baseline,
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "version": entry.version,
        "revision": kind.revision,
        "about": inspect.getdoc(kind) or "",
        "parameters": parameters(kind),
        "conflicts": dict(kind.conflicts),
        "needs": dict(kind.needs),
        "doubtful": dict(kind.doubtful),
        "requires": dict(kind.requires),
    }
    if as_json:
        print_json(facts)
        return
    click.echo(
        f"{kind.name}: {with_article(kind.stage)} technique" + (", the stage's baseline" if kind.baseline else "")
    )
    click.echo(f"{entry.distribution} {entry.version}, plugin {entry.plugin}, revision {kind.revision}\n")
    print_prose(facts["about"])
    click.echo("")
    if facts["parameters"]:
        _print_parameters("parameter", facts["parameters"])
    else:
        click.echo("no parameters")
    for title, others in (("Conflicts with", kind.conflicts), ("Needs", kind.needs), ("Doubtful with", kind.doubtful)):
        for reason, names in _by_reason(others).items():
            print_wrapped(f"{title} {', '.join(names)}: {reason}", indent="  ")
    for package, how in kind.requires.items():
        print_wrapped(f"Requires the package {package}: {how}", indent="  ")


def _by_reason(others: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the techniques and stages with the same reason together."""
    found: dict[str, list[str]] = {}
    for other, reason in others.items():
        found.setdefault(reason, []).append(other)
    return found


def _show_method(name: str, registry: Registry, as_json: bool) -> None:
    method, source = registry.methods[name], registry.method_sources[name]
    if as_json:
        facts = {"name": name, "stage": "method", "distribution": source.distribution, "version": source.version}
        print_json(facts | {"about": method.about, "parts": method.parts, "source": method.source})
        return
    click.echo(f"{name}: a method of {source.distribution} {source.version}\n")
    print_wrapped(method.about)
    click.echo("")
    rows = [[technique.stage, technique.label, _first_line(technique)] for technique in registry.parse_all(name)]
    print_table(["stage", "part", "about"], rows)
    if method.source:
        click.echo("")
        print_wrapped(f"Source: {method.source}.")
    click.echo(f"\nWritten out: --plugins {shlex.quote(','.join(method.parts))}")


def _first_line(technique: Technique) -> str:
    return (inspect.getdoc(type(technique)) or "").partition("\n")[0]


def _show_families(name: str, families: Sequence[tuple[PluginSource, Family]], as_json: bool) -> None:
    names = sorted({member for _, family in families for member in family.names()})
    source, family = families[0]
    about = inspect.getdoc(type(family)) or ""
    if as_json:
        facts = {"name": name, "stage": "family", "distribution": source.distribution, "version": source.version}
        print_json(facts | {"about": about, "names": names})
        return
    click.echo(f"{name}: a family of {len(names):,} techniques of {source.distribution} {source.version}\n")
    print_prose(about)
    click.echo("")
    click.echo(click.wrap_text(", ".join(names), width=min(terminal_width(), 100)))
    click.echo(f"\nSelect a technique by its own name, as in: ltbench show {names[0]}")


def _show_offer(name: str, kind: str, source: PluginSource, offer: type[Parametrized], as_json: bool) -> None:
    """Show an executor or an observer."""
    from ltbench.registry.parameter_help import parameters

    options, about = parameters(offer), inspect.getdoc(offer) or ""
    if as_json:
        facts = {"name": name, "stage": kind, "distribution": source.distribution, "version": source.version}
        print_json(facts | {"about": about, "parameters": options})
        return
    click.echo(f"{name}: {with_article(kind)} of {source.distribution} {source.version}\n")
    print_prose(about)
    click.echo("")
    _print_parameters("option", options)


def _print_parameters(title: str, rows: Sequence[Parameter]) -> None:
    # An executor has nothing to tune.
    tuned = any(p.tuned for p in rows)
    print_table(
        [title, "default", "allowed", *(["tuned"] if tuned else []), "meaning"],
        [[p.name, p.default, p.allowed, *([p.tuned] if tuned else []), p.about] for p in rows],
    )


def _draw(name: str, dataset: str, root: Path, file: Path, registry: Registry) -> None:
    from ltbench.engine.example_images import examples
    from ltbench.errors import StoreError
    from ltbench.stages import Dataset

    images = registry.parse(dataset, "dataset")
    assert isinstance(images, Dataset)
    image = examples(registry.parse(name), images, root)
    try:
        image.savefig(file, format="png", metadata={"Software": None})
    except OSError as error:
        raise StoreError(f"{file} cannot be written", why=error.strerror or str(error)) from None
    click.echo(f"written: {file}", err=True)


def _show_suite(name: str, registry: Registry, as_json: bool) -> None:
    from ltbench.suite.suite import find_suite

    suite = find_suite(name, registry)
    if as_json:
        print_json(suite)
    else:
        click.echo(registry.suites[name].read_text(encoding="utf-8-sig").rstrip())

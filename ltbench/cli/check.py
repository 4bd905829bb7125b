"""`ltbench check NAME`: run the checks of `ltbench.testing` on techniques and suites."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from ltbench.cli.options import load_registry, plugin_options
from ltbench.cli.output import print_json, print_table, print_wrapped
from ltbench.errors import CELLS_FAILED, UsageError, check_can_train

T = TypeVar("T")
SHOWN = 3
"""Most parameter settings listed for a failed check."""

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection
    from ltbench.registry.registry import Registry
    from ltbench.technique import Technique
    from ltbench.testing import Finding


@click.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def command(names: Sequence[str], as_json: bool, choice: PluginSelection) -> int:
    """Check techniques against the requirements of their stage, methods and suites against what is installed.

    A technique given by name is checked with its default parameters and with other values. With parameters, as in
    my_loss[gamma=1], it is checked with those only. Without a name, everything in the plugin files is checked.
    Exits 1 if a check fails.
    """
    registry = load_registry(choice)
    if not names:
        names = _offered(registry)
    findings = {name: _findings(name, registry) for name in _separate(names)}
    if as_json:
        print_json([finding for each in findings.values() for finding in each])
    else:
        for name, each in findings.items():
            _print(name, each)
    return CELLS_FAILED if any(f.state == "failed" for each in findings.values() for f in each) else 0


def _offered(registry: Registry) -> list[str]:
    """Return the techniques, methods and suites in the files and modules of the command line."""
    named = [loaded for loaded in registry.loaded if loaded.source.distribution.startswith(("file:", "module:"))]
    offered = [name for kind in ("technique", "method", "suite") for loaded in named for name in loaded.names()[kind]]
    if not offered:
        what = ", ".join(loaded.source.plugin for loaded in named)
        raise UsageError(
            f"{what} provides no technique, method or suite" if what else "nothing to check",
            fix="ltbench check NAME, or --plugin-file FILE",
        )
    return offered


def _separate(names: Iterable[str]) -> list[str]:
    """Split words such as `a,b[x=1]` into single names."""
    from ltbench.technique import split_outside

    separate: list[str] = []
    for text in names:
        if text.endswith(".toml"):
            separate.append(text)
            continue
        separate += [part.strip() for part in split_outside(text, ",")]
    return list(dict.fromkeys(separate))


def _findings(name: str, registry: Registry) -> list[Finding]:
    from ltbench.testing import conformance
    from ltbench.testing.checks_methods import method_conformance
    from ltbench.testing.checks_suites import suite_conformance

    if name not in registry.entries and (name in registry.suites or name.endswith(".toml")):
        return list(suite_conformance(name, registry))
    check_can_train("the check of a technique")
    if name in registry.methods:
        return list(method_conformance(name, registry))
    subjects: list[Technique | type[Technique]] = []
    subjects += registry.parse_all(name) if "[" in name else [registry.entry(name).technique]
    return [finding for subject in subjects for finding in conformance(subject, registry)]


def _print(name: str, findings: Sequence[Finding]) -> None:
    by_check = _grouped(findings, lambda finding: finding.check)
    rows = []
    for check, each in by_check.items():
        state = _overall_state(each)
        text = next(finding.text for finding in each if finding.state == state)
        rows.append([check, state, len(each), "see below" if state == "failed" else text])
    click.echo(f"{name}\n")
    print_table(["check", "state", "runs", "requirement, or reason for skipping"], rows, optional=["runs"])
    failed = [finding for finding in findings if finding.state == "failed"]
    # Grouped by cause: the same error in the plugin's code, or the same check; checks that saw the same are one.
    by_cause = _grouped(failed, lambda finding: finding.text if finding.raised else finding.check).values()
    for alike in _grouped(by_cause, lambda each: each[0].text).values():
        each = [finding for group in alike for finding in group]
        checks = ", ".join(dict.fromkeys(finding.check for finding in each))
        settings = list(dict.fromkeys(", ".join(filter(None, (f.technique, f.about))) for f in each))
        more = f" and {len(settings) - SHOWN} more" if len(settings) > SHOWN else ""
        click.echo("")
        lines = [("failed", checks), ("  with", f"{'; '.join(settings[:SHOWN])}{more}"), ("  seen", each[0].text)]
        for word, text in [*lines, *([("  try ", each[0].fix)] if each[0].fix else [])]:
            print_wrapped(f"{word}  {text}", indent=" " * 8)
    skipped = sum(_overall_state(each) == "skipped" for each in by_check.values())
    wrong = len({finding.check for finding in failed})
    click.echo("")
    print_wrapped(f"{len(by_check)} checks, run {len(findings)} times: {wrong} failed, {skipped} skipped")
    click.echo("")


def _overall_state(findings: Iterable[Finding]) -> str:
    states = {finding.state for finding in findings}
    return next(state for state in ("failed", "ok", "skipped") if state in states)


def _grouped(items: Iterable[T], by: Callable[[T], str]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(by(item), []).append(item)
    return groups

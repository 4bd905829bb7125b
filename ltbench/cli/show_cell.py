"""`ltbench show-cell ID`: show the record of a cell, and the command that reruns it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ltbench.cli.bad_lines import skips_bad_lines
from ltbench.cli.options import leaderboards_option, leaderboards_words, places_of, records_option
from ltbench.cli.output import print_json
from ltbench.core.folders import store_root
from ltbench.data_report import DataReport
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.records.locations import FoundCell
    from ltbench.records.record import Record


_LISTED = 100
"""Largest number of classes that are printed line by line."""
_SHARES = (0, 10, 25, 50, 75, 90, 100)


@click.command("show-cell")
@click.argument("cell", metavar="ID")
@records_option
@leaderboards_option
@click.option(
    "--log", "only_log", is_flag=True, help="Print only the output of its jobs and the traceback of its failure."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@skips_bad_lines
def command(cell: str, records: Path | None, leaderboards: Path, only_log: bool, as_json: bool) -> None:
    """Show the record of the cell whose id starts with ID: numbers, configuration, machine, plugins, log.

    The last line is the command that reruns only this cell, in a separate store.
    """
    from ltbench.records.locations import find_cell
    from ltbench.records.plugins_needed import plugin_files
    from ltbench.store.store import Store
    from ltbench.verification.rerun import command_of

    found = find_cell(cell, places_of(records, leaderboards))
    record = found.record
    again = command_of(record, records)
    if root := _data_root(found):
        again += f" {shlex.join(['--data-root', root])}"
    if records is None and leaderboards_words(leaderboards):
        again += f" {shlex.join(leaderboards_words(leaderboards))}"
    log = _log(record, Store(store_root()))
    if only_log:
        if as_json:
            print_json({"log": log})
            return
        for key, text in log.items():
            click.echo(f"# {key}\n{text.rstrip()}")
        if not log:
            click.echo(f"the store {store_root()} has no log of cell {record.id}", err=True)
        return
    verified = _verified(found)
    if as_json:
        print_json({
            "record": record, "found_in": [str(place.path) for place in found.places], "provenance": verified,
            "withdrawn": found.invalidations, "log": log, "command": again, "plugin_files": plugin_files([record]),
        })  # fmt: skip
        return
    for line in _lines(found, verified, log):
        click.echo(line)
    click.echo("\nrerun only this cell")
    for file in plugin_files([record]):
        click.echo(f"  the plugin file {file} is not part of the record: copy it here, or give its path")
    click.echo(f"  {again}")


def _data_root(found: FoundCell) -> str | None:
    """Return the data root in the command of a page that has the cell, as data paths may be below it."""
    from ltbench.leaderboard.publish import read_facts
    from ltbench.records.plugins_needed import words_of

    for place in found.places:
        words = words_of(read_facts(place.path).command) if place.kind == "suite" else []
        if "--data-root" in words[:-1]:
            return words[words.index("--data-root") + 1]
    return None


def _log(record: Record, store: Any) -> dict[str, str]:
    """Return the stored output of the jobs of a cell, and the traceback of its failure."""
    logs = {key: text for key in (record.id, *record.spec["members"]) if (text := store.log(key))}
    if record.error is not None and record.error.log:
        logs[record.error.job or record.id] = record.error.log
    if record.failed_metrics is not msgspec.UNSET:
        logs |= {f"metric {name}": failure.log for name, failure in record.failed_metrics.items() if failure.log}
    return logs


def _verified(found: FoundCell) -> list[str]:
    """Return the verifications that cover the record, as pages name them."""
    from ltbench.records.verifications import FILE, read_verifications, verification_status

    lines: list[str] = []
    for place in found.places:
        if place.kind == "store" or not (verifications := read_verifications(place.file.parent / FILE)):
            continue
        status = verification_status(verifications, place.records_file().all_records)
        lines += [one.short.replace("`", "") for one in status.valid if found.record.id in one.cells]
    return lines


def _lines(found: FoundCell, verified: Sequence[str], log: Mapping[str, str]) -> Iterator[str]:
    record = found.record
    s = record.setting
    yield f"{record.id}  {record.label}"
    for reason in found.invalidations:
        yield f"WITHDRAWN: {reason.reason}" + (f" ({reason.by})" if reason.by else "")
    yield from _block(
        "cell",
        {
            "found in": ", ".join(str(place.path) for place in found.places),
            "provenance": "; ".join(f"rerun claimed by {one}" for one in verified) or "self-reported",
            "status": record.status,
            "protocol": record.protocol,
            "data set": f"{s.dataset}, profile {s.profile}, imbalance factor {s.imbalance_factor:g}",
            "model": s.model,
            "seeds": f"subset {s.subset_seed}, training {s.seed}",
            "record": f"digest {record.digest}",
        },
    )
    yield from _block("combination", {stage: label or "(baseline)" for stage, label in record.combination.items()})
    yield from _block("recipe", record.recipe)
    if record.error is not None:
        yield from _block(
            "failure", {"type": record.error.type, "message": record.error.message, "job": record.error.job}
        )
    yield from _block("metrics", record.metrics)
    if record.held_out is not msgspec.UNSET:
        yield from _block("metrics on held-out images", record.held_out.metrics)
    failed = {} if record.failed_metrics is msgspec.UNSET else record.failed_metrics
    yield from _block("metrics that failed", {name: failure.message for name, failure in failed.items()})
    yield from _per_class(record, record.per_class, "per class")
    if record.held_out is not msgspec.UNSET:
        yield from _per_class(record, record.held_out.per_class, "per class, held-out images")
    apart = {"counts", "classes", "report", "held_out"}
    yield from _block("data", {key: value for key, value in record.data.items() if key not in apart})
    if "report" in record.data:
        report = msgspec.convert(record.data["report"], DataReport)
        yield from _block("files", dict(enumerate([report.summary(), *report.remarks()], 1)))
    yield from _block("cost", record.cost)
    yield from _block("environment", record.environment)
    made = {f"{p.stage} {p.name}": f"{p.distribution} {p.version}, revision {p.revision}" for p in record.plugins}
    yield from _block("plugins", made)
    yield from _block("notes", dict(enumerate(record.notes, 1)))
    for key, spec in zip(record.spec["members"], record.fits, strict=True):
        yield from _fit(key, spec)
    for key, text in log.items():
        yield ""
        yield f"log of {key}"
        yield from (f"  {line}" for line in text.rstrip().splitlines())


def _block(title: str, values: Mapping[Any, object]) -> Iterator[str]:
    if not values:
        return
    width = max(len(str(key)) for key in values)
    yield ""
    yield title
    for key, value in values.items():
        yield f"  {str(key).ljust(width)}  {'n/a' if value is None else written(value)}"


def _per_class(record: Record, per_class: Mapping[str, Sequence[Any]], title: str) -> Iterator[str]:
    names = [str(name) for name in record.data.get("classes", [])]
    if not per_class or not names:
        return
    if len(names) > _LISTED:
        yield from _percentiles(per_class, title)
        return
    counts = [str(count) for count in record.data.get("counts", [])]
    columns = {"class": names, "training": counts} | {
        name: [
            "n/a" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value) for value in values
        ]
        for name, values in per_class.items()
    }
    columns = {name: texts for name, texts in columns.items() if len(texts) == len(names)}
    widths = {name: max(map(len, [name, *texts])) for name, texts in columns.items()}
    yield ""
    yield title
    yield "  " + "  ".join(name.ljust(widths[name]) for name in columns).rstrip()
    for row in zip(*columns.values(), strict=True):
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths.values(), strict=True)).rstrip()


def _percentiles(per_class: Mapping[str, Sequence[Any]], title: str) -> Iterator[str]:
    import numpy as np

    yield ""
    yield f"{title}: percentiles of the classes (an export with --per-class has each class)"
    yield f"  {''.ljust(12)}" + "".join(f"{share}".rjust(10) for share in _SHARES)
    for name, values in per_class.items():
        known = [value for value in values if value is not None]
        found = np.percentile(known, _SHARES).tolist() if known else []
        yield f"  {name.ljust(12)}" + "".join(f"{value:10.3f}" for value in found)


def _fit(key: str, spec: Mapping[str, Any]) -> Iterator[str]:
    from ltbench.core.spec import label_of
    from ltbench.stages import NETWORK_STAGES, PHASE_CHANGES, TRAINING_STAGES

    data = spec["data"]
    bag = "" if spec["bag"] is None else f"bag {spec['bag']['number']} of {label_of(spec['bag']['ensemble'])}"
    yield from _block(
        f"fit {key}",
        {
            "data": f"{label_of(data['dataset'])} {data['fingerprint']}, {label_of(data['profile'])}, imbalance factor "
                    f"{data['imbalance_factor']:g}, subset seed {data['subset_seed']}"
                    + (f", held out {written(data['held_out'])}" if "held_out" in data else ""),
            **({"bag": bag} if bag else {}),
            "model": label_of(spec["model"]),
            **{stage: label_of(spec[stage]) for stage in NETWORK_STAGES if stage in spec},
            "seed": spec["seed"],
            "recipe": ", ".join(f"{name}={written(value)}" for name, value in sorted(spec["recipe"].items())),
        },
    )  # fmt: skip
    for segment in spec["segments"]:
        used = [f"{stage} {label}" for stage in TRAINING_STAGES if (label := label_of(segment.get(stage)))]
        other = [f"trains {segment['trainable']}", f"learning rate x {written(segment['lr_scale'])}"]
        other += [f"{name.replace('_', ' ')} {written(segment[name])}" for name in PHASE_CHANGES if name in segment]
        other += ["restarted"] if segment["restart"] else []
        yield f"  until {written(segment['until'])} of the training: {', '.join(used + other)}"

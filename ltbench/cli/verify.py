"""`ltbench verify`: check records, recompute their metrics and rerun some of their cells."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ltbench.cli.options import find_page, leaderboards_option, load_registry, plugin_options
from ltbench.cli.output import print_json, print_table
from ltbench.cli.writing import writing
from ltbench.core.devices import AUTO
from ltbench.core.folders import data_root as default_root
from ltbench.core.words import counted
from ltbench.errors import CELLS_FAILED, DONE, PLUGIN_UNAVAILABLE, WRONG_USAGE

if TYPE_CHECKING:
    from ltbench.records.agreement import Agreement
    from ltbench.records.locations import RecordsLocation
    from ltbench.records.record import Record
    from ltbench.records.verifications import Verification
    from ltbench.registry.discovery import PluginSelection
    from ltbench.registry.registry import Registry
    from ltbench.verify.audit import Examined

SHOWN = 20


class RerunReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of rerunning a cell."""

    id: str
    label: str
    imbalance_factor: float
    seed: int
    agrees: bool
    agreement: Agreement | None
    """None if the training failed."""
    error: str = ""


@click.command("verify")
@click.argument("path")
@click.option("--rerun", "count", type=click.IntRange(min=0), default=0, show_default=True, metavar="K",
              help="Rerun K valid cells, drawn at random so that they cover as many techniques as possible.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), metavar="N",
              help="Seed of the random draw of cells.  [default: random]")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(min=0, max=1), metavar="T",
              help="Allowed difference of top-1 accuracies, such as 0.01.  [default: identical numbers on the same "
                   "type of machine, 0.02 on another]")  # fmt: skip
@click.option("--dry", is_flag=True, help="Do not write verified.json.")
@click.option("--executor", "executor_name", default="local", show_default=True, metavar="NAME",
              help="Where jobs run: local or inline.")  # fmt: skip
@click.option("--device", default=AUTO, show_default=True, metavar="NAME",
              help="What computes: cpu, cuda, cuda:0,1, or auto: what the records were made on, a processor or GPUs.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Worker processes.  [default: one per core]")
@click.option("--data-root", type=click.Path(path_type=Path, file_okay=False), default=default_root,
              help="Folder of data sets.  [default: $LTBENCH_DATA or ~/.cache/ltbench/data]")  # fmt: skip
@leaderboards_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
def command(
    path: str,
    count: int,
    seed: int | None,
    tolerance: float | None,
    dry: bool,
    executor_name: str,
    device: str,
    workers: int | None,
    data_root: Path,
    leaderboards: Path,
    as_json: bool,
    choice: PluginSelection,
) -> int:
    """Verify the records of PATH: a records file, a suite's folder or name, or a store.

    For every record, checks schema, digest, id, revisions of plugins and class counts of the data set. Recomputes
    metrics from predictions beside the records, and reruns K cells. If K is at least 1 and nothing is wrong, the valid
    cells are listed in verified.json beside the records, and pages mark them as verified. Exits 1 if something is
    wrong, 4 if a plugin is missing or has another revision.
    """
    from ltbench.core.atomic_files import check_writable
    from ltbench.verify.audit import examine
    from ltbench.verify.rerun import drawn, parts_of

    place = find_page(path, leaderboards)
    registry = load_registry(choice)
    # Fail early: checking the records takes a while.
    offer = registry.executor(executor_name)
    if device != AUTO:
        offer.devices(device)
    click.echo(f"verifying {place.path}", err=True)
    examined = examine(place, registry, data_root)
    # Unpredictable, so that whoever published the records cannot know which cells will be rerun.
    drawn_with = secrets.randbits(32) if seed is None else seed
    chosen = drawn(examined.sound, count, drawn_with)
    if chosen and not dry and place.kind != "store":
        check_writable(place.file.parent, "the verification", fix="copy the records to a writable folder, or use --dry")
    made = _retrained(chosen, registry, data_root, executor_name, device, workers)
    again = [_report(record, made.get(record.id), tolerance) for record in chosen]
    missed = sorted(set().union(*map(parts_of, examined.sound)).difference(*map(parts_of, chosen)))
    levels = {finding.level for finding in examined.findings}
    failed = "wrong" in levels or not all(one.agrees for one in again)
    verification = None
    if not failed and again:
        verification = _verification(examined, again, list(made.values()), drawn_with, tolerance)
    written = None
    if again and not dry and place.kind != "store":
        with writing(place.path):
            written = _write(place, verification, again)
    if as_json:
        print_json({
            "path": str(place.path), "records": len(examined.records), "sound": len(examined.sound),
            "recomputed": len(examined.recomputed), "findings": examined.findings, "seed": drawn_with,
            "rerun": again, "not_rerun": missed, "verification": verification, "written": None if written is None else str(written),
        })  # fmt: skip
    else:
        _print(examined, again, drawn_with, missed)
        if failed:
            click.echo("NOT VERIFIED")
        elif verification is None:
            click.echo("not verified: no cell was rerun (use --rerun K)")
        else:
            where = f"; written to {written}" if written else ""
            click.echo(f"verified by {verification.short.replace('`', '')}{where}")
    if failed:
        return CELLS_FAILED
    if "unknown" in levels:
        return PLUGIN_UNAVAILABLE
    return DONE if examined.records else WRONG_USAGE


def _retrained(
    chosen: Sequence[Record], registry: Registry, data_root: Path, executor_name: str, device: str, workers: int | None
) -> dict[str, Record]:
    """Rerun cells in a temporary store; return the new records by id."""
    from ltbench.executor import Context, Terms
    from ltbench.running.progress import Progress
    from ltbench.store.store import Store
    from ltbench.verify.rerun import device_of, retrain

    if not chosen:
        return {}
    with tempfile.TemporaryDirectory(prefix="ltbench-verify-") as folder:
        offer = registry.executor(executor_name)
        devices = offer.devices(device_of(chosen, device))
        context = Context(store=Store(Path(folder) / "store"), registry=registry, data_root=data_root, devices=devices)
        with offer.make(context, Terms(workers=workers)) as executor, Progress() as progress:
            return retrain(chosen, context, executor, on_event=progress)


def _report(record: Record, now: Record | None, tolerance: float | None) -> RerunReport:
    from ltbench.records.agreement import agreement

    error = "no record was made" if now is None else "" if now.error is None else now.error.message
    agreed = None if now is None or error else agreement(record, now)
    return RerunReport(
        id=record.id, label=record.label, imbalance_factor=record.setting.imbalance_factor, seed=record.setting.seed,
        agrees=agreed is not None and agreed.within(tolerance), agreement=agreed, error=error,
    )  # fmt: skip


def _verification(
    examined: Examined, again: Sequence[RerunReport], made: Sequence[Record], seed: int, tolerance: float | None
) -> Verification:
    from ltbench import __version__
    from ltbench.records.agreement import result_digest
    from ltbench.records.verifications import Rerun, Verification, seal_verification

    return seal_verification(
        Verification(
            ltbench=__version__,
            protocols=sorted({record.protocol for record in examined.sound}),
            cells={record.id: result_digest(record) for record in examined.sound},
            records="",
            recomputed=len(examined.recomputed),
            rerun=[Rerun(id=o.id, same=o.agreement.same, gap=o.agreement.gap) for o in again if o.agreement],
            seed=seed,
            tolerance=tolerance,
            environment=made[0].environment if made else {},
        )
    )


def _write(place: RecordsLocation, verification: Verification | None, reruns: Sequence[RerunReport]) -> Path | None:
    """Write a verification beside the records, replacing those that it covers; return the path.

    Verifications of a cell that now has other numbers are removed.
    """
    from ltbench.leaderboard import publish
    from ltbench.records.verifications import FILE, read_verifications, write_verifications

    path = place.file.parent / FILE
    refuted = {rerun.id for rerun in reruns if not rerun.agrees}
    before = [entry for entry in read_verifications(path) if not refuted & entry.cells.keys()]
    if verification is not None:
        before = [entry for entry in before if not entry.cells.items() <= verification.cells.items()]
        before.append(verification)
    if verification is not None or refuted:
        write_verifications(path, before)
        if place.kind == "suite" and (place.path / publish.PAGE).is_file():
            publish.write_folder(place.path, *publish.read_folder(place.path))
    return None if verification is None else path


def _print(examined: Examined, reruns: Sequence[RerunReport], seed: int, missed: Sequence[str]) -> None:
    failed = sum(record.status == "failed" for record in examined.records)
    click.echo(
        f"records       {len(examined.records)} readable" + (f", {failed} of them for failed cells" * bool(failed))
    )
    click.echo(f"valid         {len(examined.sound)} of {len(examined.records) - failed}")
    click.echo(f"recomputed    metrics of {counted(len(examined.recomputed), 'cell')} from predictions")
    if reruns:
        click.echo(f"rerun         {len(reruns)} of {counted(len(examined.sound), 'cell')}, drawn with seed {seed}:\n")
        rows = [(one.id[:12], one.label, f"{one.imbalance_factor:g}", one.seed, _outcome(one)) for one in reruns]
        print_table(["cell", "techniques", "factor", "seed", "outcome"], rows)
        click.echo("")
        if missed:
            click.echo(
                f"not covered by reruns: {', '.join(missed[:SHOWN])}"
                + (f" and {len(missed) - SHOWN} more" * (len(missed) > SHOWN))
            )
    for level, title in (("wrong", "WRONG"), ("unknown", "cannot be checked here"), ("note", "note")):
        findings = [finding for finding in examined.findings if finding.level == level]
        for finding in findings[:SHOWN]:
            click.echo(f"{title}: {finding.where}: {finding.what}")
        if len(findings) > SHOWN:
            click.echo(f"{title}: and {len(findings) - SHOWN} more (--json has all)")


def _outcome(rerun: RerunReport) -> str:
    if rerun.agreement is None:
        return f"FAILED: {rerun.error}"
    if rerun.agreement.same:
        return "bit-identical"
    gap = "without top-1" if rerun.agreement.gap is None else f"top-1 differs by {rerun.agreement.gap:.4f}"
    unlike = f" ({', '.join(rerun.agreement.unlike)})" if rerun.agreement.unlike else ", on the same type of machine"
    return f"{'within tolerance' if rerun.agrees else 'DIFFERS'}: {gap}{unlike}"

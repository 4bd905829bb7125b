"""Verifies records: an audit, reruns of some cells, and what is written beside the records."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from ltbench.cli.output import print_table
from ltbench.cli.writing import writing
from ltbench.core.devices import AUTO
from ltbench.core.words import counted
from ltbench.errors import CELLS_FAILED, DONE, PLUGIN_UNAVAILABLE, WRONG_USAGE

if TYPE_CHECKING:
    from ltbench.records.agreement import Agreement
    from ltbench.records.locations import RecordsLocation
    from ltbench.records.record import Record
    from ltbench.records.verifications import Verification
    from ltbench.registry.registry import Registry
    from ltbench.verification.audit import Examined

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


class Verified(NamedTuple):
    """What came of a verification."""

    place: RecordsLocation
    examined: Examined
    reruns: list[RerunReport]
    seed: int
    """Of the draw of cells."""
    missed: list[str]
    """Techniques that no rerun covers."""
    verification: Verification | None
    written: Path | None

    @property
    def failed(self) -> bool:
        """Whether something is wrong."""
        wrong = any(finding.level == "wrong" for finding in self.examined.findings)
        return wrong or not all(one.agrees for one in self.reruns)

    @property
    def exit_code(self) -> int:
        """That of the command."""
        if self.failed:
            return CELLS_FAILED
        if any(finding.level == "unknown" for finding in self.examined.findings):
            return PLUGIN_UNAVAILABLE
        return DONE if self.examined.records else WRONG_USAGE

    @property
    def facts(self) -> dict[str, Any]:
        """As `--json` prints them."""
        examined = self.examined
        return {
            "path": str(self.place.path), "records": len(examined.records), "sound": len(examined.sound),
            "recomputed": len(examined.recomputed), "findings": examined.findings, "seed": self.seed,
            "rerun": self.reruns, "not_rerun": self.missed, "verification": self.verification,
            "written": None if self.written is None else str(self.written),
        }  # fmt: skip


def verify(
    place: RecordsLocation, registry: Registry, data_root: Path, *, count: int, seed: int | None, tolerance: float | None, dry: bool,
    executor: str, device: str, workers: int | None,
) -> Verified:  # fmt: skip
    """Examine the records, rerun `count` cells, and unless `dry` write what was verified beside the records."""
    from ltbench.core.atomic_files import check_writable
    from ltbench.verification.audit import examine
    from ltbench.verification.rerun import drawn, parts_of

    # Fail early: checking the records takes a while.
    offer = registry.executor(executor)
    if device != AUTO:
        offer.devices(device)
    click.echo(f"verifying {place.path}", err=True)
    examined = examine(place, registry, data_root)
    # Unpredictable, so that whoever published the records cannot know which cells will be rerun.
    drawn_with = secrets.randbits(32) if seed is None else seed
    chosen = drawn(examined.sound, count, drawn_with)
    is_written = bool(chosen) and not dry and place.kind != "store"
    if is_written:
        check_writable(place.file.parent, "the verification", fix="copy the records to a writable folder, or use --dry")
    made = _retrained(chosen, registry, data_root, executor, device, workers)
    again = [_report(record, made.get(record.id), tolerance) for record in chosen]
    missed = sorted(set().union(*map(parts_of, examined.sound)).difference(*map(parts_of, chosen)))
    found = Verified(place, examined, again, drawn_with, missed, None, None)
    if not found.failed and again:
        verification = _verification(examined, again, list(made.values()), drawn_with, tolerance)
        found = found._replace(verification=verification)
    if is_written:
        with writing(place.path):
            found = found._replace(written=_write(place, found.verification, again))
    return found


def _retrained(
    chosen: Sequence[Record], registry: Registry, data_root: Path, executor: str, device: str, workers: int | None
) -> dict[str, Record]:
    """Rerun cells in a temporary store; return the new records by id."""
    from ltbench.executor import Context, Terms
    from ltbench.running.progress import Progress
    from ltbench.store.store import Store
    from ltbench.verification.rerun import device_of, retrain

    if not chosen:
        return {}
    with tempfile.TemporaryDirectory(prefix="ltbench-verify-") as folder:
        offer = registry.executor(executor)
        devices = offer.devices(device_of(chosen, device))
        context = Context(store=Store(Path(folder) / "store"), registry=registry, data_root=data_root, devices=devices)
        with offer.make(context, Terms(workers=workers)) as made, Progress() as progress:
            return retrain(chosen, context, made, on_event=progress)


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


def print_verified(verified: Verified) -> None:
    """Print what was examined and rerun, and the verdict."""
    _print(verified.examined, verified.reruns, verified.seed, verified.missed)
    if verified.failed:
        click.echo("NOT VERIFIED")
    elif verified.verification is None:
        click.echo("not verified: no cell was rerun (use --rerun K)")
    else:
        where = f"; written to {verified.written}" if verified.written else ""
        click.echo(f"verified by {verified.verification.short.replace('`', '')}{where}")


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

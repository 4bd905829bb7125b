"""`ltbench cache`: show and prune the contents of the store."""

from __future__ import annotations

from pathlib import Path

import click

from ltbench.cli.options import store_option
from ltbench.cli.output import print_json, print_table
from ltbench.cli.units import Size, Span


@click.command("cache")
@click.argument("what", type=click.Choice(["show", "prune"]), default="show")
@click.option("--trainings", is_flag=True, help="Also prune trainings and predictions. Records are kept.")
@click.option("--older-than", type=Span(), metavar="TIME", help="Prune only files older than this: 12h, 7d.")
@click.option(
    "--max-size", type=Size(), metavar="SIZE", help="Stop pruning once the store fits in this size: 500MB, 20GB."
)
@click.option("--dry-run", is_flag=True, help="Print what would be pruned and remove nothing.")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    what: str,
    trainings: bool,
    older_than: float | None,
    max_size: int | None,
    dry_run: bool,
    store_path: Path,
    as_json: bool,
) -> None:
    """Show the contents of the store by kind, or prune what is not needed.

    By default only training states and snapshots, which just save time, and damaged or incomplete files are pruned.
    Files that a run is using are kept. --trainings also prunes networks and their predictions: records and
    leaderboards are kept, but new combinations that share those trainings have to train again.
    """
    from ltbench.core.units import size_text
    from ltbench.store.cleanup import KINDS, disposable, enough_for, items, remove, sizes_by_kind
    from ltbench.store.store import Store

    store = Store(store_path)
    held = sizes_by_kind(items(store))
    total = sum(size for _, size in held.values())
    candidates = disposable(store, trainings=trainings, older_than=older_than or 0.0)
    if what == "show":
        free = sizes_by_kind(candidates)
        rows = [(kind, *held[kind], *free.get(kind, (0, 0))) for kind in KINDS if kind in held]
        if as_json:
            names = ("kind", "count", "bytes", "prunable", "prunable_bytes")
            facts = [dict(zip(names, row, strict=True)) for row in rows]
            print_json({"store": str(store.root), "bytes": total, "kinds": facts})
            return
        click.echo(f"{store.root}: {size_text(total)}")
        if rows:
            print_table(
                ("kind", "count", "size", "prunable"),
                [(kind, f"{n:,}", size_text(size), size_text(less) if m else "") for kind, n, size, m, less in rows],
            )
        return
    pruned = list(candidates if max_size is None else enough_for(candidates, total, max_size))
    for item in pruned:
        if not dry_run:
            remove(item, store)
    by_kind = sizes_by_kind(pruned)
    freed = sum(size for _, size in by_kind.values())
    if as_json:
        facts = [{"kind": kind, "count": count, "bytes": size} for kind, (count, size) in by_kind.items()]
        print_json({"store": str(store.root), "dry_run": dry_run, "bytes": freed, "kinds": facts})
        return
    verb = "would be removed" if dry_run else "removed"
    for kind, (count, size) in by_kind.items():
        click.echo(f"{verb}: {count:,} {kind}, {size_text(size)}")
    click.echo(f"{size_text(freed)} {verb}, {size_text(total - freed)} {'would be' if dry_run else 'are'} left")
    if max_size is not None and total - freed > max_size:
        more = "" if trainings else "; --trainings also prunes trainings and predictions"
        click.echo(f"the store is still larger than {size_text(max_size)}, because the rest is needed{more}", err=True)

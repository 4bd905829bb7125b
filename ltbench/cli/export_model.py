"""`ltbench export-model`: write the trained model of a cell into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.bad_lines import skips_bad_lines
from ltbench.cli.options import data_root_option, leaderboards_option, load_registry, plugin_options, store_option
from ltbench.cli.output import print_json, print_wrapped
from ltbench.cli.paths import PathOption

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection


@click.command("export-model")
@click.argument("cell", metavar="CELL|best")
@click.argument("folder", type=PathOption(), metavar="FOLDER")
@click.option("--page", metavar="NAME|PATH",
              help="Where to look for the cell: a leaderboard, a records file or a store.  "
                   "[default: all leaderboards, then the store]")  # fmt: skip
@click.option("--onnx", is_flag=True, help="Write model.onnx, too.")
@click.option("--torch-export", is_flag=True,
              help="Write model.pt2 for torch.export.load in any case; by default only where timm does not build the network.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a model that is in FOLDER.")
@store_option
@data_root_option
@leaderboards_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@plugin_options
@skips_bad_lines
def command(
    cell: str,
    folder: Path,
    page: str | None,
    onnx: bool,
    torch_export: bool,
    overwrite: bool,
    store_path: Path,
    data_root: Path,
    leaderboards: Path,
    as_json: bool,
    choice: PluginSelection,
) -> None:
    """Write the trained model of a cell into FOLDER, with a model card.

    CELL is the first digits of its id, or a row as its table has it; best is the first row of a page. Of the cells of a
    row, the first one whose networks are in the store is taken: lowest factor and seeds first. `ltbench predict FOLDER IMAGES` classifies images with it.

        ltbench export-model best model --page quick

    README.md in FOLDER has the lines that load the model without ltbench.
    """
    from ltbench.cli.model_cells import CellSearch
    from ltbench.executor import Context
    from ltbench.store.store import Store
    from ltbench.trained_model.export import export_model

    registry, store = load_registry(choice), Store(store_path)
    chosen = CellSearch(page, leaderboards, store, data_root, registry).choose(cell)
    record, s = chosen.record, chosen.record.setting
    click.echo(
        f"exporting {record.id}  {record.label}\n  {s.dataset}, profile {s.profile}, imbalance factor "
        f"{s.imbalance_factor:g}, {s.model}, subset seed {s.subset_seed}, seed {s.seed}",
        err=True,
    )
    context = Context(store=store, registry=registry, data_root=data_root)
    done = export_model(
        record, context, folder, among=chosen.among, onnx=onnx, torch_export=torch_export, overwrite=overwrite
    )
    if done.without:
        print_wrapped(f"warning: only ltbench loads this model: {done.without}", err=True)
    if as_json:
        about = done.description
        print_json({
            "folder": str(folder), "cell": about.cell, "label": about.label, "classes": about.classes,
            "forms": about.forms, "temperature": about.temperature, "checked_images": about.checked_images,
            "largest_difference": about.largest_difference, "only_ltbench": done.without,
        })  # fmt: skip
        return
    files = ", ".join(sorted(path.name for path in folder.iterdir()))
    click.echo(f"written: {folder} ({files})")

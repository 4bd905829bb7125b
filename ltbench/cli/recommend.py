"""`ltbench recommend`: which techniques to use on a user's own images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.options import (
    data_root_option,
    leaderboards_option,
    load_registry,
    metric_option,
    observe_option,
    plugin_options,
    store_option,
    worker_options,
)
from ltbench.cli.page_names import PageName
from ltbench.cli.paths import PathOption
from ltbench.cli.units import Span
from ltbench.costs import read_costs

if TYPE_CHECKING:
    from ltbench.registry.discovery import PluginSelection


@click.command("recommend")
@click.argument("photos", type=PathOption(exists=True))
@click.option("--test", type=PathOption(exists=True), metavar="PATH",
              help="Test images: a folder with the same classes, or a list.  [default: folds of PHOTOS]")  # fmt: skip
@click.option("--holdout", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="SHARE",
              help="Test on this share of the images, once, instead of on folds.")  # fmt: skip
@click.option("--folds", type=click.IntRange(2),
              help="Folds of the cross-validation if there are no test images.  [default: 5]")  # fmt: skip
@click.option(
    "--groups",
    metavar="FILE|PATTERN",
    help="Images that stay together, such as those of one patient: a pattern in their paths, or a CSV file in PHOTOS.",
)
@click.option("--budget", type=Span(), default="10m", show_default=True, metavar="TIME",
              help="Time for the choice. The features of the images are computed in any case.")  # fmt: skip
@click.option("--model", metavar="NAME", help="Pretrained network, as `ltbench show` names it, such as resnet50.  "
                                              "[default: the best one of the suite whose weights are on this machine]")  # fmt: skip
@click.option(
    "--cost", "costs", metavar="FILE|COSTS", default="", callback=lambda _context, _option, text: read_costs(text) if text else "",
    help="Compare by the mean cost of errors: a CSV or JSON file, or cat>dog:5, see `ltbench show min_cost`.",
)  # fmt: skip
@click.option(
    "--size",
    type=click.IntRange(16, 1024),
    default=224,
    show_default=True,
    help="Side in pixels to which images are resized.",
)
@click.option("--fine-tune/--no-fine-tune", "is_fine_tuned", default=True, show_default=True,
              help="Also fine-tune the whole network, if the budget has time for it.")  # fmt: skip
@click.option("--export/--no-export", "is_exported", default=True, show_default=True,
              help="Train the recommended row on all images, and write its model beside the page.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Stop at an unreadable file instead of skipping it.")
@click.option("--suite", "suite_name", default="recommend", show_default=True, metavar="NAME|FILE",
              help="Suite with the techniques, models and recipe to choose from.")  # fmt: skip
@click.option(
    "--name", type=PageName(), metavar="NAME", help="Name of the page.  [default: that of the folder of the images]"
)
@worker_options
@observe_option
@data_root_option
@store_option
@leaderboards_option
@metric_option
@plugin_options
def command(
    photos: Path, test: Path | None, holdout: float | None, folds: int | None, groups: str | None, budget: float, model: str | None,
    costs: str, size: int, is_fine_tuned: bool, is_exported: bool, strict: bool, suite_name: str, name: str | None, choice: PluginSelection, data_root: Path, store_path: Path,
    executor_name: str | None, workers: int | None, device: str, per_gpu: int, retries: int, timeout: float | None, memory: int | None,
    leaderboards: Path, metric: str, observed: tuple[str, ...],
) -> int:  # fmt: skip
    """Find out which techniques to use on the images of PHOTOS.

    PHOTOS is a folder with a folder for each class, a list of files with labels, or a folder of the library datasets. All
    images are used with their own imbalance. Classifiers on the features of a pretrained network race for the time of the
    budget; what is chosen in each fold of a cross-validation is then tested on images that the choice has not seen.
    """
    from ltbench.cli.running.own_images import Asked
    from ltbench.cli.running.recommending import recommend
    from ltbench.executor import Context, Terms
    from ltbench.running.observing import observers_of
    from ltbench.running.options import RunOptions
    from ltbench.store.store import Store

    registry = load_registry(choice)
    observers = observers_of(observed, registry)
    asked = Asked(
        photos=photos, test=test, holdout=holdout, folds=folds or 0, groups=groups or "", seconds=budget, model=model or "", size=size,
        is_strict=strict, suite=suite_name, name=name or "", metric=metric, costs=costs, is_fine_tuned=is_fine_tuned, is_exported=is_exported, leaderboards=leaderboards,
    )  # fmt: skip
    offer = registry.executor("local" if executor_name is None else executor_name)
    context = Context(
        store=Store(store_path), registry=registry, data_root=data_root, devices=offer.devices(device), watched=bool(observers)
    )  # fmt: skip
    terms = Terms(workers=workers, per_gpu=per_gpu, timeout=timeout, memory=memory)
    recommend(asked, context, offer, terms, RunOptions(retries=retries), ["ltbench", *sys.argv[1:]], observers)
    return 0

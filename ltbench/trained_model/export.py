"""Writes the model of a cell into a folder, from the trained networks in the store."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ltbench.columns import BALANCED, TOP1
from ltbench.core import atomic_files, checksums
from ltbench.core.spec import canonical
from ltbench.errors import DataError, JobFailed, UsageError
from ltbench.jobs.evidence import Needed
from ltbench.jobs.plugin_calls import merge_checked
from ltbench.jobs.posthoc import weighs_branches
from ltbench.leaderboard.statistics.estimates import estimate
from ltbench.leaderboard.tables.columns import declared_columns
from ltbench.records.record import Record
from ltbench.stages import Dataset, Ensemble, Model, Posthoc, View
from ltbench.trained_model.adjustments import ensemble_rule, view_rule
from ltbench.trained_model.calibration import fitted_temperature
from ltbench.trained_model.card import card
from ltbench.trained_model.description import CARD, FACTS, KEY, STATES, Description, Form
from ltbench.trained_model.members import (
    evidence_keys,
    posthoc_of,
    read_stored,
    views_names,
    write_member,
)
from ltbench.trained_model.model import TrainedModel
from ltbench.version import __version__

if TYPE_CHECKING:
    from ltbench.executor import Context, Techniques

CHECKED = 16
"""Test images on which an export is checked."""
_SAME = 1e-3
"""Difference of probabilities between a program and the network that it was traced from."""
_WRONG = 0.05
"""Difference of logits, relative to the largest, that other hardware or libraries do not explain."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote."""

    folder: Path
    description: Description
    without: str
    """Why nothing but ltbench loads the model; empty if the card says how."""


def export_model(
    record: Record, context: Context, folder: Path, *, among: Iterable[Record] = (), onnx: bool = False,
    torch_export: bool = False, overwrite: bool = False,
) -> Exported:  # fmt: skip
    """Write the model of a cell into `folder`, all of it or nothing.

    among: records with those of the same row, for intervals; onnx, torch_export: write these forms too; overwrite: replace another
    exported model. Raises `StoreError` if something is missing in the store, `UsageError` if there is something else in
    the place of the folder, `JobFailed` if the model cannot be stored, or differs from what the store says.
    """
    if record.status != "ok":
        raise UsageError(f"cell {record.id} failed, so it has no model")
    _check_target(folder, overwrite=overwrite)
    _check_transductive(posthoc_of(record, context.registry))
    with atomic_files.os_errors_as_store_errors(
        "the model cannot be written", folder, elsewhere=atomic_files.OTHER_TARGET
    ):
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        staging = folder.absolute().with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
        try:
            staging.mkdir()
            description, without = _write(record, context, staging, among, onnx=onnx, torch_export=torch_export)
            checksums.seal(staging, KEY)
            _place(staging, folder)
        finally:
            atomic_files.remove(staging)
    return Exported(folder=folder, description=description, without=without)


def _check_target(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    # Never anything else: it may be the user's photos.
    if not (folder / FACTS).is_file() or not (folder / checksums.NAME).is_file():
        raise UsageError(f"{folder} is there already, and not a trained model", fix="give another folder")
    if not overwrite:
        raise UsageError(f"{folder} has a trained model already", fix="--overwrite, or give another folder")


def _place(staging: Path, folder: Path) -> None:
    aside = folder.absolute().with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
    if folder.exists():
        folder.rename(aside)
    try:
        staging.rename(folder)
    except OSError:
        if aside.exists():
            aside.rename(folder)
        raise
    atomic_files.remove(aside)


def _check_transductive(posthoc: Posthoc | None) -> None:
    if posthoc is not None and posthoc.transductive and not weighs_branches(posthoc):
        raise JobFailed(
            f"{posthoc.label} cannot be exported: what it does to an image depends on the other test images",
            fix="export a row without it",
        )


def _write(
    record: Record, context: Context, folder: Path, among: Iterable[Record], *, onnx: bool, torch_export: bool
) -> tuple[Description, str]:
    import torch

    from ltbench.engine.subset import load

    registry = context.registry
    data = record.fits[0]["data"]
    info = registry.build_as(data["dataset"], Dataset).info(context.data_root)
    if info.fingerprint != data["fingerprint"]:
        raise DataError(f"data set '{data['dataset']['name']}' has changed since the training")
    tested = load(data, registry, context.data_root).test_images
    images = tested[torch.arange(min(CHECKED, len(tested)))].numpy()
    view = registry.build_as(record.spec["view"], View)
    ensemble = registry.build_as(record.spec["ensemble"], Ensemble)
    classes, views = len(info.classes), views_names(record, registry)
    arrays: dict[str, Any] = {}
    members = [
        write_member(record, number, context, info, images, arrays, folder) for number in range(len(record.fits))
    ]  # fmt: skip
    if arrays:
        from safetensors.numpy import save

        (folder / STATES).write_bytes(save(arrays))
    reading = registry.build_as(data["dataset"], Dataset).reading(info)
    description = Description(
        ltbench=__version__,
        cell=record.id,
        label=record.label,
        classes=info.classes,
        counts=tuple(int(count) for count in record.data["counts"]),
        reading=reading,
        dataset=data["dataset"],
        info=msgspec.structs.replace(info, report=None),
        view=record.spec["view"],
        views=tuple(views),
        view_rule=view_rule(partial(merge_checked, registry, view, view.merge), len(views), classes),
        posthoc=record.spec["posthoc"],
        ensemble=record.spec["ensemble"],
        ensemble_rule=ensemble_rule(partial(merge_checked, registry, ensemble, ensemble.merge), len(members), classes),
        members=members,
        temperature=None,
        checked_images=len(images),
        largest_difference=None,
        forms=[],
        metrics=dict(record.metrics),
        runs=_runs(record, among),
        setting=msgspec.to_builtins(record.setting) | {"fingerprint": data["fingerprint"]},
        recipe=record.recipe,
        combination=record.combination,
        plugins=msgspec.to_builtins(record.plugins),
        licences={"images": info.licence or "not stated", "backbone": _licence(record, registry)},
        notes=list(record.notes),
    )
    _write_facts(folder, description)
    # From here on what was written is what is checked and what forms are made of.
    checksums.seal(folder, KEY)
    model = TrainedModel.load(folder, registry)
    difference = _difference(record, context, model, images)
    temperature = _temperature(record, context, model)
    description = msgspec.structs.replace(description, largest_difference=difference, temperature=temperature)
    without, forms = _forms(model, folder, images, onnx=onnx, torch_export=torch_export)
    description = msgspec.structs.replace(description, forms=forms)
    _write_facts(folder, description)
    declared = declared_columns(registry.of("metric"))
    columns = [one for one in declared if one.shown in {"main", "folded"} or one.name in {TOP1, BALANCED}]
    (folder / CARD).write_text(card(description, columns, without), encoding="utf-8")
    return description, without


def _write_facts(folder: Path, description: Description) -> None:
    (folder / FACTS).write_bytes(msgspec.json.format(canonical(description), indent=1) + b"\n")


def _temperature(record: Record, context: Context, model: TrainedModel) -> float | None:
    """Return the temperature of the whole model on the held-out images; None if there are none."""
    if "held_out" not in record.fits[0]["data"]:
        return None
    stored = [
        [read_stored(context, key, record, number) for key in by_split["held_out"]]
        for number, by_split in enumerate(evidence_keys(record, context.registry))
    ]
    return fitted_temperature(model.merged(stored), stored[0][0].labels)


def _difference(record: Record, context: Context, model: TrainedModel, images: Any) -> float | None:
    """Return the largest difference of a logit to those in the store; None if they are not there.

    Raises `JobFailed` if the model is another one.
    """
    keys = Needed.by_cell(record.spec, record.fits[0]["data"], context.registry).keys(
        record.spec, model.description.views
    )
    largest = 0.0
    for number, of in enumerate(keys):
        for key, now in zip(of["test"], model.networks_predict(number, images), strict=True):
            if not context.store.has(key):
                return None
            before = read_stored(context, key, record, number).logits[:, : len(images)]
            apart = float(np.abs(before - now.logits).max())
            if apart > _WRONG * max(float(np.abs(before).max()), 1.0):
                raise JobFailed(
                    f"the model gives other logits than the store has: they differ by {apart:.3g}",
                    where=f"artefact {key}",
                    fix="ltbench run --rerun-stale trains again what was made by other versions",
                )
            largest = max(largest, apart)
    return largest


def _forms(model: TrainedModel, folder: Path, images: Any, *, onnx: bool, torch_export: bool) -> tuple[str, list[Form]]:
    """Write the forms that are asked for, or that the card needs; return why there are none, and what was written."""
    from ltbench.engine.model_graph import Program, run_program

    description = model.description
    loaded_by_timm = description.single is not None and description.single.timm is not None and description.baked
    names = [*(["model.pt2"] if torch_export or not loaded_by_timm else []), *(["model.onnx"] if onnx else [])]
    if not names:
        return "", []
    try:
        graph = model.graph()
        program = Program(graph, images)
    except JobFailed as error:
        why = f"{error.what}: {error.why}" if error.why else error.what
        if onnx or torch_export:
            what, fix = "the model cannot be written as one program", "leave out --onnx and --torch-export"
            raise JobFailed(what, why=why, fix=fix) from error
        return why, []
    expected, traced = model.probabilities(images), graph.probabilities(images)
    forms = []
    for name in names:
        (program.save_onnx if name == "model.onnx" else program.save)(folder / name)
        found = run_program(folder / name, images)
        # Both in float32; the model itself may have been evaluated in bfloat16.
        if not (apart := float(np.abs(found - traced).max())) <= _SAME:
            raise JobFailed(f"{name} gives other probabilities than the network: they differ by {apart:.3g}")
        forms.append(Form(file=name, largest_difference=float(np.abs(found - expected).max())))
    return "", forms


def _licence(record: Record, registry: Techniques) -> str:
    """Return the licences of the pretrained weights that the members start from, in words."""
    found = [registry.build_as(fit["model"], Model).weights_licence() for fit in record.fits]
    words = ["no pretrained weights" if one is None else one or "not stated" for one in found]
    return ", ".join(dict.fromkeys(words))


def _runs(record: Record, among: Iterable[Record]) -> dict[str, dict[str, float | int | None]]:
    """Return mean and interval of each metric over the seeds of a row; empty for a single run."""

    def row(one: Record) -> tuple[object, ...]:
        return one.board, one.setting.imbalance_factor, one.techniques

    runs = {one.id: one for one in (record, *among) if one.status == "ok" and row(one) == row(record)}.values()
    if len(runs) < 2:
        return {}
    found = {}
    for name in record.metrics:
        values = [float(value) for other in runs if (value := other.metrics.get(name)) is not None]
        if (mean := estimate(values)) is not None:
            found[name] = {"mean": mean.mean, "half": mean.half, "n": mean.n}
    return found

"""A folder of photos, and rows trained on it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import call, suite_source

from ltbench.executor import Context
from ltbench.image_files.decode import read_image, warnings_by_thread
from ltbench.jobs import cell
from ltbench.jobs.evidence import Needed
from ltbench.records.locations import location
from ltbench.records.record import Record
from ltbench.registry.registry import Registry
from ltbench.stages import View
from ltbench.store.store import Store

CLASSES = {"cat": 24, "dog": 12, "ox = a b": 6}
ROWS = [
    ["logit_adjust_posthoc"], ["tta", "logit_adjust_posthoc"], ["tta[merge_by=vote]"], ["tau_norm[tau=held_out]"], ["temperature"],
    ["ncm"], ["cosine[scale=16]"], ["experts", "sade_loss"], ["experts", "sade_loss", "tta", "sade_aggregation"],
    ["seed_ensemble[size=2]"], ["product[size=2]"], ["bagging[threshold=10]"], ["lws"], ["tta", "min_cost[costs=cat>dog:5]"],
]  # fmt: skip


class Trained:
    """The suites that were run on the photos."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder, self.registry = folder, registry
        self.context = Context(store=Store(folder / "store"), registry=registry, data_root=folder)

    def run(self, name: str, **fields: object) -> None:
        recipe = {"steps": 12, "batch_size": 16, "lr": 0.05, "precision": "fp32", **fields.pop("recipe", {})}
        given = {
            "datasets": ["image_folder[path=photos,size=16]"], "profiles": ["natural"], "imbalance_factors": [1],
            "models": ["convnet[width=4,depth=2]"], "seeds": [0],
        }  # fmt: skip
        (self.folder / f"{name}.toml").write_text(suite_source(name, recipe, **(given | fields)))
        done = call("run", "--suite", self.folder / f"{name}.toml", "--executor", "inline", *self.at)
        assert done.return_value == 0, done.output

    @property
    def at(self) -> list[str]:
        return [
            f"--store={self.folder / 'store'}", f"--leaderboards={self.folder / 'boards'}", f"--data-root={self.folder}",
        ]  # fmt: skip

    def records(self, name: str) -> list[Record]:
        return location(self.folder / "boards" / "local" / name).records_file().records

    def record(self, name: str, label: str, seed: int = 0) -> Record:
        found = [r for r in self.records(name) if r.label == label and r.setting.seed == seed]
        assert len(found) == 1, [r.label for r in self.records(name)]
        return found[0]

    @property
    def test_photos(self) -> list[Path]:
        """The test images, in the order of the data set."""
        dataset = self.registry.parse("image_folder[path=photos,size=16]", "dataset")
        images = dataset.load(self.folder).test_images
        with warnings_by_thread():
            by_pixels = {
                read_image(file, dataset.rules)[0].tobytes(): file
                for file in sorted((self.folder / "photos" / "test").glob("*/*"))
            }
        return [by_pixels[image.tobytes()] for image in images]

    def evaluated(self, record: Record, split: str = "test") -> cell.Labelled:
        """Return labels and probabilities of a cell, from the logits in the store."""
        names = list(self.registry.build_as(record.spec["view"], View).views())
        keys = Needed.by_cell(record.spec, record.fits[0]["data"], self.registry).keys(record.spec, names)
        counts = [self.context.store.meta(key)["data"]["counts"] for key in record.spec["members"]]
        members = [
            cell.Member(np.asarray(n), of, fit.get("branches"), tuple(record.data["classes"]))
            for n, of, fit in zip(counts, keys, record.fits, strict=True)
        ]
        read = partial(cell.stored_logits, self.context)
        return cell.predictions(self.registry, record.spec, members, read, [split])[split]


@pytest.fixture(scope="session")
def trained_photos(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Trained:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for split, share in (("train", 1), ("test", 3)):
        for label, (name, count) in enumerate(CLASSES.items()):
            for number in range(count // share):
                file = folder / "photos" / split / name / f"photo {number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.normal(70 + 50 * label, 40, (20, 17, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(file)
    trained = Trained(folder, registry)
    trained.run("rows", combinations=ROWS, seeds=[0], held_out=0.2)
    trained.run("seeds", combinations=[["cb_sampler"], ["logit_adjust_posthoc"]], seeds=[0, 1, 2])
    return trained

"""Any data set of images of the Hugging Face Hub, by its name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

from ltbench import Dataset, Meta, hookimpl
from ltbench.core.text_streams import with_progress_bars
from ltbench.errors import DataError
from ltbench.image_files.names import plain
from ltbench_plugins.datasets.hf_folder import HfFolder, cache, library, parts_of, why_not

_opened: dict[tuple[str, str, str, Path], dict[str, Any]] = {}


class HfHub(HfFolder, frozen=True):
    """A data set of images of the Hugging Face Hub, by its name there, such as `uoft-cs/cifar10`.

    It is downloaded once by the library datasets, which then needs no network. `ref` is a branch, tag or commit; a commit names
    the same content for ever. Columns, splits and images are read as by `hf_folder`. Needs the package datasets.
    Source: Lhoest et al., "Datasets: A Community Library for Natural Language Processing", EMNLP 2021.
    """

    name = "hf_hub"

    path: Annotated[str, Meta(description="name of the data set, as OWNER/NAME")] = ""
    ref: Annotated[str, Meta(description="branch, tag or commit")] = "main"

    @classmethod
    def reads(cls, path: Path) -> bool:
        return False

    def _open(self, root: Path) -> tuple[Path, str, dict[str, Any]]:
        if not self.path:
            raise DataError("hf_hub has no path", fix="hf_hub[path=OWNER/NAME]")
        key = (self.path, self.config, self.ref, root)
        if key not in _opened:
            datasets = library(self.name)
            try:
                with with_progress_bars():
                    opened = datasets.load_dataset(
                        self.path, self.config or None, revision=self.ref, cache_dir=str(cache(root))
                    )
            except Exception as error:
                # The library raises errors of many kinds for what it cannot find or read.
                raise DataError(
                    f"{plain(self.path)} cannot be read from the Hugging Face Hub",
                    why=why_not(error),
                    fix="check name, config and ref, and the network; or download it, and use hf_folder[path=FOLDER]",
                ) from error
            _opened[key] = parts_of(opened)
        parts = _opened[key]
        return cache(root) / self.path.replace("/", "___"), _stamp(parts), parts


def _stamp(parts: dict[str, Any]) -> str:
    """Return a digest of the files in which the library keeps the data set."""
    digest = hashlib.sha256()
    for split, part in parts.items():
        digest.update(f"/{split}/{len(part)}/".encode())
        for file in part.cache_files:
            stat = Path(file["filename"]).stat()
            digest.update(f"{file['filename']}/{stat.st_size}/{stat.st_mtime_ns}/".encode())
    return digest.hexdigest()[:32]


@hookimpl
def ltbench_datasets() -> list[type[Dataset]]:
    return [HfHub]

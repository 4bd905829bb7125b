"""Data sets that were published as files of arrays: verified, described by reading them once, and kept prepared."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from ltbench import Dataset, DatasetInfo, Images
from ltbench.errors import DataError
from ltbench.image_files.names import plain
from ltbench_plugins.datasets._content import fingerprint, moments, valid_fingerprint
from ltbench_plugins.datasets._download import NotFetched, fetch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_described: dict[str, DatasetInfo] = {}
"""Cache of descriptions by the versions of files, for data roots that cannot be written."""


class ArrayFiles(Dataset, frozen=True):
    """A data set in files of arrays. A subclass names them, and reads images and labels from them."""

    licence: ClassVar[str] = ""
    home: ClassVar[str] = ""

    def folder(self, root: Path) -> Path:
        """Return the folder of the files."""
        return root / self.name

    def files(self) -> Mapping[str, str]:
        """Return the names of the files with their MD5 digests."""
        raise NotImplementedError

    def url(self, file: str) -> str:
        """Return where a file can be downloaded from; empty if it is in an archive."""
        return ""

    def class_names(self) -> Sequence[str]:
        """Return the names of the classes."""
        raise NotImplementedError

    def read(self, folder: Path) -> Images:
        """Return the images of verified files."""
        raise NotImplementedError

    def locate(self, root: Path) -> str:
        folder = self.folder(root)
        if absent := [name for name in self.files() if not (folder / name).is_file()]:
            raise DataError(
                f"{self.name} is missing", where=plain(str(folder)), why=f"there is no {', '.join(absent)}",
                fix=f"ltbench data '{self.label}' --download, or put {' and '.join(self.files())} from {self.home} there"
                if self.url(absent[0])
                else f"unpack {self.home} there, so that it has {' and '.join(self.files())}",
            )  # fmt: skip
        return str(folder)

    def info(self, root: Path) -> DatasetInfo:
        version = self._version(root)
        if version not in _described:
            file = root / "prepared" / f"{self.name}-{version}.json"
            _described[version] = _stored(file) or self._describe(root, file)
        return _described[version]

    def fetch(self, root: Path) -> None:
        folder = self.folder(root)
        for name, expected in self.files().items():
            file = folder / name
            if not file.is_file() and (url := self.url(name)):
                try:
                    fetch(url, expected, file)
                except NotFetched as error:
                    raise DataError(
                        f"{self.name} is missing and could not be downloaded", where=plain(str(folder)), why=str(error),
                        fix=f"put {name} from {self.home} there",
                    ) from error  # fmt: skip

    def load(self, root: Path) -> Images:
        self.locate(root)
        folder = self.folder(root)
        for name, expected in self.files().items():
            with (folder / name).open("rb") as opened:
                found = hashlib.file_digest(opened, "md5").hexdigest()
            if found != expected:
                raise DataError(
                    f"{plain(str(folder / name))} is not the official file", why=f"its MD5 is {found}; expected {expected}",
                    fix="delete it and get it again",
                )  # fmt: skip
        try:
            return self.read(folder)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"the files in {plain(str(folder))} cannot be read", why=f"{type(error).__name__}: {error}",
                fix="delete them and get them again",
            ) from error  # fmt: skip

    def _version(self, root: Path) -> str:
        """Return a digest of names, sizes and modification times of the files."""
        self.locate(root)
        digest = hashlib.sha256(self.label.encode())
        for name in self.files():
            stat = (self.folder(root) / name).stat()
            digest.update(f"/{name}/{stat.st_size}/{stat.st_mtime_ns}".encode())
        return digest.hexdigest()[:32]

    def _describe(self, root: Path, file: Path) -> DatasetInfo:
        from ltbench.core import atomic_files
        from ltbench.engine.dataset_arrays import keep
        from ltbench.longtail import class_counts

        images = self.load(root)
        names = tuple(self.class_names())

        def counts(labels: npt.NDArray[np.int64] | None) -> tuple[int, ...]:
            return () if labels is None else tuple(class_counts(labels, len(names)).tolist())

        mean, std = moments(images.train_images)
        info = DatasetInfo(
            classes=names,
            train_counts=counts(images.train_labels),
            test_counts=counts(images.test_labels),
            channels=images.train_images.shape[1],
            size=images.train_images.shape[2],
            mean=mean,
            std=std,
            fingerprint=fingerprint(images),
            valid_counts=counts(images.valid_labels),
            valid_fingerprint=valid_fingerprint(images),
            licence=self.licence,
            source=self.home,
        )
        keep(self, images, info, root)
        with suppress(OSError):  # if the data root cannot be written, each process describes it again
            atomic_files.replace(file, msgspec.json.encode(info))
        return info


def _stored(file: Path) -> DatasetInfo | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=DatasetInfo)
    except (OSError, msgspec.DecodeError):
        return None

"""Find, verify and read every official distribution of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec

from ltbench import Dataset, DatasetInfo, Images, Meta
from ltbench.errors import DataError
from ltbench_plugins.datasets._content import fingerprint

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]

HOME = "https://www.cs.toronto.edu/~kriz/"
SIZE = 32
PIXELS = 3 * SIZE * SIZE
LDAM = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""Mean and deviation with which the code of LDAM (Cao et al., 2019) normalises CIFAR-10 and CIFAR-100, and code that
followed it. The deviations are means over images of CIFAR-10 of their own deviations."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """An official distribution of a data set: a folder of files, or an archive of the folder."""

    version: Literal["python", "binary"]
    folder: str
    archive: str
    train: dict[str, str]
    """File name -> digest: MD5 for the python version, as in torchvision, SHA-256 for the binary one."""
    test: dict[str, str]
    label: str | int
    """Key of the labels in a batch of the python version; position of the label byte in a record of the binary one."""

    @property
    def files(self) -> dict[str, str]:
        """Every file with its digest, training files first."""
        return self.train | self.test

    def decode(self, raw: bytes) -> tuple[Bytes, Bytes]:
        """Return images uint8 [N, 3, 32, 32] and labels uint8 [N] of one file."""
        import numpy as np

        if isinstance(self.label, str):
            batch = _unpickle(raw)
            return np.asarray(batch["data"], np.uint8).reshape(-1, 3, SIZE, SIZE), np.array(batch[self.label], np.uint8)
        records = np.frombuffer(raw, np.uint8).reshape(-1, self.label + 1 + PIXELS)
        return records[:, -PIXELS:].reshape(-1, 3, SIZE, SIZE), records[:, self.label]


LARGEST = 500_000_000
"""Bytes of the largest official file of any form, generously; more in an archive is not read."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution with its folder or archive on this machine."""

    form: Form
    path: Path

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and verified content of each file; raise `DataError` for a missing or corrupt one."""
        for name, raw in self._from_folder() if self.path.is_dir() else self._from_archive():
            self._check(name, raw)
            yield name, raw

    def _from_folder(self) -> Iterator[tuple[str, bytes]]:
        for name in self.form.files:
            try:
                yield name, (self.path / name).read_bytes()
            except OSError as error:
                raise DataError(f"cannot read {self.path / name}", why=str(error)) from error

    def _from_archive(self) -> Iterator[tuple[str, bytes]]:
        import tarfile

        wanted = {f"{self.form.folder}/{name}": name for name in self.form.files}
        try:
            with tarfile.open(self.path, "r:*") as archive:
                for member in archive:
                    if member.name in wanted and member.size <= LARGEST and (file := archive.extractfile(member)):
                        yield wanted.pop(member.name), file.read()
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise DataError(
                f"{self.path} is corrupt or incomplete", why=str(error), fix="delete it and download it again"
            ) from error
        if wanted:
            raise DataError(f"{self.path} lacks {next(iter(wanted))}", fix="delete it and download it again")

    def _check(self, name: str, raw: bytes) -> None:
        expected = self.form.files[name]
        algorithm = "md5" if self.form.version == "python" else "sha256"
        digest = hashlib.new(algorithm, raw, usedforsecurity=False).hexdigest()
        if digest != expected:
            raise DataError(
                f"{name} in {self.path} is not the official file",
                why=f"{len(raw)} bytes with {algorithm} {digest}; expected {expected}",
                fix="delete it and download it again",
            )


class Cifar(Dataset, frozen=True):
    """A data set of the CIFAR family, read from any official distribution under the data root."""

    augment = "crop_flip"
    about: ClassVar[DatasetInfo]
    forms: ClassVar[tuple[Form, ...]]
    """The first one is downloaded: the python version."""
    archive_md5: ClassVar[str]
    """MD5 of the archive of the first distribution."""

    normalise: Annotated[
        Literal["exact", "ldam"],
        Meta(description="mean and deviation: of all training images, or the constants in the code of LDAM"),
    ] = "exact"
    validation: Annotated[
        int, Meta(ge=0, description="the last training images of each class that are its validation split instead")
    ] = 0

    def info(self, root: Path) -> DatasetInfo:
        about = self.about
        if self.normalise == "ldam":
            about = msgspec.structs.replace(about, mean=LDAM[0], std=LDAM[1])
        if not self.validation:
            return about
        if self.validation >= min(about.train_counts):
            raise DataError(
                f"{self.label} leaves no training images",
                fix=f"validation below {min(about.train_counts):,}, the number of training images of a class",
            )
        kept = f"{about.fingerprint}, {self.validation} of each class for validation"
        return msgspec.structs.replace(
            about,
            train_counts=tuple(count - self.validation for count in about.train_counts),
            valid_counts=(self.validation,) * len(about.classes),
            fingerprint=_digest(f"training and test of {kept}"),
            valid_fingerprint=_digest(f"validation of {kept}"),
        )

    def locate(self, root: Path) -> str:
        source = self._source(root)
        return f"{source.path} ({source.form.version} version)"

    def load(self, root: Path) -> Images:
        try:
            source = self._source(root)
        except DataError as missing:
            self._download(root, missing)
            source = self._source(root)
        images = self._read(source)
        if (found := fingerprint(images)) != self.about.fingerprint:
            raise DataError(
                f"the images of {source.path} are not those of {self.name}",
                why=f"content {found}; expected {self.about.fingerprint}",
                fix="delete it and download it again",
            )
        return _with_validation(images, self.validation) if self.validation else images

    def _source(self, root: Path) -> Source:
        """Return the first complete distribution. Raises `DataError` that tells the user which files to put where."""
        partial = []
        for form in self.forms:
            folder = root / form.folder
            absent = [name for name in form.files if not (folder / name).is_file()]
            if not absent:
                return Source(form=form, path=folder)
            if folder.is_dir():
                partial.append(f"{folder} lacks {', '.join(absent)}")
        for form in self.forms:
            if (root / form.archive).is_file():
                return Source(form=form, path=root / form.archive)
        files = " or ".join(form.archive for form in self.forms)
        folders = " or ".join(f"{form.folder}/" for form in self.forms)
        raise DataError(
            f"{self.name} is missing",
            where=str(root),
            why="; ".join(partial),
            fix=f"ltbench data {self.name} --download, or put {files} from {HOME}cifar.html into {root}, "
            f"packed as it is or unpacked to {folders}; or --data-root FOLDER (or LTBENCH_DATA), which has them",
        )

    def _read(self, source: Source) -> Images:
        import numpy as np

        decoded = {name: source.form.decode(raw) for name, raw in source.read()}

        def joined(names: dict[str, str]) -> tuple[Bytes, npt.NDArray[np.int64]]:
            images, labels = zip(*(decoded[name] for name in names), strict=True)
            return np.concatenate(images), np.concatenate(labels).astype(np.int64)

        train_images, train_labels = joined(source.form.train)
        test_images, test_labels = joined(source.form.test)
        return Images(
            train_images=train_images, train_labels=train_labels, test_images=test_images, test_labels=test_labels
        )

    def _download(self, root: Path, missing: DataError) -> None:
        from ltbench_plugins.datasets._download import NotFetched, fetch

        archive = self.forms[0].archive
        try:
            fetch(HOME + archive, self.archive_md5, root / archive)
        except NotFetched as error:
            raise DataError(
                f"{self.name} is missing and could not be downloaded",
                where=str(root),
                why="; ".join(text for text in (missing.why, str(error)) if text),
                fix=missing.fix,
            ) from error


def _with_validation(images: Images, count: int) -> Images:
    """Return the images with the last `count` training images of each class as validation split, all in their order."""
    import numpy as np

    labels = images.train_labels
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        held[np.flatnonzero(labels == label)[-count:]] = True
    return msgspec.structs.replace(
        images,
        train_images=images.train_images[~held],
        train_labels=labels[~held],
        valid_images=images.train_images[held],
        valid_labels=labels[held],
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class _Unpickler(pickle.Unpickler):
    """Builds arrays only. Moreover, only files with an official digest are unpickled."""

    _ALLOWED: ClassVar = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} does not belong in a batch of images")
        return super().find_class(module, name)


def _unpickle(raw: bytes) -> dict[str, object]:
    """Return the dictionary of a batch that was pickled by Python 2 and an early numpy."""
    with warnings.catch_warnings():
        # numpy 2.4.0 deprecates the pickled dtypes of numpy 1 (`align=0`); the official files will not change.
        warnings.simplefilter("ignore")
        batch = _Unpickler(io.BytesIO(raw), encoding="latin1").load()
    assert isinstance(batch, dict)
    return batch

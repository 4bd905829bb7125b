"""The modules and classes whose functions and constants must stay as they are: see `ltbench.core.patched_functions`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from ltbench.technique import Technique


class _Watched(NamedTuple):
    modules: tuple[str, ...]
    classes: tuple[str, ...]
    """Of modules."""
    packages: tuple[str, ...]
    """With their imported modules, their classes, and base classes elsewhere in torch."""

    def has(self, module: str) -> bool:
        """Return whether a module is in one of the packages."""
        return f"{module}.".startswith(tuple(f"{package}." for package in self.packages)) and not module.startswith(
            _NOT_WATCHED
        )


OF_CALLS = _Watched(
    ("builtins", "math", "random", "time", "numpy", "numpy.random", "numpy.linalg", "torch", "torch.linalg", "torch.special",
     "torch.fft", "torch.random", "torch.autograd", "torch.nn.functional", "torch.nn.init"),
    ("random.Random", "torch.Tensor"),
    ("ltbench.engine", "ltbench.jobs", "ltbench.stages", "torch.nn", "torch.optim", "torch.amp"),
)  # fmt: skip
"""What is compared around the first call of each technique, too: what numbers are computed with."""
OF_JOBS = _Watched(
    ("sys", "statistics", "copy", "itertools", "functools", "collections", "contextlib", "re", "os", "posixpath", "io", "pathlib",
     "shutil", "tempfile", "json", "json.encoder", "json.decoder", "pickle", "struct", "hashlib", "zlib", "gzip", "datetime",
     "threading", "gc", "warnings", "msgspec", "msgspec.json", "msgspec.structs", "safetensors", "safetensors.numpy",
     "safetensors.torch", "numpy.fft", "numpy.lib.format", "scipy.linalg", "scipy.optimize", "scipy.special", "scipy.stats",
     "PIL.Image", "PIL.ImageFile", "PIL.ImageOps", "timm", "timm.models.vision_transformer", "timm.utils.model_ema", "torch.func",
     "torch.cuda", "torch.cuda.random", "torch.distributions", "torch.serialization", "torch.utils.data", "torch.utils.checkpoint"),
    ("pathlib.Path", "pathlib.PurePath", "json.encoder.JSONEncoder", "json.decoder.JSONDecoder", "collections.Counter",
     "collections.OrderedDict", "threading.Thread", "gzip.GzipFile", "PIL.Image.Image", "torch.utils.data.DataLoader"),
    ("ltbench.core", "ltbench.executors", "ltbench.records", "ltbench.store", "ltbench.technique", "torch.backends", "timm.layers"),
)  # fmt: skip
"""What is compared around a job: everything else that it uses, of which there is twice as much."""
_NOT_WATCHED = ("torch.nn.attention", "torch.nn.backends", "torch.nn.intrinsic", "torch.nn.parallel", "torch.nn.qat",
                "torch.nn.quantizable", "torch.nn.quantized")  # fmt: skip
"""Parts of them that trainings do not call, and that would double the cost of the comparison."""
_IMMUTABLE = 1 << 8
"""Py_TPFLAGS_IMMUTABLETYPE of CPython: the attributes of such a class cannot be set."""


def watched(*, of_jobs: bool) -> Iterator[tuple[str, Any, bool]]:
    """Yield the imported modules and classes to watch, by their shortest name; around jobs, or around calls.

    With each, whether its constants are watched, too: not those of techniques, which may count their own calls.
    """
    for name, owner in _of_libraries(OF_JOBS if of_jobs else OF_CALLS):
        # It sets its own when the first tensor is sent to a GPU: generators, and what the GPU can do.
        yield name, owner, name != "torch.cuda"
    if not of_jobs:
        for kind in _techniques():
            yield f"{kind.__module__}.{kind.__qualname__}", kind, False


def _of_libraries(these: _Watched) -> Iterator[tuple[str, Any]]:
    # Those of torch first: its classes and functions are known by its names, also where ltbench has imported them.
    packages = sorted(filter(these.has, sys.modules), key=lambda name: (name.startswith("ltbench."), name))
    names = dict.fromkeys((*these.modules, *these.packages, *packages))
    modules = {name: sys.modules[name] for name in names if name in sys.modules}
    yield from modules.items()
    for path in these.classes:
        name, _, attribute = path.rpartition(".")
        if kind := getattr(modules.get(name), attribute, None):
            yield path, kind
    bases: dict[str, type] = {}
    classes = [
        (name, key, kind)
        for name in filter(these.has, modules)
        for key, kind in list(vars(modules[name]).items())
        if isinstance(kind, type) and these.has(kind.__module__)
    ]
    # By the name of where it is defined, or of a package around that, however many modules have imported it before.
    for name, key, kind in sorted(classes, key=lambda found: not f"{found[2].__module__}.".startswith(f"{found[0]}.")):
        yield f"{name}.{key}", kind
        bases |= {f"{base.__module__}.{base.__qualname__}": base for base in kind.__mro__}
    yield from ((n, base) for n, base in bases.items() if n.startswith("torch.") and not base.__flags__ & _IMMUTABLE)


def _techniques() -> Iterator[type[Technique]]:
    """Yield the classes of techniques that modules have: of other techniques than the one that runs, as well."""
    kinds = list(Technique.__subclasses__())
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind:
            yield kind

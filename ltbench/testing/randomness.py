"""The global random states of python, numpy and torch, which techniques must not use."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


def states() -> dict[str, Any]:
    """Return the state of each global generator; libraries that are not imported are skipped."""
    current: dict[str, Any] = {"python's random": random.getstate()}
    if "numpy" in sys.modules:
        import numpy as np

        current["numpy.random"] = [np.asarray(part).tolist() for part in np.random.get_state()]  # noqa: NPY002
    if "torch" in sys.modules:
        import torch

        current["torch"] = torch.get_rng_state().tolist()
    return current


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed every global generator in the block and restore their states afterwards."""
    import numpy as np

    with ExitStack() as restored:
        restored.callback(random.setstate, random.getstate())
        restored.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        if "torch" in sys.modules:
            import torch

            restored.callback(torch.set_rng_state, torch.get_rng_state())
            # Not torch.manual_seed: where no GPU is in use, it notes a stack trace, which takes a millisecond.
            torch.default_generator.manual_seed(seed)
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.manual_seed_all(seed)
        yield

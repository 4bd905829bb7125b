"""The form in which logits are stored (`ltbench.jobs.prediction_file`)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ltbench.jobs.prediction_file import BELOW, TOP, WHOLE

_LEAST = 2.0**-24
"""The smallest number above 0 of float16."""
_MOST = 65_504.0


def stored_parts(logits: Tensor) -> Mapping[str, Tensor]:
    """Return what is stored of logits float32 [..., C], by the end of its name; of few classes the logits, under an empty one."""
    if logits.shape[-1] <= WHOLE:
        return {"": logits}
    top = logits.amax(-1)
    distance = top[..., None] - logits
    below = distance.clamp(max=_MOST).half()
    # So that no other class ties with the largest one.
    below = torch.where((distance > 0) & (below == 0), torch.tensor(_LEAST, dtype=below.dtype), below)
    return {f".{TOP}": top, f".{BELOW}": below}

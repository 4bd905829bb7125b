"""Strided 1x1 convolutions in a form that is safe on every CPU."""

from __future__ import annotations

from torch import Tensor, nn

UNSAFE = range(2, 8)
"""Input channels for which torch 2.15 writes out of bounds in the backward pass of such a convolution (fp32,
channels_last, CPU), which may crash the worker."""


class StridedPointwise(nn.Conv2d):
    """A strided 1x1 convolution, computed by subsampling pixels first; the results are the same."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        rows, columns = self.stride
        return nn.functional.conv2d(input[..., ::rows, ::columns], self.weight, self.bias)


def with_safe_strides(network: nn.Module) -> nn.Module:
    """Replace unsafe convolutions of a network in place and return it; parameters keep their names."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.in_channels in UNSAFE and _is_strided_pointwise(module):
            module.__class__ = StridedPointwise
    return network


def _is_strided_pointwise(module: nn.Conv2d) -> bool:
    plain = module.groups == 1 and module.padding in {0, (0, 0)}
    return plain and module.kernel_size == (1, 1) and module.stride != (1, 1)

"""The base of models whose backbone may be pretrained, and then frozen."""

from __future__ import annotations

from typing import Annotated, Self

import msgspec

from ltbench import Meta, Model
from ltbench.errors import ParameterError


class Pretrainable(Model, frozen=True):
    """A model with pretrained weights, if they are asked for."""

    pretrained: Annotated[bool, Meta(description="start from pretrained weights")] = False
    frozen: Annotated[
        bool, Meta(description="only the classifier learns, on features that are computed once; needs pretrained")
    ] = False

    def check(self) -> None:
        if self.frozen and not self.pretrained:
            raise ParameterError(
                f"model '{self.name}' is frozen, but its weights are random",
                fix=f"{self.name}[pretrained=true,frozen=true]",
            )

    def without_effect(self) -> tuple[str, ...]:
        return () if self.pretrained else ("frozen",)

    def with_pretrained(self, *, frozen: bool) -> Self:
        return msgspec.structs.replace(self, pretrained=True, frozen=frozen)

    @property
    def is_pretrained(self) -> bool:
        return self.pretrained

    @property
    def is_frozen(self) -> bool:
        return self.frozen

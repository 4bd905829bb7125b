"""The state that torch keeps for a process or thread: see `ltbench.core.process_state`.

Nothing here imports it, because a library that is not imported has no state.
"""
# ruff: noqa: SLF001 - torch has no public names for some of its state

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from ltbench.core.state_part import Part

_FLAGS = {
    "torch.backends": ("fp32_precision",),
    "torch.backends.cudnn": (
        "enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32", "fp32_precision",
    ),
    "torch.backends.cudnn.conv": ("fp32_precision",),
    "torch.backends.cudnn.rnn": ("fp32_precision",),
    "torch.backends.cuda.matmul": (
        "allow_tf32", "allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction",
        "allow_fp16_accumulation", "fp32_precision",
    ),
    "torch.backends.mkldnn": ("enabled", "deterministic", "allow_tf32", "fp32_precision"),
    "torch.backends.mkldnn.conv": ("fp32_precision",),
    "torch.backends.mkldnn.matmul": ("fp32_precision",),
    "torch.backends.mkldnn.rnn": ("fp32_precision",),
    "torch.backends.opt_einsum": ("enabled", "strategy"),
    "torch.backends.quantized": ("engine",),
    "torch.utils.deterministic": ("fill_uninitialized_memory",),
}  # fmt: skip
"""Attributes that are settings, by their object. Attributes that a version of torch lacks are ignored."""
_FUNCTIONS = ("cuda.preferred_linalg_library", "cuda.preferred_blas_library")
"""Functions of `torch.backends` that read without an argument and set with one."""
_SWITCHES = {
    "cuda.enable_flash_sdp": "flash_sdp_enabled",
    "cuda.enable_mem_efficient_sdp": "mem_efficient_sdp_enabled",
    "cuda.enable_math_sdp": "math_sdp_enabled",
    "cuda.enable_cudnn_sdp": "cudnn_sdp_enabled",
    "mha.set_fastpath_enabled": "get_fastpath_enabled",
    "cuda.allow_fp16_bf16_reduction_math_sdp": "fp16_bf16_reduction_math_sdp_allowed",
}
"""Pairs of functions of `torch.backends`: setter and getter."""


@cache
def torch_parts() -> tuple[Part, ...]:
    """Return the parts of torch's state."""
    torch: Any = sys.modules["torch"]
    return (*_settings(torch), *_flags(torch), *_modes(torch), *_hooks(torch), *_generators(torch))


def _settings(torch: Any) -> tuple[Part, ...]:
    return (
        Part(
            name="torch's default dtype",
            get=torch.get_default_dtype,
            put=torch.set_default_dtype,
            first=torch.float32,
        ),
        Part(
            name="torch's default device",
            get=lambda: _default_device(torch),
            put=torch.set_default_device,
            first=None,
        ),
        Part(name="torch's grad mode", get=torch.is_grad_enabled, put=torch.set_grad_enabled, first=True),
        # Only the holder of the object that began it can end it.
        Part(name="torch's inference mode", get=torch.is_inference_mode_enabled, first=False),
        Part(
            name="torch's anomaly mode",
            get=lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
            put=lambda before: torch.autograd.set_detect_anomaly(*before),
            first=(False, True),
        ),
        Part(name="torch's number of threads", get=torch.get_num_threads, put=torch.set_num_threads),
        Part(name="torch's number of threads between operations", get=torch.get_num_interop_threads),
        Part(
            name="torch's deterministic mode",
            get=torch.get_deterministic_debug_mode,
            put=torch.set_deterministic_debug_mode,
            first=0,
        ),
        Part(
            name="torch's precision of matrix products",
            get=torch.get_float32_matmul_precision,
            put=torch.set_float32_matmul_precision,
            first="highest",
        ),
        Part(
            name="whether torch repeats warnings",
            get=torch.is_warn_always_enabled,
            put=torch.set_warn_always,
            first=False,
        ),
        Part(
            name="torch's threads of gradients",
            get=torch._C._is_multithreading_enabled,
            put=torch._C._set_multithreading_enabled,
            first=True,
        ),
        Part(
            name="torch's conversion of modules",
            get=lambda: (
                torch.__future__.get_overwrite_module_params_on_conversion(),
                torch.__future__.get_swap_module_params_on_conversion(),
            ),
            put=lambda before: (
                torch.__future__.set_overwrite_module_params_on_conversion(before[0]),
                torch.__future__.set_swap_module_params_on_conversion(before[1]),
            ),
            first=(False, False),
        ),
        # Torch itself turns it off at the first compile. It only affects argument checks, not numbers.
        Part(
            name="torch's checks of distributions",
            get=lambda: torch.distributions.Distribution._validate_args,
            put=torch.distributions.Distribution.set_default_validate_args,
            compared=False,
        ),
        Part(
            name="how torch shares tensors between processes",
            get=torch.multiprocessing.get_sharing_strategy,
            put=torch.multiprocessing.set_sharing_strategy,
        ),
        Part(
            name="torch's default endianness of files",
            get=torch.serialization.get_default_load_endianness,
            put=torch.serialization.set_default_load_endianness,
        ),
        Part(
            name="torch's printing of",
            get=lambda: dict(vars(sys.modules["torch._tensor_str"].PRINT_OPTS)),
            put=lambda before: vars(sys.modules["torch._tensor_str"].PRINT_OPTS).update(before),
        ),
    )


def _default_device(torch: Any) -> str | None:
    # Not `get_default_device`: setting the default device to its current value leaves a mode behind, too.
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else str(context.device)


def _flags(torch: Any) -> tuple[Part, ...]:
    parts = []
    for path, names in _FLAGS.items():
        owner = torch
        for step in path.split(".")[1:]:
            owner = getattr(owner, step, None)
        for name in names:
            if hasattr(owner, name):
                get, put = partial(getattr, owner, name), partial(setattr, owner, name)
                parts.append(Part(name=f"{path}.{name}", get=get, put=put))
    for path in _FUNCTIONS:
        module, _, name = path.rpartition(".")
        if function := getattr(getattr(torch.backends, module), name, None):
            parts.append(Part(name=f"torch.backends.{path}", get=function, put=function))
    if hasattr(torch._C, "_get_nnpack_enabled"):
        get, put = torch._C._get_nnpack_enabled, torch._C._set_nnpack_enabled
        parts.append(Part(name="torch.backends.nnpack.enabled", get=get, put=put))
    for setter, getter in _SWITCHES.items():
        module, _, name = setter.rpartition(".")
        owner = getattr(torch.backends, module)
        if hasattr(owner, name) and hasattr(owner, getter):
            parts.append(
                Part(name=f"torch.backends.{module}.{getter}", get=getattr(owner, getter), put=getattr(owner, name))
            )
    return tuple(parts)


def _modes(torch: Any) -> tuple[Part, ...]:
    from torch.utils import _python_dispatch

    functions, dispatch = torch.overrides, _python_dispatch
    parts = [
        _stack("torch's modes of functions", functions._get_current_function_mode_stack, functions._pop_mode),
        _stack("torch's modes of dispatch", dispatch._get_current_dispatch_mode_stack, dispatch._pop_mode),
    ]
    parts += [
        Part(
            name=f"torch's autocast on {device}",
            get=partial(_autocast, torch, device),
            put=partial(_put_autocast, torch, device),
        )
        for device in ("cpu", "cuda")
    ]
    cache_name = "torch's cache of autocast"
    get, put = torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled
    parts.append(Part(name=cache_name, get=get, put=put, first=True))
    return tuple(parts)


def _autocast(torch: Any, device: str) -> tuple[bool, Any]:
    return torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)


def _put_autocast(torch: Any, device: str, before: tuple[bool, Any]) -> None:
    torch.set_autocast_enabled(device, before[0])
    torch.set_autocast_dtype(device, before[1])


def _stack(name: str, get: Callable[[], list[Any]], pop: Callable[[], object]) -> Part:
    def put(before: list[Any]) -> None:
        while len(get()) > len(before):
            pop()

    return Part(name=name, get=lambda: list(get()), put=put, first=[], private=True)


def _hooks(torch: Any) -> tuple[Part, ...]:
    """Return the hooks on saved tensors, which older versions of torch do not list, and those on all modules."""
    parts = []
    autograd = torch._C._autograd
    if top := getattr(autograd, "_top_saved_tensors_default_hooks", None):
        parts.append(
            Part(
                name="torch's hooks on saved tensors",
                get=partial(top, True),
                put=lambda before: before is None and autograd._pop_saved_tensors_default_hooks(),
                private=True,
            )
        )
    for module in ("torch.nn.modules.module", "torch.optim.optimizer"):
        owner = sys.modules.get(module)
        for name, value in vars(owner).items() if owner else ():
            if name.startswith("_global_") and isinstance(value, dict):
                parts.append(
                    Part(
                        name=f"the hooks in {module}.{name}",
                        get=partial(dict, value),
                        put=partial(_put_hooks, value),
                        first={},
                    )
                )
    return tuple(parts)


def _put_hooks(hooks: dict[Any, Any], before: Mapping[Any, Any]) -> None:
    hooks.clear()
    hooks.update(before)


def _generators(torch: Any) -> tuple[Part, ...]:
    return (
        Part(name="torch's generator", get=torch.get_rng_state, put=torch.set_rng_state, compared=False),
        Part(
            name="torch's generators of GPUs",
            get=lambda: torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None,
            put=lambda before: before is None or torch.cuda.set_rng_state_all(before),
            compared=False,
        ),
    )

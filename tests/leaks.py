"""What a technique can change in its process, and a plugin whose techniques do so."""

from __future__ import annotations

import importlib

import torch

IMPORTED = (
    "PIL.ImageFile",
    "decimal",
    "multiprocessing",
    "scipy.special",
    "socket",
    "tempfile",
    "timm.layers",
    "ltbench.engine.fit",
    "ltbench.jobs.metrics",
    "ltbench_plugins.losses.focal",
    "safetensors.torch",
    "torch.utils.data",
)
# A library that is imported in between is compared with its defaults, and only if these are known.
for _module in IMPORTED:
    importlib.import_module(_module)

LEAKS = {
    "default dtype": "torch.set_default_dtype(torch.float64)",
    "default device": "torch.set_default_device('cpu')",
    "grad mode": "torch.set_grad_enabled(False)",
    "anomaly mode": "torch.autograd.set_detect_anomaly(True)",
    "number of threads": "torch.set_num_threads(torch.get_num_threads() + 1)",
    "deterministic mode": "torch.set_deterministic_debug_mode('warn' if torch.get_deterministic_debug_mode() == 2 else 'error')",
    "fill_uninitialized_memory": "torch.utils.deterministic.fill_uninitialized_memory ^= True",
    "precision of matrix products": "torch.set_float32_matmul_precision('medium')",
    "cudnn.benchmark": "torch.backends.cudnn.benchmark = True",
    "mkldnn.enabled": "torch.backends.mkldnn.enabled = False",
    "flash_sdp_enabled": "torch.backends.cuda.enable_flash_sdp(False)",
    "autocast on cpu": "torch.set_autocast_enabled('cpu', True)",
    "modes of functions": "from torch.overrides import TorchFunctionMode; TorchFunctionMode().__enter__()",
    "_global_forward_hooks": "torch.nn.modules.module.register_module_forward_hook(lambda *given: None)",
    "_global_optimizer_pre_hooks": "from torch.optim.optimizer import register_optimizer_step_pre_hook as hook; hook(print)",
    "repeats warnings": "torch.set_warn_always(True)",
    "attribute torch.nn.functional.relu": "torch.nn.functional.relu = torch.nn.functional.gelu",
    "attribute torch.Tensor.mean": "torch.Tensor.mean = lambda tensor, *given: tensor.sum()",
    "torch.nn.modules.batchnorm._BatchNorm.forward": "from torch.nn.modules.batchnorm import _BatchNorm as kind; kind.forward = kind.extra_repr",
    "attribute torch.nn.ReLU.forward": "torch.nn.ReLU.forward = lambda module, x: x",
    "attribute torch.nn.Sequential.__call__": "torch.nn.Sequential.__call__ = lambda module, x: x",
    "attribute torch.nn.utils.clip_grad.clip_grad_norm_": "import torch.nn.utils.clip_grad as clip; clip.clip_grad_norm_ = print",
    "attribute torch.nn.modules.conv.F": "torch.nn.modules.conv.F = torch",
    "attribute torch.optim.lr_scheduler.LambdaLR.get_lr": "torch.optim.lr_scheduler.LambdaLR.get_lr = print",
    "attribute torch.optim.sgd.sgd": "import sys; sys.modules['torch.optim.sgd'].sgd = print",
    "attribute torch.optim.Optimizer.zero_grad": "torch.optim.Optimizer.zero_grad = print",
    "cross_entropy.__defaults__": "f = torch.nn.functional.cross_entropy; f.__defaults__ = (*f.__defaults__[:-1], 0.5)",
    "cross_entropy.__code__": "f = torch.nn.functional; f.cross_entropy.__code__ = f.nll_loss.__code__",
    "torch.optim.AdamW.__init__.__kwdefaults__": "torch.optim.AdamW.__init__.__kwdefaults__['maximize'] = True",
    "Loss.of": "from ltbench.stages import Loss; Loss.of = print",
    "ltbench.engine.fit.fit": "import ltbench.engine.fit as module; module.fit = print",
    "ltbench.jobs.metrics.compute_metrics": "import ltbench.jobs.metrics as module; module.compute_metrics = print",
    "Focal.per_sample": "from ltbench_plugins.losses.focal import Focal; Focal.per_sample = print",
    "PIL.ImageFile.LOAD_TRUNCATED_IMAGES": "import PIL.ImageFile; PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True",
    "timm.layers.config._USE_FUSED_ATTN": "import timm.layers; timm.layers.set_fused_attn(False)",
    "at every step of Python": "import sys; sys.setprofile(lambda *given: None)",
    "handler of fatal errors": "import faulthandler as f; (f.disable if f.is_enabled() else f.enable)()",
    "level of all loggers": "import logging; logging.disable(50)",
    "nnpack": "torch.backends.nnpack.set_flags(False)",
    "get_fastpath_enabled": "torch.backends.mha.set_fastpath_enabled(False)",
    "size of buffers": "np.setbufsize(4096)",
    "attribute numpy.mean": "np.mean = lambda *given: 0.0",
    "attribute builtins.sum": "import builtins; builtins.sum = max",
    "floating-point mode": "torch.set_flush_denormal(True)",
    "variable LTBENCH_LEAK": "import os; os.environ['LTBENCH_LEAK'] = '1'",
    "variable PATH": "import os; os.environ.pop('PATH')",
    "working directory": "import os; os.chdir('/')",
    "umask": "import os; os.umask(0o077)",
    "signal SIGTERM": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "blocked signals": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
    "alarm ITIMER_REAL": "import signal; signal.alarm(1000)",
    "warnings filters": "import warnings; warnings.simplefilter('ignore')",
    "handling of the error divide": "np.seterr(divide='ignore')",
    "call on errors": "np.seterrcall(print)",
    "printing of precision": "np.set_printoptions(precision=2)",
    "locale": "import locale; locale.setlocale(locale.LC_ALL, 'C' if 'UTF' in locale.setlocale(locale.LC_ALL) else 'C.UTF-8')",
    "decimal context prec": "import decimal; decimal.getcontext().prec = 5",
    "limits of the interpreter": "import sys; sys.setrecursionlimit(12345)",
    "garbage collector": "import gc; gc.disable()",
    "sys.path": "import sys; sys.path.insert(0, '/nowhere')",
    "meta_path": "import sys; sys.meta_path.reverse()",
    "os.environ": "import os; os.environ = {}",
    "limit RLIMIT_NOFILE": "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (256, r.getrlimit(r.RLIMIT_NOFILE)[1]))",
    "threads of gradients": "torch.autograd.set_multithreading_enabled(False)",
    "conversion of modules": "torch.__future__.set_swap_module_params_on_conversion(True)",
    "printing of linewidth": "torch.set_printoptions(linewidth=20)",
    "attribute json.dumps": "import json; json.dumps = repr",
    "attribute json.encoder.JSONEncoder.encode": "import json; json.JSONEncoder.encode = repr",
    "attribute pickle.loads": "import pickle; pickle.loads = repr",
    "attribute os.replace": "import os; os.replace = print",
    "attribute posixpath.exists": "import os; os.path.exists = lambda path: True",
    "attribute pathlib.Path.read_bytes": "import pathlib; pathlib.Path.read_bytes = lambda path: b''",
    "attribute hashlib.sha256": "import hashlib; hashlib.sha256 = hashlib.sha1",
    "attribute copy.deepcopy": "import copy; copy.deepcopy = lambda value: value",
    "attribute collections.Counter.update": "import collections; collections.Counter.update = print",
    "attribute warnings.showwarning": "import warnings; warnings.showwarning = print",
    "attribute sys.exit": "import sys; sys.exit = print",
    "attribute sys.executable": "import sys; sys.executable = '/bin/false'",
    "attribute msgspec.json.decode": "import msgspec; msgspec.json.decode = repr",
    "attribute safetensors.torch.load": "import safetensors.torch; safetensors.torch.load = repr",
    "attribute scipy.special.logsumexp": "import scipy.special; scipy.special.logsumexp = print",
    "attribute PIL.Image.open": "import PIL.Image; PIL.Image.open = print",
    "attribute PIL.Image.Image.resize": "import PIL.Image; PIL.Image.Image.resize = print",
    "attribute timm.create_model": "import timm; timm.create_model = print",
    "attribute timm.layers.DropPath.forward": "import timm.layers; timm.layers.DropPath.forward = lambda module, x: x",
    "attribute torch.utils.data.DataLoader": "import torch.utils.data; torch.utils.data.DataLoader = print",
    "attribute torch.cuda.is_available": "torch.cuda.is_available = lambda: True",
    "attribute torch.backends.cuda.is_built": "torch.backends.cuda.is_built = lambda: True",
    "attribute torch.float32": "torch.float32 = torch.float64",
    "attribute torch.nn.Module.call_super_init": "torch.nn.Module.call_super_init = True",
    "attribute math.pi": "import math; math.pi = 3.0",
    "attribute numpy.pi": "np.pi = 3.0",
    "attribute ltbench.stages.Loss.stage": "from ltbench.stages import Loss; Loss.stage = 'sampler'",
    "attribute ltbench.stages.Dataset.load": "from ltbench.stages import Dataset; Dataset.load = print",
    "attribute ltbench.store.store.Store.has": "from ltbench.store.store import Store; Store.has = lambda store, key: True",
    "attribute ltbench.core.checksums.digest": "import ltbench.core.checksums as module; module.digest = print",
    "attribute time.altzone": "import os, time; os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()",
    "module json": "import sys, types; sys.modules['json'] = types.ModuleType('json')",
    "module ltbench.engine.fit": "import sys; del sys.modules['ltbench.engine.fit']",
    "variable of C OMP_NUM_THREADS": "import ctypes; ctypes.CDLL(None).setenv(b'OMP_NUM_THREADS', b'77', 1)",
    "variable of C PATH": "import ctypes; ctypes.CDLL(None).unsetenv(b'PATH')",
    "variable of C MKL_NUM_THREADS": "import os; os.putenv('MKL_NUM_THREADS', '7')",
    "signal SIGTSTP": "import signal; signal.signal(signal.SIGTSTP, signal.SIG_IGN)",
    "signal SIGXCPU": "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)",
    "alarm ITIMER_PROF": "import signal; signal.setitimer(signal.ITIMER_PROF, 1000)",
    "limit RLIMIT_STACK": "import resource as r; r.setrlimit(r.RLIMIT_STACK, (1 << 20, r.getrlimit(r.RLIMIT_STACK)[1]))",
    "CPUs that it may use": "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})",
    "calls of the garbage collector": "import gc; gc.callbacks.append(lambda *given: None)",
    "size of the stack of threads": "import threading; threading.stack_size(1 << 20)",
    "decimal context traps": "import decimal; decimal.getcontext().traps[decimal.Inexact] = True",
    "time-out of sockets": "import socket; socket.setdefaulttimeout(3.0)",
    "start method of processes": "import multiprocessing as m; m.set_start_method('spawn', force=True)",
    "temporary folder": "import tempfile; tempfile.tempdir = '/nowhere'",
    "default endianness": "torch.serialization.set_default_load_endianness(torch.serialization.LoadEndianness.BIG)",
    "another rounding": "import ctypes; ctypes.CDLL('libm.so.6').fesetround(0x800)",
    "standard streams": "import io, sys; sys.stderr = io.StringIO()",
}
"""What each leak is called, and the statement that leaks."""
if hasattr(torch._C._autograd, "_top_saved_tensors_default_hooks"):  # older versions do not tell of it
    LEAKS["hooks on saved tensors"] = "torch.autograd.graph.saved_tensors_hooks(abs, abs).__enter__()"
PLUGIN = f'''
"""Leaks of every kind."""
import importlib
from ltbench import Ensemble, Loss, Posthoc, Regime, Sampler, hookimpl

LEAKS = {LEAKS!r}
for module in {IMPORTED!r}:
    importlib.import_module(module)


def leak(what):
    import numpy as np
    import torch

    exec(LEAKS[what], {{"np": np, "torch": torch}})


class Leaky(Loss):
    """Leaks, from its first call or at its 20th. Source: none."""

    name = "leaky"
    what: str = "umask"
    late: bool = False

    def per_sample(self, logits, labels, counts):
        global calls
        calls += 1
        if not self.late or (len(logits) > 2 and calls > 2):
            leak(self.what)
        return -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]


calls = 0


class Seeds(Loss):
    """Seeds every global generator, which is put back. Source: none."""

    name = "seeds"

    def per_sample(self, logits, labels, counts):
        import random
        import numpy
        import torch

        for seed in (random.seed, numpy.random.seed, torch.manual_seed):
            seed(7)
        return -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]


class LeakySampler(Sampler):
    """Leaks as it draws. Source: none."""

    name = "leaky_sampler"

    def epoch(self, pool, labels, counts, batch_size, generator):
        leak("default dtype")
        return pool


class LeakyPosthoc(Posthoc):
    """Leaks after training, in a job without torch. Source: none."""

    name = "leaky_posthoc"
    number: int = -1

    def adjust(self, logits, counts):
        leak(list(LEAKS)[self.number])
        return logits


class LeakyMerge(Ensemble):
    """Leaks as it merges. Source: none."""

    name = "leaky_merge"

    def members(self, counts):
        from ltbench.stages import Member

        return [Member()]

    def merge(self, probabilities):
        leak("variable PATH")
        return probabilities.mean(axis=0)


class Clamps(Loss):
    """Modifies the class counts of everybody. Source: none."""

    name = "clamps"

    def per_sample(self, logits, labels, counts):
        counts.clamp_(max=5)
        return -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]


class Backward(Loss):
    """Leaks as gradients are computed. Source: none."""

    name = "backward"

    def per_sample(self, logits, labels, counts):
        losses = -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
        if losses.requires_grad:
            losses.register_hook(lambda gradient: leak("default dtype"))
        return losses


class Stays(Posthoc):
    """Enters a mode that nobody else can leave. Source: none."""

    name = "stays"

    def adjust(self, logits, counts):
        import torch

        torch.stays = torch.inference_mode()
        torch.stays.__enter__()
        return logits


class LeakyRegime(Regime):
    """Leaks as the plan is made. Source: none."""

    name = "leaky_regime"

    def phases(self):
        from ltbench.stages import Phase

        leak("variable LTBENCH_LEAK")
        return [Phase(until=1.0)]


@hookimpl
def ltbench_regimes():
    return [LeakyRegime]


@hookimpl
def ltbench_losses():
    return [Leaky, Seeds, Clamps, Backward]


@hookimpl
def ltbench_samplers():
    return [LeakySampler]


@hookimpl
def ltbench_posthocs():
    return [LeakyPosthoc, Stays]


@hookimpl
def ltbench_ensembles():
    return [LeakyMerge]
'''

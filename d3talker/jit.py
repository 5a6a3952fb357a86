"""Set-up shared by the CPU kernels: decorators, one thread count, memory kept, one message while a cold cache compiles."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import torch
from numba.core.event import TimingListener, register

# omp shares torch's libgomp, so that both never spin at once; workqueue is what numba always has
_config: Any = numba.config
if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
    _config.THREADING_LAYER_PRIORITY = ["omp", "workqueue", "tbb"]
_threads = torch.get_num_threads()
numba.set_num_threads(min(_threads, _config.NUMBA_NUM_THREADS))
torch.set_num_threads(_threads)  # starting numba's omp threads sets OpenMP's count, and with it torch's, to all cores


def _keep_memory() -> None:
    """Let glibc keep up to 256 MiB of freed memory; an environment that sets malloc's limits itself stays as it is.

    A step's images are a few MiB each: given back to the kernel and faulted in again every step, they cost up to a tenth
    of its time.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if sys.platform == "linux" and not chosen:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        for parameter, limit in ((-1, 256 << 20), (-3, 32 << 20)):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD (at most 32 MiB)
            if mallopt is not None:
                mallopt(parameter, limit)


_keep_memory()

# no nnan/ninf: kernels must not turn a NaN into a number.  reassoc is what lets reductions vectorise
FAST = {"contract", "nsz", "arcp", "reassoc", "afn"}

_njit: Any = numba.njit
SOURCES = (  # what the kernels take code and constants from
    "jit.py", "learning/*ssim*.py", "graphics/render/*.py", "graphics/encoding/*.py", "graphics/volume/*.py", "method/rig/*.py",
)


def _digest(root: Path) -> str:
    """Hash of the kernels' sources in a package."""
    files = sorted(path for pattern in SOURCES for path in root.glob(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


_STAMP = _digest(Path(__file__).parent)


def _cached(**options: Any) -> Callable[[Callable], Any]:
    """numba.njit with a cache that any change of SOURCES empties; numba itself looks at the kernel's own file only."""

    def decorate(function: Callable) -> Any:
        dispatcher = _njit(cache=True, error_model="numpy", fastmath=FAST, **options)(function)
        index: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
        if hasattr(index, "_source_stamp"):
            index._source_stamp = (index._source_stamp, _STAMP)
        return dispatcher

    return decorate


# what Python calls; parallel ones let numba share out their prange loops
kernel: Any = _cached(nogil=True)
parallel_kernel: Any = _cached(parallel=True)
# what only those call, without a wrapper for Python and a cache file of its own.  forceinline: as a function apart it would be
# compiled twice, differently, and which of the two the linker takes depended on whether the kernel came from the cache
inner: Any = _njit(error_model="numpy", fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)

_clock = TimingListener()
register("numba:compile", _clock)
_elsewhere = 0.0


def compiled_seconds() -> float:
    """Seconds spent compiling in this process: by numba, and by others that `add_compiled` was told of."""
    return (_clock.duration if _clock.done else 0.0) + _elsewhere


def add_compiled(seconds: float) -> None:
    """Count seconds of another compiler."""
    global _elsewhere
    _elsewhere += seconds


_compiled: set[str] = set()
_PATIENCE = 2.5  # s; a warm cache loads in under this


@contextmanager
def compiling(what: str) -> Iterator[None]:
    """Around the first use of a group of kernels: say so on stderr if numba has to compile them."""
    if what in _compiled:
        yield
        return
    text = f"d3talker: compiling the {what} kernels for this CPU (once; about 15 s, kept in numba's cache) ..."
    timer = threading.Timer(_PATIENCE, lambda: print(text, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    _compiled.add(what)

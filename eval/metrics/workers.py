"""Frames side by side: as many threads as torch may use, each of which keeps to one core."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import Any

import torch


def spread(function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
    """What `map` gives, as a list; for functions that let go of the interpreter, as torch and the kernels do.

    Threads that each work on their own frames never wait for one another, unlike those that share one convolution.
    """
    return list(_pool(torch.get_num_threads()).map(function, *arguments))


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    together = Barrier(count)
    list(pool.map(lambda _: together.wait(), range(count)))  # starts every thread now
    torch.set_num_threads(count)  # the threads have set the default for new threads, too
    return pool

"""Where networks run: which device, on how many threads."""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache

import torch

from engine.errors import EngineError
from engine.reproducible import usable_cores

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def use_device(name: str, threads: int = 0) -> torch.device:
    """'auto', 'cpu' or 'cuda' -> device, with the CPU's threads set; EngineError where there is no such device.

    Of `threads` 0 there are as many as OMP_NUM_THREADS says, else one for each core that may be used.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(
            f"device '{name}': expected auto, cpu or cuda, found: {str(error).splitlines()[0]}"
        ) from error
    said = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(threads or (int(said) if said.isdecimal() else 0) or usable_cores())
    if device.type == "cpu":
        keep_freed_memory()
    return device


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks: returning each to the system makes big tensors 3 to 10 times slower."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library: it is only a matter of speed
        return
    for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20)):
        mallopt(option, value)

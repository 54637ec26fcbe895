"""How many processor cores this process may use."""

import math
import os
from pathlib import Path

__all__ = ["available_cores"]

_CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def available_cores(cpu_max: Path = _CGROUP_CPU_MAX) -> int:
    """Cores by affinity, limited by the container's quota (cgroup v2); at least 1.

    A container limited to two cores still sees all of its host's; threads for all of them would be
    throttled together.

    Args:
        cpu_max: the kernel's file ``<quota µs or max> <period µs>``; need not exist.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cpu_max.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))

"""Demands from the processor load of provisioned instances, which public traces and tools are about."""

import numpy as np
import numpy.typing as npt

from aurora_ops.capacity.demand import Demand


def of_cpu(cpu_percent: npt.ArrayLike, vcpus: float, vcpu_per_acu: float, seconds: float) -> Demand:
    """Half of 4 processors at 0.25 vCPU an ACU are 8 ACU: the relation by which `sources.load` reads a profile."""
    return Demand(np.asarray(cpu_percent, dtype=np.float64) / 100 * vcpus / vcpu_per_acu, seconds)

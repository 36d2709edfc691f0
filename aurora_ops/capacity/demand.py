"""What a load would use if it could: a series of ACU, equally spaced, from which capacity is simulated.

A measured capacity is a demand only inside its range: at the floor the load wanted less, at the ceiling perhaps more. A
processor load is one only through a relation of ACU and vCPU that AWS does not publish; public tools differ four times, so
it is a parameter without a default.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurora_ops.capacity.acu import VCPU_PER_ACU_BOUNDS
from aurora_ops.capacity.rules import DemandError, check_seconds

SEED = 20261124

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Demand:
    """`acu`, shape (samples,), each for `seconds`; `connected`, same shape, whether any user connection was open.

    An instance can pause only while none is. Where connections are not known, a sample of 0 ACU counts as without any.

    Raises
    ------
    DemandError
        Empty, negative, not a number, of another shape, or spans of no length. A gap is not a demand of 0: fill or cut it
        before (`history`).
    """

    acu: Floats
    seconds: float
    connected: Flags

    def __init__(self, acu: npt.ArrayLike, seconds: float, connected: npt.ArrayLike | None = None) -> None:
        values = np.ascontiguousarray(acu, dtype=np.float64)
        check_seconds(seconds)
        if values.ndim != 1 or not values.size:
            raise DemandError("acu has no samples, which is not the same as no load: give one value per span.")
        wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if wrong.size:
            raise DemandError(
                f"acu[{wrong[0]}]={values[wrong[0]]}: a demand is 0 ACU or more, and {wrong.size} of {values.size} samples "
                "are not; correct the series, fill its gaps or cut them out before it is simulated."
            )
        flags = values > 0 if connected is None else np.ascontiguousarray(connected, dtype=np.bool_)
        if flags.shape != values.shape:
            raise DemandError(f"connected has shape {flags.shape} and acu {values.shape}: give one flag per sample.")
        object.__setattr__(self, "acu", values)
        object.__setattr__(self, "seconds", float(seconds))
        object.__setattr__(self, "connected", flags)

    @property
    def hours(self) -> float:
        """Length of the whole series."""
        return self.acu.size * self.seconds / 3600

    def days(self, numbers: Sequence[int]) -> "Demand":
        """The days of these numbers one after the other; a day is 86,400 s from the first sample.

        >>> Demand([1, 2, 3, 4], seconds=43_200).days([1, 1, 0]).acu.tolist()
        [3.0, 4.0, 3.0, 4.0, 1.0, 2.0]
        """
        per_day = 86_400 / self.seconds
        if per_day != int(per_day) or self.acu.size < per_day:
            raise DemandError(
                f"seconds={self.seconds:g} with {self.acu.size} samples makes no whole day of 86,400 s: "
                "resample to a divisor of a day, and give at least one."
            )
        index = (np.asarray(numbers)[:, None] * int(per_day) + np.arange(int(per_day))).ravel()
        return Demand(self.acu[index], self.seconds, self.connected[index])


def check_relation(vcpus: float, vcpu_per_acu: float) -> None:
    """Refuse processors that are none, and a relation that no public tool takes."""
    low, high = VCPU_PER_ACU_BOUNDS
    if not low <= vcpu_per_acu <= high or not vcpus > 0:
        raise DemandError(
            f"vcpu_per_acu={vcpu_per_acu} with vcpus={vcpus}: AWS does not publish how many vCPU an ACU has, and public "
            f"tools take {low} to {high}; use a value in between, better both ends."
        )


def varied(load: Demand, most_acu: float, seed: int = SEED) -> Demand:
    """The same load with days and minutes that differ at random: **assumed**, so that a profile has peaks and no two days alike.

    Days differ by 15 %, samples by 35 % (log-normal), and a sample is like those before it: after five of them half is
    forgotten. The mean stays, the hours without any work stay empty, and `most_acu` is never passed. The same seed
    gives the same load.

    >>> varied(Demand([2.0] * 4 + [0.0], seconds=21_600), most_acu=16).acu.round(2).tolist()
    [2.41, 1.87, 2.11, 1.61, 0.0]
    """
    random, samples = np.random.default_rng(seed), load.acu.size
    day = (np.arange(samples) * load.seconds // 86_400).astype(int)
    kernel = 0.87 ** np.arange(48)
    noise = np.convolve(random.standard_normal(samples + kernel.size), kernel / np.sqrt((kernel**2).sum()), "valid")
    spread = 0.15 * random.standard_normal(day[-1] + 1)[day] + 0.35 * noise[:samples]
    drawn = load.acu * np.exp(spread)
    if drawn.any():
        drawn *= load.acu.mean() / drawn.mean()
    return Demand(np.minimum(drawn, most_acu), load.seconds, load.connected)

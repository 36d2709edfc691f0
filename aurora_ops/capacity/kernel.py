"""The rules of `rules` for many ranges at once: the inner loop runs over ranges, so that the processor works on several.

Compiled by numba without fast-math, so every result equals the plain loop's, bit by bit (a test compares). One file with no
import from the package: numba's cache on disk only looks at this file's date.
"""

from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Rows of the sums, shape (rows, ranges).
HALF_STEPS, THROTTLED, COLD = range(SUMS := 3)


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Kept on disk, beside this file or in the user's cache; compiled anew by each process where neither can be written, as in containers."""
    try:
        kept: Callable[..., None] = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba: "no locator available"
        kept = numba.njit(nogil=True)(function)
    return kept


@_compiled
def run(
    need_acu: Floats,  # (samples,) half steps that the demand needs
    keep_acu: Floats,  # (samples,) what a tick in this sample may not free, or -1 where there is none
    paused: Flags,  # (samples,) whether ranges of this call sleep
    seconds: float,  # of a sample
    rules: tuple[float, ...],  # small speed, small below, speed, lead, warming, 1 / measured to, instant to, instant by
    lowest_acu: Floats,  # (half steps,) lowest capacity after one tick
    ranges: Floats,  # (3, ranges) floor, ceiling and rest
    state: Floats,  # (2, ranges) in and out: capacity that is reached, and how much of its buffer pool is warm
    sums: Floats,  # (3, ranges) in and out: half steps, and numbers of samples
    every: int,  # samples between two rows of half_steps
    half_steps: Floats,  # (samples / every, ranges) running sum of half steps
) -> None:  # fmt: skip
    """Walk through the samples; nothing is returned, `state`, `sums` and `half_steps` are written."""
    small_speed, small_below, speed, lead, warming, per_measured, instant_to, instant_by = rules
    small_free, ratio, free_speed = small_speed * seconds, speed / small_speed, speed * seconds
    floor, ceiling, rest = ranges[0], ranges[1], ranges[2]
    reached, warm = state[0], state[1]
    halves, throttled, cold = sums[0], sums[1], sums[2]
    many = floor.size
    for sample in range(need_acu.size):
        need, keep = need_acu[sample], keep_acu[sample]
        if paused[sample]:
            for j in range(many):
                reached[j], warm[j] = floor[j], floor[j]
        else:
            if keep >= 0:
                for j in range(many):
                    kept = max(rest[j], min(max(keep, floor[j]), ceiling[j]))
                    after = min(reached[j], max(kept, lowest_acu[int(reached[j] * 2.0 + 1e-9)]))
                    reached[j], warm[j] = after, min(warm[j], after)
            for j in range(many):
                target = min(max(need, floor[j]), ceiling[j])
                before, was_warm = reached[j], warm[j]
                scale = max(1.0, before * per_measured)
                free = before + small_free
                if before >= small_below:
                    free = before + free_speed * scale
                elif free > small_below:
                    free = small_below + (free - small_below) * ratio
                warmed = was_warm + warming * scale * seconds
                led = max(before, warmed + lead * scale)
                after = max(before, min(min(target, free), led))
                ahead = warmed + instant_by if instant_by > 0 else 0.0
                after = max(after, min(target, max(instant_to, ahead)))
                now_warm = min(after, max(was_warm, min(target, warmed)))
                reached[j], warm[j] = after, now_warm
                half = np.floor(after * 2.0 + 1e-9)
                halves[j] += half
                throttled[j] += 1.0 if need * 2.0 > half else 0.0
                cold[j] += 1.0 if now_warm < target else 0.0
        if (sample + 1) % every == 0:
            for j in range(many):
                half_steps[(sample + 1) // every - 1, j] = halves[j]

"""What is looked for in the curve of an output: where it is 1/2, where its variance peaks, and where it carries most
information on the temperature.

The information on beta in an output f, by its mean alone, is I_f = (d<f>/dbeta)^2 / var f at fixed beta: whoever reads
beta off the mean of n independent draws errs by 1 / sqrt(n I_f). As d<f>/dbeta = -cov(f, E), Schwarz gives
I_f <= var E, with equality for the energy and all that is linear in it, and I_f is the same for all a f + b.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis import crossing
from hpcrg.analysis.reweight import Curves
from hpcrg.errors import InputError

Array = NDArray[np.float64]
Finder = Callable[[Curves, str, int], tuple[Array, Array]]
"""From curves, the name of one and the size: an inverse temperature and a number there, each [row]."""
TINY = 1e-300
HEAT = "variance of the energy"


def half_crossing(curves: Curves, name: str, size: int) -> tuple[Array, Array]:
    """beta and dP/dbeta where P = 1/2 [row]. Raises InputError when P does not pass 1/2 inside the range."""
    y = curves.values[name]
    change = np.flatnonzero((y[0, :-1] < 0.5) & (y[0, 1:] >= 0.5))
    if not len(change):
        raise InputError(
            f"L = {size}: expected a mean output that passes 1/2 between T = {1 / curves.beta[-1]:.5g} and "
            f"{1 / curves.beta[0]:.5g}, found {y[0].min():.3f} to {y[0].max():.3f}"
        )
    rows = np.arange(len(y))
    beta = np.full(len(y), curves.beta[change[len(change) // 2]])
    for _ in range(crossing.ITERATIONS):
        value, slope = crossing.hermite(curves, name, rows, beta)
        beta = np.clip(beta - (value - 0.5) / slope, curves.beta[0], curves.beta[-1])
    return beta, crossing.hermite(curves, name, rows, beta)[1]


def squared(name: str) -> str:
    """Under which curves hold the mean square of an output."""
    return f"{name} squared"


def variance_peak(curves: Curves, name: str, size: int) -> tuple[Array, Array]:
    """beta at the maximum of the variance of an output over draws, and one over the width in beta at half of its height
    [row]. Raises InputError when the maximum, or where it has fallen to half, is outside the range."""
    variance = curves.values[squared(name)] - curves.values[name] ** 2
    beta, inverse = np.empty(len(variance)), np.empty(len(variance))
    step = curves.beta[1] - curves.beta[0]
    for row, y in enumerate(variance):
        top = int(np.argmax(y))
        low = np.flatnonzero(y[:top] < 0.5 * y[top])
        high = np.flatnonzero(y[top:] < 0.5 * y[top])
        if not len(low) or not len(high):
            raise InputError(
                f"L = {size}: expected a peak of the variance whose upper half lies between T = "
                f"{1 / curves.beta[-1]:.5g} and {1 / curves.beta[0]:.5g}, found its maximum at "
                f"{1 / curves.beta[top]:.5g}"
            )
        left, right = int(low[-1]), top + int(high[0])
        half = 0.5 * y[top]
        first = left + (half - y[left]) / (y[left + 1] - y[left])
        last = right - (half - y[right]) / (y[right - 1] - y[right])
        beta[row], _ = parabola(curves.beta[top], step, y[top - 1 : top + 2])
        inverse[row] = 1.0 / (step * (last - first))
    return beta, inverse


def seed_crossing(curves: Curves, name: str, size: int) -> tuple[Array, Array]:
    """As `half_crossing`; a network that never passes 1/2 in the range counts as doing so at the nearer end, so
    that it widens the spread over seeds instead of hiding."""
    try:
        return half_crossing(curves, name, size)
    except InputError:
        end = int(np.argmin(np.abs(curves.values[name][0, [0, -1]] - 0.5))) * (len(curves.beta) - 1)
        return curves.beta[[end]], curves.slopes[name][:1, end]


def information(curves: Curves, name: str) -> Array:
    """The information on beta in an output, or in the energy (HEAT), [row, beta]."""
    if name == HEAT:
        return curves.values[HEAT]
    variance = curves.values[squared(name)] - curves.values[name] ** 2
    found: Array = curves.slopes[name] ** 2 / np.maximum(variance, TINY)
    return found


def information_peak(curves: Curves, name: str, size: int) -> tuple[Array, Array]:
    """beta at the maximum of the information on beta in an output, and the maximum [row]. Raises InputError when it
    lies at an end of the range."""
    found = information(curves, name)
    beta, height = np.empty(len(found)), np.empty(len(found))
    step = curves.beta[1] - curves.beta[0]
    for row, y in enumerate(found):
        top = int(np.argmax(y))
        if top in (0, len(y) - 1):
            raise InputError(
                f"L = {size}: expected most information on the temperature between T = {1 / curves.beta[-1]:.5g} and "
                f"{1 / curves.beta[0]:.5g}, found it at {1 / curves.beta[top]:.5g}"
            )
        beta[row], height[row] = parabola(curves.beta[top], step, y[top - 1 : top + 2])
    return beta, height


def parabola(middle: float, step: float, y: Array) -> tuple[float, float]:
    """The top of the parabola through three values `y` at `middle` - step, `middle` and `middle` + step."""
    curvature = min(float(y[2] - 2 * y[1] + y[0]), -TINY)
    shift = 0.5 * float(y[0] - y[2]) / curvature
    return middle + step * shift, float(y[1]) - 0.5 * curvature * shift**2

"""What the report shows of a Monte Carlo renormalisation: exponents by level and by operators, spectra,
failures.

A result fails, and the report must say so, when it is more than 3 of its errors from the reference, or when
its levels do not converge: the last change is significant (3 sigma) and is either significantly larger than
the change before it or more than 5 % of the value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis.swendsen import Exponents
from hpcrg.estimate import Estimate, Reference, format_error
from hpcrg.figures import Curve, Figure, Mark, Note, Table

SIGNIFICANT = 3.0
LARGE_CHANGE = 0.05
NAMES = {"y_t": "thermal eigenvalue exponent y_t", "y_h": "magnetic eigenvalue exponent y_h"}


def notes(title: str, quantity: str, found: Exponents, estimate: Estimate | None) -> Iterator[Note]:
    """What a reader must be told about one exponent; `title` names the flow and the bank."""
    if estimate is None:
        why = "Swendsen's matrix has no real positive leading eigenvalue at the last level"
        yield Note("failure", f"{title}: no {quantity}: {why}")
        return
    if len(found.value) == 1:
        yield Note("warning", f"{title}: {quantity} comes from one level; its systematic error is not known")
    yield from _disagreement(title, quantity, estimate)
    yield from _divergence(title, quantity, found)


def _disagreement(title: str, quantity: str, estimate: Estimate) -> Iterator[Note]:
    reference, pull = estimate.reference, estimate.pull
    if reference is not None and pull is not None and abs(pull) > SIGNIFICANT:
        found = f"{title}: {quantity} = {estimate} is {abs(pull):.1f} of its errors"
        known = f"{reference.value:.6g} ({reference.source})"
        yield Note("failure", f"{found} from {known}: this flow does not reach that fixed point")


def _divergence(title: str, quantity: str, found: Exponents) -> Iterator[Note]:
    last = len(found.value) - 1
    if last < 1:
        return
    change, error = found.change(last)
    before, error_before = found.change(last - 1) if last > 1 else (math.inf, 0.0)
    grows = abs(change) - abs(before) > SIGNIFICANT * math.hypot(error, error_before)
    large = abs(change) > LARGE_CHANGE * abs(float(found.value[last, -1]))
    if abs(change) > SIGNIFICANT * error and (grows or large):
        text = f", after {format_error(before, error_before)} at the level before" if grows else ""
        yield Note("failure", f"{title}: the levels do not converge: {quantity} changes by "
                              f"{format_error(change, error)} at the last level{text}")  # fmt: skip


def figures(
    title: str, key: str, quantity: str, steps: Sequence[str], found: Exponents, reference: Reference | None
) -> list[Figure]:
    """An exponent by level and by number of operators, and the eigenvalues behind it. `steps` names the
    levels, such as 64 -> 32; `key` makes the figures' names distinct."""
    levels, operators = found.value.shape
    mark = Mark(f"{quantity} = {reference.value:.6g}", y=reference.value) if reference else None
    xlevel = "block-spin step"
    by_level = [
        _curve(f"{n + 1} operator{'s' if n else ''}", range(1, levels + 1), found.value[:, n], found.error[:, n])
        for n in range(operators)
    ]
    by_operators = [
        _curve(step, range(1, operators + 1), found.value[level], found.error[level])
        for level, step in enumerate(steps)
    ]
    spectrum = [
        _curve(f"eigenvalue {i + 1}", range(1, levels + 1), found.spectrum[:, i], None) for i in range(operators)
    ]
    name = NAMES[quantity]
    return [
        Figure(f"{key}-{quantity}-level", f"{title}: {quantity} by level", xlevel, name, by_level,
               f"Levels: {', '.join(steps)}. A good scheme settles within its errors.", reference=mark),
        Figure(f"{key}-{quantity}-operators", f"{title}: {quantity} by number of operators", "operators kept",
               name, by_operators, "Enough operators are kept when the last ones change nothing.",
               reference=mark),
        Figure(f"{key}-{quantity}-eigenvalues", f"{title}: eigenvalues behind {quantity}", xlevel,
               "modulus of eigenvalue", spectrum, "All operators kept. Eigenvalues above 1 are relevant.",
               yscale="log", reference=Mark("marginal", y=1.0)),
    ]  # fmt: skip


def table(title: str, quantity: str, steps: Sequence[str], names: Sequence[str], found: Exponents) -> Table:
    """The exponent by level (rows) and with the operators up to each column."""
    rows = [
        [step, *(format_error(float(v), float(e)) for v, e in zip(values, errors, strict=True))]
        for step, values, errors in zip(steps, found.value, found.error, strict=True)
    ]
    columns = [names[0], *(f"+ {name}" for name in names[1:])]
    return Table(f"{title}: {quantity}, statistical errors", ["step", *columns], rows)


def _curve(label: str, x: range, y: NDArray[np.float64], error: NDArray[np.float64] | None) -> Curve:
    shown = np.isfinite(y)
    if error is not None:
        shown &= np.isfinite(error)
    xs = [float(v) for v, s in zip(x, shown, strict=True) if s]
    return Curve(label, xs, y[shown].tolist(), None if error is None else error[shown].tolist())

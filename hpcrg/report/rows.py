"""What the page's tables say: verdicts on estimates, and differences between methods with their joint errors."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hpcrg.estimate import Estimate, difference, format_error
from hpcrg.figures import FigureData, Note

TENSION, SIGNIFICANT = 2.0, 3.0
"""A pull of this many total errors, or more, is a tension, and a disagreement."""
MEANING = {
    "T_c": "critical temperature (J/k_B)",
    "nu": "exponent of the correlation length",
    "y_t": "thermal eigenvalue exponent, 1/nu",
    "y_h": "magnetic eigenvalue exponent, d - beta/nu",
    "beta/nu": "exponent of the order parameter over nu",
    "gamma/nu": "exponent of the susceptibility over nu",
    "e_c": "energy per site at the critical temperature",
    "e(T_c)": "energy per site at the critical temperature that is known: a check of the sampling",
    "p_c": "percolation threshold",
    "D_f": "fractal dimension of the largest cluster",
    "latent heat": "latent heat per site, J = 1",
    "2 sigma": "twice the interface tension of ordered and disordered phase, over k_B T",
    "entropy per site": "ln of the number of dimer coverings per site",
    "monomer exponent": "decay of the correlation of two monomers with distance",
    "dimer exponent": "decay of the correlation of two dimers with distance",
}
"""What the well-known quantities are; also the order in which they stand on the page."""


@dataclass(frozen=True)
class Analysis:
    """The estimates of one file with the figure data of the same stem; `name` is the file's place in the results.

    `beside` are the notes of figure data in the same directory that have no estimates of their own: what a training
    says of itself concerns what is made of its outputs.
    """

    name: str
    estimates: list[Estimate]
    data: FigureData
    beside: tuple[Note, ...] = ()

    def failure_of(self, estimate: Estimate) -> str | None:
        """The failure that this analysis reports about the estimate's quantity or method, if any.

        A failure that names no quantity and no method of this analysis concerns all of them.
        """
        failures = [n.text for n in (*self.data.notes, *self.beside) if n.level == "failure"]
        return next((text for text in failures if self._concerns(text, estimate)), None)

    def _concerns(self, text: str, estimate: Estimate) -> bool:
        quantities = {e.quantity for e in self.estimates if _names(text, e.quantity)}
        methods = {e.method for e in self.estimates if _names(text, e.method)}
        return estimate.quantity in (quantities or {estimate.quantity}) and estimate.method in (
            methods or {estimate.method}
        )


@dataclass(frozen=True)
class Row:
    """One estimate as text. `kind` is agrees, tension, disagrees, fails or alone (nothing to compare with)."""

    estimate: Estimate
    analysis: str
    statistical: str
    systematic: str
    reference: str
    source: str
    pull: str
    verdict: str
    kind: str
    failure: str = ""


@dataclass(frozen=True)
class Difference:
    """Two methods on one quantity. `joint` is the joint jackknife error, `naive` that of adding in quadrature."""

    quantity: str
    first: str
    second: str
    difference: str
    joint: str
    naive: str
    systematic: str
    draws: str
    pull: str
    verdict: str
    kind: str


def ordered(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The best-known quantities first, then by name; methods in the order given."""
    rank = {q: i for i, q in enumerate(MEANING)}
    return sorted(estimates, key=lambda e: (rank.get(e.quantity, len(rank)), e.quantity))


def row(estimate: Estimate, analysis: Analysis) -> Row:
    """One line of the table of estimates."""
    pull = estimate.pull if estimate.error > 0 else None
    kind, verdict = _verdict(pull)
    if not estimate.error > 0:
        kind, verdict = "fails", "has no error bar"
    failure = analysis.failure_of(estimate)
    if failure is not None:
        kind, verdict = ("disagrees", "DISAGREES, method fails") if kind == "disagrees" else ("fails", "METHOD FAILS")
    reference = estimate.reference
    return Row(
        estimate, analysis.name, f"{estimate.statistical:.2g}",
        ", ".join(f"{name} {part:.2g}" for name, part in estimate.systematic.items() if part > 0) or "none",
        _value(reference.value, reference.error) if reference else "none known",
        reference.source if reference else "", "" if pull is None else _signed(pull), verdict, kind, failure or "",
    )  # fmt: skip


def differences(estimates: Sequence[Estimate]) -> list[Difference]:
    """Every pair of methods for one quantity of one model that read some of the same ensembles."""
    pairs = [(a, b) for a, b in itertools.combinations(estimates, 2) if a.replicas.keys() & b.replicas.keys()]
    return [_difference(a, b) for a, b in pairs if (a.quantity, a.model) == (b.quantity, b.model)]


def _difference(a: Estimate, b: Estimate) -> Difference:
    shared = set(a.replicas) & set(b.replicas)
    systematic = math.hypot(*a.systematic.values(), *b.systematic.values())
    names = (a.quantity, a.method, b.method, f"{a.value - b.value:+.2g}")
    naive = math.hypot(a.statistical, b.statistical)
    draws = "the same" if shared == set(a.replicas) | set(b.replicas) else "in part"
    try:
        value, joint = difference(a, b)
    except ValueError:  # unequal blocks of a shared bank leave no joint replicas
        return Difference(
            *names, "blocks differ", f"{naive:.2g}", f"{systematic:.2g}", draws, "", "cannot say", "alone"
        )
    total = math.hypot(joint, systematic)
    pull = value / total if total > 0 else None
    kind, verdict = _verdict(pull)
    shown = "" if pull is None else _signed(pull)
    return Difference(*names, f"{joint:.2g}", f"{naive:.2g}", f"{systematic:.2g}", draws, shown, verdict, kind)


def _verdict(pull: float | None) -> tuple[str, str]:
    if pull is None:
        return "alone", "nothing to compare with"
    if not abs(pull) < SIGNIFICANT:  # NaN too
        return "disagrees", "DISAGREES"
    return ("agrees", "agrees") if abs(pull) < TENSION else ("tension", "tension")


def _names(text: str, name: str) -> bool:
    """Whether a text names a quantity, or a method: `fss/crossing`, or both of its words ("MCRG decimation")."""
    words = [name] if "/" not in name else name.split("/")
    return all(re.search(rf"(?<![\w/]){re.escape(w)}(?![\w/])", text, re.IGNORECASE) for w in words) or bool(
        re.search(rf"(?<![\w/]){re.escape(name)}(?![\w/])", text)
    )


def _signed(pull: float) -> str:
    return f"{pull:+.1f}".replace("-", "\N{MINUS SIGN}")


def _value(value: float, error: float) -> str:
    return format_error(value, error) if error > 0 else f"{value:.8g}"

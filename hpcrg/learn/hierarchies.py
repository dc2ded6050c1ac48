"""Hierarchical Bayesian networks on banks: learned from some chains of a ring, tested on the others, beside trees.

Every fold of chains is tested by the network of the best of some starts, learned from the chains outside it. -ln p of
the test draws per site is an estimate of the entropy plus the divergence of what was learned: no distribution is below
the entropy, the network can reach it (hierarchy.insertion), and a tree cannot. Less -ln p of the same draws under the
true distribution, beta E + ln Z, it is the divergence without the noise that both share. The couplings of the levels
are those of Ising rings with the same mean product of neighbours; decimation has tanh K' = tanh^2 K, which a network
need not follow, since what its hidden levels mean is for it to choose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from torch import Tensor

from hpcrg.bank import open_bank
from hpcrg.ensemble import Ensemble
from hpcrg.errors import InputError, Interrupted, expected
from hpcrg.estimate import Estimate, Reference, format_error
from hpcrg.exact_energy import thermal
from hpcrg.figures import Curve, Figure, FigureData, Note, Table
from hpcrg.learn import data
from hpcrg.learn.hierarchy import Hierarchy, fit, log_loss, random_hierarchy, window_loss
from hpcrg.learning_specs import HierarchySpec
from hpcrg.rng import Purpose, id_words, stream

BELOW = 3.0
"""Standard errors below the entropy at which a likelihood is refused."""
NETWORK, TREE = "network", "tree"
Values = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Tested:
    """One kind of network: -ln p per site of every chain by the fold that held it out, and, by fold, what was left of
    the loss over that of the training data themselves, and the couplings of the levels, the coarsest first."""

    loss: Values
    left: Values
    couplings: Values


def run(
    source: data.Source, name: str, spec: HierarchySpec, seed: int, stop: Callable[[], bool],
    report: Callable[[float, str], None],
) -> tuple[list[Estimate], FigureData]:  # fmt: skip
    """Learn and test on one bank. Raises InputError for a bank with a ring that does not halve so often, Interrupted
    when asked to stop."""
    sites = source.ensemble.size
    if sites % 2**spec.levels or sites == 2**spec.levels:
        wanted = f"a ring that {2**spec.levels} divides and that leaves 2 spins or more"
        raise InputError(expected(f"hierarchy {name}: {source.ensemble.label}: spins", wanted, sites))
    counts = _counts(source)
    kinds, folds = (NETWORK, TREE), min(spec.folds, len(counts))
    tested: dict[str, Tested] = {}
    for i, kind in enumerate(kinds):
        loss, left, couplings = np.zeros(len(counts)), np.zeros(folds), np.zeros((folds, spec.levels + 1))
        for fold in range(folds):
            held = np.arange(len(counts)) % folds == fold
            if stop():
                raise Interrupted(f"hierarchy {name}: stopped; nothing of it is kept, it takes minutes")
            report((i * folds + fold) / (len(kinds) * folds), f"{kind}, fold {fold + 1} of {folds}")
            address = (*id_words(source.ensemble.id), i, fold)
            network, left[fold] = _learned(spec, sites, counts[~held].sum(axis=0), kind == TREE, seed, address)
            log_p = np.log(network.distribution().detach().numpy().ravel())
            for chain in np.flatnonzero(held):
                drawn = counts[chain] > 0
                loss[chain] = -float(counts[chain, drawn] @ log_p[drawn]) / counts[chain].sum() / sites
            couplings[fold] = [coupling(network.distribution(k).detach().numpy()) for k in range(spec.levels + 1)]
        tested[kind] = Tested(loss, left, couplings)
    return _told(source, name, spec, tested)


def _counts(source: data.Source) -> Counts:
    """How often each configuration is drawn [chain, 2^sites]; site 0 is the highest bit, bit 1 is spin +1."""
    e = source.ensemble
    place = 1 << np.arange(e.size - 1, -1, -1)
    out = np.zeros((e.chains, 1 << e.size), dtype=np.int64)
    for chain in range(e.chains):
        for codes in data.read(source, data.runs(source, [chain], [0])):
            out[chain] += np.bincount(codes.astype(np.int64) @ place, minlength=1 << e.size)
    return out


def _learned(
    spec: HierarchySpec, sites: int, counts: Counts, tree: bool, seed: int, address: Sequence[int]
) -> tuple[Hierarchy, float]:
    """The best of the starts, and its loss less that of the training data themselves, in nats: per site of whole
    configurations, or a window."""
    p = torch.from_numpy(counts / counts.sum()).reshape((2,) * sites)
    generator = torch.Generator().manual_seed(int(stream(seed, Purpose.HIERARCHY, *address)[0] >> 1))
    best: tuple[float, Hierarchy] | None = None
    for _ in range(spec.starts):
        network = random_hierarchy(sites >> spec.levels, spec.levels, tree, generator)
        if spec.window == "whole":
            loss, least = fit(network, log_loss, p, spec.iterations), _entropy(p) / sites
        else:
            target = windows(p, spec.window)
            loss, least = fit(network, window_loss, [target] * sites, spec.iterations), _entropy(target)
        if best is None or loss - least < best[0]:
            best = loss - least, network
    assert best is not None  # noqa: S101  (a start at least)
    return best[1], best[0]


def windows(p: Tensor, width: int) -> Tensor:
    """The marginal of `width` neighbours, the mean over all places on the ring; `p` has an axis of 2 a site."""
    n = p.dim()
    width = min(width, n)
    found = torch.zeros((2,) * width, dtype=p.dtype)
    for start in range(n):
        kept = [(start + k) % n for k in range(width)]
        others = [k for k in range(n) if k not in kept]
        found += (p.sum(others) if others else p).permute([sorted(kept).index(k) for k in kept])
    return found / n


def _entropy(p: Tensor) -> float:
    return float(-torch.where(p > 0, p * p.log(), 0.0).sum())


def coupling(p: Values) -> float:
    """The coupling of the Ising ring whose neighbours have the same mean product, in size; `p` has an axis of 2 a
    site. Neighbours within pairs and between them count alike."""
    n, spin = p.ndim, np.array([-1.0, 1.0])
    products = []
    for left in range(n):
        right = (left + 1) % n
        both = p.sum(axis=tuple(k for k in range(n) if k not in (left, right)))
        products.append(abs(float(spin @ both @ spin)))
    mean = float(np.mean(products))

    def beyond(t: float) -> float:
        return (t + t ** (n - 1)) / (1 + t**n) - mean

    return math.atanh(brentq(beyond, 0.0, 1 - 1e-15)) if 0 < mean < 1 - 1e-12 else math.inf if mean else 0.0


def _truth(source: data.Source, ln_z: float) -> Values:
    """-ln p per site of the draws of every chain under the distribution that they were drawn from."""
    e = source.ensemble
    with open_bank(source.path) as bank:
        energy = [float(bank.at_draws("energy", c, 0, 0, e.draws).mean()) for c in range(e.chains)]
    return e.betas[0] * np.array(energy) / e.size + ln_z


def _told(
    source: data.Source, name: str, spec: HierarchySpec, tested: Mapping[str, Tested]
) -> tuple[list[Estimate], FigureData]:
    e = source.ensemble
    exact = thermal(e.system, e.betas[0])
    entropy = exact.ln_z.value + e.betas[0] * exact.energy.value if exact else None
    reference = None if entropy is None else Reference(entropy, source="exact entropy")
    truth = _truth(source, exact.ln_z.value) if exact else None
    notes, rows = [], []
    for kind, t in tested.items():
        n = len(t.loss)
        mean, error = float(t.loss.mean()), float(t.loss.std(ddof=1)) / math.sqrt(n)
        beyond, paired = "", ""
        if entropy is not None and truth is not None:
            beyond = f"{mean - entropy:+.2g} ({(mean - entropy) / error:+.1f})"
            apart = t.loss - truth
            paired = f"{apart.mean():.2g} +- {apart.std(ddof=1) / math.sqrt(n):.1g}"
        left = f"{t.left.min():.1e} to {t.left.max():.1e}"
        rows.append([kind, str(n), format_error(mean, error), beyond, paired, left])
        if entropy is not None and mean + BELOW * error < entropy:
            text = f"hierarchy {name}, {kind}: -ln p = {mean:.6f} a site is below the exact entropy {entropy:.6f}"
            notes.append(Note("failure", f"{text}; the test data are wrong"))
    known = "" if entropy is None else f"; exact entropy {entropy:.7f}"
    learned_from = "whole configurations" if spec.window == "whole" else f"windows of {spec.window}"
    columns = ["learned", "chains", "-ln p a site of chains held out", "less the entropy (standard errors)",
               "divergence, on the same draws", "training loss left, nats, by fold"]  # fmt: skip
    tables = [Table(f"{name}: {e.size} spins, from {learned_from}{known}", columns, rows)]
    loss = tested[NETWORK].loss
    replicas = (loss.sum() - loss) / (len(loss) - 1)
    estimate = Estimate(
        "-ln p per site", "hierarchy/network", e.physics.name, (e.size,), float(loss.mean()), {e.id: replicas},
        source=(e.id,), reference=reference,
        settings={"window": spec.window, "levels": spec.levels, "starts": spec.starts,
                  "folds": len(tested[NETWORK].left)},
    )  # fmt: skip
    return [estimate], FigureData([_levels(e, name, spec, tested)], notes, tables)


def _levels(e: Ensemble, name: str, spec: HierarchySpec, tested: Mapping[str, Tested]) -> Figure:
    """Couplings by level beside those of decimation, the finest level first."""
    x = [float(k) for k in range(spec.levels + 1)]
    curves = []
    for kind, t in tested.items():
        down = t.couplings[:, ::-1]
        error = (down.std(axis=0, ddof=1) / math.sqrt(len(down))).tolist()
        curves.append(Curve(kind, x, down.mean(axis=0).tolist(), error, "both"))
    if e.physics.name == "ising" and not any(e.physics.params.values()):
        tanh = [math.tanh(e.betas[0]) ** (2**k) for k in range(spec.levels + 1)]
        curves.append(Curve("decimation", x, [math.atanh(t) for t in tanh], None, "line"))
    return Figure(
        f"levels-{name}", f"Couplings of the levels of {name}", "level, 0 the spins of the bank", "coupling K", curves,
        "From the mean product of neighbours, in size; mean over folds with its error. Decimation: tanh K' = tanh^2 K.",
    )  # fmt: skip

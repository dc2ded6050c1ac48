"""Hierarchical Bayesian networks on banks: learned from some chains of a ring or a small torus, tested on the others,
beside trees.

Every fold of chains is tested by the network of the best of some starts, learned from the chains outside it. -ln p of
the test draws per site is an estimate of the entropy plus the divergence of what was learned: no distribution is below
the entropy, a network can reach that of a ring (hierarchy.insertion), and a tree cannot. Less -ln p of the same draws
under the true distribution, beta E + ln Z, it is the divergence without the noise that both share. Products of
neighbours are shown by level; decimation of a ring has <s s'>' = <s s'>^2 but for its closure, which a network need
not follow, since what its hidden levels mean is for it to choose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpcrg.bank import open_bank
from hpcrg.ensemble import Ensemble
from hpcrg.errors import InputError, Interrupted, expected
from hpcrg.estimate import Estimate, Reference, format_error
from hpcrg.exact_energy import thermal
from hpcrg.figures import Curve, Figure, FigureData, Note, Table
from hpcrg.learn import data
from hpcrg.learn.hierarchy import Hierarchy, fit, log_loss, random_hierarchy, window_loss
from hpcrg.learn.plane import Plane, plane_log_loss, plane_window_loss, random_plane
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
    the loss over that of the training data themselves, and the mean product of
    neighbours by level, the coarsest first."""

    loss: Values
    left: Values
    products: Values


def run(
    source: data.Source, name: str, spec: HierarchySpec, seed: int, stop: Callable[[], bool],
    report: Callable[[float, str], None],
) -> tuple[list[Estimate], FigureData]:  # fmt: skip
    """Learn and test on one bank. Raises InputError for a bank with a lattice that does not halve so often, Interrupted
    when asked to stop."""
    size = source.ensemble.size
    if size % 2**spec.levels or size == 2**spec.levels:
        wanted = f"a size that {2**spec.levels} divides into 2 or more"
        raise InputError(expected(f"hierarchy {name}: {source.ensemble.label}", wanted, size))
    counts = _counts(source)
    kinds, folds = (NETWORK, TREE), min(spec.folds, len(counts))
    tested: dict[str, Tested] = {}
    for i, kind in enumerate(kinds):
        found = Tested(np.zeros(len(counts)), np.zeros(folds), np.zeros((folds, spec.levels + 1)))
        for fold in range(folds):
            if stop():
                raise Interrupted(f"hierarchy {name}: stopped; nothing of it is kept, it takes minutes")
            report((i * folds + fold) / (len(kinds) * folds), f"{kind}, fold {fold + 1} of {folds}")
            generator = _generator(seed, (*id_words(source.ensemble.id), i, fold))
            _fold(source, spec, counts, fold, kind == TREE, generator, found)
        if not np.isfinite(found.loss).all():
            wanted = "a network that gives every configuration of the other chains a probability"
            raise InputError(expected(f"hierarchy {name}, {kind}", wanted, found.loss.tolist()))
        tested[kind] = found
    return _told(source, name, spec, tested)


def _fold(
    source: data.Source, spec: HierarchySpec, counts: Counts, fold: int, tree: bool, generator: torch.Generator,
    into: Tested,
) -> None:  # fmt: skip
    """Learn from the chains outside a fold, and test on those in it."""
    shape, sites = source.ensemble.geometry.shape, source.volume
    held = np.arange(len(counts)) % len(into.left) == fold
    p = torch.from_numpy(counts[~held].sum(axis=0) / counts[~held].sum()).reshape((2,) * sites)
    network, into.left[fold] = _learned(spec, shape, p, tree, generator)
    log_p = network.distribution().detach().log().numpy().ravel()
    for chain in np.flatnonzero(held):
        drawn = counts[chain] > 0
        into.loss[chain] = -float(counts[chain, drawn] @ log_p[drawn]) / counts[chain].sum() / sites
    for level in range(spec.levels + 1):
        sides = tuple(n >> (spec.levels - level) for n in shape)
        into.products[fold, level] = product_of_neighbours(network.distribution(level).detach().numpy(), sides)


def _generator(seed: int, address: Sequence[int]) -> torch.Generator:
    return torch.Generator().manual_seed(int(stream(seed, Purpose.HIERARCHY, *address)[0] >> 1))


def _counts(source: data.Source) -> Counts:
    """How often each configuration is drawn [chain, 2^sites]; site 0 is the highest bit, bit 1 is spin +1."""
    e = source.ensemble
    place = 1 << np.arange(source.volume - 1, -1, -1)
    out = np.zeros((e.chains, 1 << source.volume), dtype=np.int64)
    for chain in range(e.chains):
        for codes in data.codes(source, data.runs(source, [chain], [0])):
            flat = codes.reshape(len(codes), -1).astype(np.int64)
            out[chain] += np.bincount(flat @ place, minlength=1 << source.volume)
    return out


def _learned(
    spec: HierarchySpec, shape: Sequence[int], p: Tensor, tree: bool, generator: torch.Generator
) -> tuple[Hierarchy | Plane, float]:
    """The best of the starts, and its loss less that of the training data themselves, in nats: per site of whole
    configurations, or a window."""
    make, whole, local = BY_DIMENSION[len(shape)]
    if spec.window == "whole":
        loss, target, least = whole, p, _entropy(p) / p.dim()
    else:
        target = windows(p, shape, spec.window)
        loss, least = local, _entropy(target)
    tried = []
    for _ in range(spec.starts):
        network = make(shape[0] >> spec.levels, spec.levels, tree, generator)
        left = fit(network, loss, target, spec.iterations) - least
        tried.append((left if math.isfinite(left) else math.inf, network))
    left, network = min(tried, key=lambda each: each[0])
    return network, left


def _everywhere(network: Hierarchy, window: Tensor) -> Tensor:
    return window_loss(network, [window] * network.sites())


BY_DIMENSION: Mapping[int, tuple[Callable[..., Any], Callable[..., Tensor], Callable[..., Tensor]]] = {
    1: (random_hierarchy, log_loss, _everywhere), 2: (random_plane, plane_log_loss, plane_window_loss),
}  # fmt: skip
"""What makes a start, and the losses of whole configurations and of a window that is the same at all places."""


def windows(p: Tensor, shape: Sequence[int], width: int) -> Tensor:
    """The marginal of `width` neighbours along every axis of a lattice of `shape`, the mean over all places; `p` has an
    axis of 2 a site, and so has what is returned."""
    sites = np.arange(p.dim()).reshape(tuple(shape))
    wide = tuple(min(width, n) for n in shape)
    found = torch.zeros((2,) * math.prod(wide), dtype=p.dtype)
    for start in np.ndindex(*shape):
        rolled = np.roll(sites, [-k for k in start], axis=tuple(range(len(wide))))
        kept = rolled[tuple(slice(w) for w in wide)].ravel().tolist()
        others = [k for k in range(p.dim()) if k not in kept]
        found += (p.sum(others) if others else p).permute([sorted(kept).index(k) for k in kept])
    return found / p.dim()


def _entropy(p: Tensor) -> float:
    return float(-torch.where(p > 0, p * p.log(), 0.0).sum())


def product_of_neighbours(p: Values, shape: Sequence[int]) -> float:
    """The mean over all bonds of the size of <s s'>; `p` has an axis of 2 a site. Bonds within blocks and between them
    count alike, whatever sign the spins of a level have."""
    sites, spin = np.arange(p.ndim).reshape(tuple(shape)), np.array([-1.0, 1.0])
    products = []
    for axis in range(len(shape)):
        for left, right in zip(sites.ravel().tolist(), np.roll(sites, -1, axis).ravel().tolist(), strict=True):
            both = p.sum(axis=tuple(k for k in range(p.ndim) if k not in (left, right)))
            products.append(abs(float(spin @ both @ spin)))
    return float(np.mean(products))


def _truth(source: data.Source, ln_z: float) -> Values:
    """-ln p per site of the draws of every chain under the distribution that they were drawn from."""
    e = source.ensemble
    with open_bank(source.path) as bank:
        energy = [float(bank.at_draws("energy", c, 0, 0, e.draws).mean()) for c in range(e.chains)]
    return e.betas[0] * np.array(energy) / source.volume + ln_z


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
    wide = " x ".join([str(spec.window)] * e.geometry.dimension)
    learned_from = "whole configurations" if spec.window == "whole" else f"windows of {wide}"
    columns = ["learned", "chains", "-ln p a site of chains held out", "less the entropy (standard errors)",
               "divergence, on the same draws", "training loss left, nats, by fold"]  # fmt: skip
    shape = " x ".join(map(str, e.geometry.shape))
    tables = [Table(f"{name}: {shape} spins, from {learned_from}{known}", columns, rows)]
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
    """Products of neighbours by level beside those of decimation, the finest level first."""
    x = [float(k) for k in range(spec.levels + 1)]
    curves = []
    for kind, t in tested.items():
        down = t.products[:, ::-1]
        error = (down.std(axis=0, ddof=1) / math.sqrt(len(down))).tolist()
        curves.append(Curve(kind, x, down.mean(axis=0).tolist(), error, "both"))
    caption = "Mean over bonds of the size of <s s'>, then over folds with its error."
    if e.physics.name == "ising" and not any(e.physics.params.values()) and e.geometry.dimension == 1:
        rows = [(math.tanh(e.betas[0]) ** (2**k), e.size >> k) for k in range(spec.levels + 1)]
        curves.append(Curve("decimation", x, [(t + t ** (n - 1)) / (1 + t**n) for t, n in rows], None, "line"))
        caption += " Decimation: tanh K' = tanh^2 K."
    return Figure(
        f"levels-{name}", f"Correlation of neighbours on the levels of {name}", "level, 0 the spins of the bank",
        "mean product of neighbours", curves, caption,
    )  # fmt: skip

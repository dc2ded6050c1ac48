"""What a trained network says of chains that it never saw, at all temperatures, beside the baselines on the
same draws.

Arrays: [chain, slot, draw] over the held-out chains of one seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hpcrg.bank import Bank, open_bank
from hpcrg.campaign import TrainSpec
from hpcrg.comm import share
from hpcrg.errors import Interrupted
from hpcrg.learn import abs_m, data, posterior
from hpcrg.learn.objectives import OBJECTIVES, Classifier, Objective
from hpcrg.learn.place import Place
from hpcrg.learn.precision import forward
from hpcrg.learning_specs import Net

Values = NDArray[np.float64]
OTHERS = ("structure",)
"""Observables that outputs are compared with where a bank has them, beside the energy and the order parameter."""


@dataclass(frozen=True)
class Outputs:
    """One network's numbers on its seed's held-out chains: values by name, and the best that could have been said in
    place of the network, each [chain, slot, draw]; the `objective` on the ladder of `source`, the bank that it was
    tested on, which need not be the one it was `trained` on (None where another campaign did); the threshold of the |m|
    baseline of a classifier; the curves of its training."""

    source: data.Source
    trained: data.Source | None
    split: data.Split
    net: Net
    number: int
    objective: Objective
    values: Mapping[str, Values]
    best: Values
    threshold: float
    loss: Sequence[float] = ()
    validation: Sequence[float] = ()
    weights: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def with_curves(
        self, loss: Sequence[float], validation: Sequence[float], weights: Mapping[str, NDArray[Any]]
    ) -> Outputs:
        """The same with the record of the training."""
        return replace(self, loss=loss, validation=validation, weights=weights)


def held_out(
    source: data.Source, trained: data.Source | None, split: data.Split, spec: TrainSpec, objective: Objective,
    net: nn.Module, which: tuple[Net, int], place: Place, stop: Callable[[], bool], threshold: float = float("nan"),
) -> Outputs:  # fmt: skip
    """Evaluate the network of architecture and seed `which` on the held-out chains, called by all processes; rank 0 has
    the numbers, the others only the network's own output. `threshold` is that of the |m| baseline where the network was
    not `trained` on a bank that is there. Raises Interrupted when a stop was asked for."""
    p = _network(source, split.test, spec.precision, objective, net, place)
    if place.sum(torch.tensor([float(stop())])).item():
        where = f"{source.ensemble.label} {which[0]} seed {which[1]}"
        raise Interrupted(f"{where}: stopped after training; the network is kept")
    if place.rank:
        return Outputs(source, trained, split, *which, objective, {objective.output: p}, p, float("nan"))
    if trained is not None and isinstance(objective, Classifier):
        with open_bank(trained.path) as bank:
            threshold = _threshold(bank, split.training, spec)
    with open_bank(source.path) as bank:
        m2 = _each(bank, split.test, lambda c, s: _order2(bank, c, s))
        others = {name: _series(bank, split.test, name) for name in ("energy", *OTHERS) if name in bank.series_names}
    size = np.sqrt(m2)
    values = {objective.output: p, "abs_m": size, "m2": m2, "m4": m2**2, **others}
    if isinstance(objective, Classifier):
        values["p_abs_m"] = abs_m.probability(size, threshold)
    betas = np.array(source.ensemble.betas)
    f = posterior.free_energies(posterior.histogram(source.path, split.training or split.test), betas)
    here = OBJECTIVES[spec.objective](source.ensemble.betas, spec.cold, spec.hot)
    return Outputs(source, trained, split, *which, here, values, here.best(others["energy"], f), threshold)


@torch.no_grad()
def _network(
    source: data.Source, chains: Sequence[int], precision: str, objective: Objective, net: nn.Module, place: Place
) -> Values:
    """The network's number for every draw; each process reads its own runs."""
    e = source.ensemble
    runs = data.runs(source, chains, range(e.slots), place.world)
    mine = [runs[i] for i in share(len(runs), place.world, place.rank)]
    out = torch.zeros((len(chains), e.slots, e.draws), dtype=torch.float64)
    for run, stored in zip(mine, data.read(source, mine), strict=True):
        codes = data.codes_on(place.device, stored, source.width)
        p = objective.report(forward(net, codes, precision))
        out[chains.index(run.chain), run.slot, run.start : run.stop] = p.double().cpu()
    values: Values = place.sum(out).numpy()
    return values


def _each(bank: Bank, chains: Sequence[int], one: Callable[[int, int], Values]) -> Values:
    return np.stack([np.stack([one(c, s) for s in range(bank.slots)]) for c in chains])


def _series(bank: Bank, chains: Sequence[int], name: str) -> Values:
    return _each(bank, chains, lambda c, s: bank.at_draws(name, c, s, 0, bank.draws) * 1.0)


def _order2(bank: Bank, chain: int, slot: int) -> Values:
    order = bank.at_draws("order", chain, slot, 0, bank.draws).astype(np.int64)
    return bank.model.order2(order, bank.lattice.volume)


def _threshold(bank: Bank, chains: Sequence[int], spec: TrainSpec) -> float:
    """The |m| baseline's parameter from the draws that the network was trained on."""

    def sizes(slots: range) -> Values:
        return np.concatenate([np.sqrt(_order2(bank, c, s)) for c in chains for s in slots])

    return abs_m.fit(sizes(range(spec.cold)), sizes(range(bank.slots - spec.hot, bank.slots)))

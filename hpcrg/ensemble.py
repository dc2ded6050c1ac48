"""An Ensemble: one model at one lattice size on one ladder, with all that determines its bank.

Its id is a hash of exactly that which determines the numbers: model, lattice, betas, updates, exchange, seed,
thermalisation and spacing of measurements, and the version of the kernels. How many chains and draws are wanted is
not part of it: more of either extends what is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.lattice import Lattice
from hpcrg.layout import Layout
from hpcrg.models import Model, make_model
from hpcrg.observables import observables_of
from hpcrg.system import System
from hpcrg.updates import kernel_version, layout_of


@dataclass(frozen=True)
class UpdateCall:
    """An update by name, and how often it runs in one sweep."""

    type: str
    repeat: int = 1


@dataclass(frozen=True)
class Ensemble:
    """See the module. `betas` are coldest first; rounds are counted in `thermalise`, `measure` and `keep`."""

    group: str
    size: int
    model: Mapping[str, Any]
    lattice: Mapping[str, Any]
    betas: tuple[float, ...]
    updates: tuple[UpdateCall, ...]
    exchange: bool
    seed: int
    thermalise: int
    measure: int
    keep: int
    chains: int
    draws: int
    copies: int = 1

    @property
    def label(self) -> str:
        """The name of its files: group and size."""
        return f"{self.group}-L{self.size}"

    @cached_property
    def physics(self) -> Model:
        """The model itself."""
        return make_model(dict(self.model))

    @cached_property
    def geometry(self) -> Lattice:
        """The lattice itself."""
        shape = (self.size,) * self.lattice["dimension"]
        return Lattice(shape, self.lattice["type"], self.lattice.get("boundary", "periodic"))

    @cached_property
    def system(self) -> System:
        """The model on the lattice."""
        return System(self.physics, self.geometry)

    @cached_property
    def layout(self) -> Layout:
        """How walkers are held. They stay on one rank where something is measured between copies."""
        layout = layout_of(self.system, [u.type for u in self.updates], self.slots, self.copies)
        apart = not any(o.between_copies for o in observables_of(self.system, self.copies))
        return replace(layout, divisible=layout.divisible and apart)

    @property
    def slots(self) -> int:
        """The number of temperatures."""
        return len(self.betas)

    @property
    def walkers(self) -> int:
        """Configurations of one chain: copies times slots, numbered copy * slots + walker."""
        return self.copies * self.slots

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """Temperatures, coldest first, shape (slot,)."""
        return 1.0 / np.array(self.betas)

    @property
    def rounds(self) -> int:
        """Rounds that each chain runs in all."""
        return self.thermalise + self.draws * self.keep

    @property
    def measurements(self) -> int:
        """Measurements per chain and slot."""
        return self.draws * self.keep // self.measure

    @cached_property
    def version(self) -> str:
        """The version of the kernels that make the numbers."""
        return kernel_version(self.system, [u.type for u in self.updates])

    def identity(self) -> dict[str, Any]:
        """What the id hashes."""
        if not self.betas:
            raise InputError(f"{self.label}: expected a tuned ladder, found none yet; run `hpcrg tune` first")
        return {
            "model": dict(self.model), "lattice": dict(self.lattice) | {"size": self.size}, "betas": list(self.betas),
            "updates": [asdict(u) for u in self.updates], "exchange": self.exchange, "seed": self.seed,
            "thermalise": self.thermalise, "measure": self.measure, "keep": self.keep, "copies": self.copies,
            "version": self.version,
        }  # fmt: skip

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits of the sha256 of the identity."""
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def request(self) -> str:
        """Everything as canonical JSON, with the version of the kernels: what a workflow engine compares to decide on a
        rerun."""
        return json.dumps(asdict(self) | {"version": self.version}, sort_keys=True, default=list)


def from_json(text: str, identifier: str, version: str) -> Ensemble:
    """The ensemble that `request` wrote, with the id and the kernel version that it had then: a later version of the
    kernels makes other ensembles and does not change what an old one is."""
    raw = json.loads(text)
    raw.pop("version", None)
    updates = tuple(UpdateCall(**u) for u in raw.pop("updates"))
    ensemble = Ensemble(**raw | {"updates": updates, "betas": tuple(raw["betas"])})
    if not all(isinstance(b, float) and b > 0 for b in ensemble.betas):
        raise ValueError(expected("betas", "positive numbers", ensemble.betas))
    vars(ensemble).update(id=identifier, version=version)
    return ensemble

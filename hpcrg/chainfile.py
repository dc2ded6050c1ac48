"""The committed record of one chain: its checkpoint and the segments that it names.

Only what the checkpoint names exists; files that a killed run left beside it are removed on resume.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg import checkpoint
from hpcrg.bank.hdf5 import reading
from hpcrg.bank.segment import Segment
from hpcrg.comm import Comm
from hpcrg.ensemble import Ensemble
from hpcrg.errors import CorruptFile, expected
from hpcrg.files import naming
from hpcrg.jit import machine


@dataclass
class ChainState:
    """One rank's view of a chain after `round` rounds. `slot_of[copy, walker]` covers every walker, `block` (walkers as
    their layout holds them) and `rng` those of this rank; `attempted` and `accepted` [copy, slot] count exchanges by
    lower slot since the last measurement; `couplings` are those of the chain; `turns[copy, walker]` counts the ends of
    the ladder that every walker has come to, since the first round (ladder.count_turns); `machines` are those that have
    worked on the chain (jit.machine)."""

    round: int
    slot_of: NDArray[np.int64]
    block: NDArray[Any]
    rng: NDArray[np.uint64]
    attempted: NDArray[np.int64]
    accepted: NDArray[np.int64]
    hashes: dict[int, int]
    couplings: NDArray[Any]
    turns: NDArray[np.int64]
    machines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Contents:
    """What a checkpoint says: arrays of the whole chain, its segments, its state hashes, the machines that made it
    (none in older ones)."""

    arrays: dict[str, NDArray[Any]]
    segments: list[Segment]
    hashes: dict[int, int]
    machines: list[str]


ARRAYS = ("slot_of", "block", "rng", "attempted", "accepted", "couplings", "turns")
BY_WALKER = ("block", "rng")
MOST_ROUNDS = 1 << 60


def _possible(state: ChainState, ensemble: Ensemble, walkers: range, start: Callable[[range], ChainState]) -> None:
    """Raises ValueError for a state that compiled kernels, which check nothing, could not go on from."""
    some = walkers[:1] if ensemble.layout.divisible else walkers  # one tells what a row is
    fresh = start(some)
    for name in ARRAYS:
        like, found = getattr(fresh, name), getattr(state, name)
        rows = (like.shape[0] * len(walkers) // len(some),) if name in BY_WALKER else like.shape[:1]
        wanted, told = f"{like.dtype} of shape {(*rows, *like.shape[1:])}", f"{found.dtype} of shape {found.shape}"
        if told != wanted:
            raise ValueError(expected(name, wanted, told))
    if not 0 <= state.round <= MOST_ROUNDS:
        raise ValueError(expected("round", "a number of rounds", state.round))
    if not (np.sort(state.slot_of, axis=1) == np.arange(ensemble.slots)).all():
        raise ValueError("slot_of: expected every slot once, found another table")
    if not np.array_equal(state.couplings, fresh.couplings, equal_nan=True):
        raise ValueError("couplings: expected those of the seed, found others")
    model = ensemble.physics
    if model.spin_components and not np.isfinite(state.block).all():
        raise ValueError("block: expected finite spins, found others")
    if model.states and state.block.dtype == np.int8:  # others hold bits, and every bit is a spin
        known = np.isin(state.block, model.from_codes(np.arange(model.states, dtype=np.uint8)))
        if model.physics.frozen is not None:
            known = np.where(fresh.block[:1] == 0, state.block == 0, known)
        if not known.all():
            raise ValueError(f"block: expected spins of the {model.name} model, found others")


@dataclass(frozen=True)
class ChainFile:
    """The directory of one chain of one ensemble."""

    directory: Path
    id: str
    chain: int

    @property
    def path(self) -> Path:
        """The checkpoint."""
        return self.directory / "checkpoint"

    def save(self, state: ChainState, segments: list[Segment], comm: Comm) -> None:
        """Commit the chain: gather the walkers and write the checkpoint at rank 0. Collective."""
        parts = comm.gather((state.block, state.rng, machine()))
        if parts is None:
            return
        state.machines = list(dict.fromkeys([*state.machines, *(p[2] for p in parts)]))
        text = json.dumps({"id": self.id, "chain": self.chain, "segments": [s.as_json() for s in segments],
                           "machines": state.machines})  # fmt: skip
        checkpoint.save(self.path, {
            "round": np.array(state.round), "slot_of": state.slot_of,
            "block": np.concatenate([p[0] for p in parts]), "rng": np.concatenate([p[1] for p in parts]),
            "attempted": state.attempted, "accepted": state.accepted, "couplings": state.couplings,
            "turns": state.turns,
            "hashed_rounds": np.array(list(state.hashes), np.int64),
            "hashes": np.array(list(state.hashes.values()), np.uint64),
            "record": np.frombuffer(text.encode(), np.uint8),
        })  # fmt: skip

    def contents(self) -> Contents:
        """Read the checkpoint. Raises CorruptFile when it is altered or belongs to another chain."""
        arrays = checkpoint.load(self.path)
        with reading(self.path, "the checkpoint of a chain"):
            record = json.loads(arrays.pop("record").tobytes())
            if (record["id"], record["chain"]) != (self.id, self.chain):
                wanted = f"ensemble {self.id} chain {self.chain}"
                raise CorruptFile(expected(f"{self.path}", wanted, f"ensemble {record['id']} chain {record['chain']}"))
            hashes = zip(arrays.pop("hashed_rounds").tolist(), arrays.pop("hashes").tolist(), strict=True)
            segments = [Segment(**s) for s in record["segments"]]
            return Contents(arrays, segments, dict(hashes), [str(m) for m in record.get("machines", [])])

    def resume(
        self, ensemble: Ensemble, comm: Comm, walkers: range, start: Callable[[range], ChainState]
    ) -> tuple[ChainState, list[Segment]] | None:
        """The committed state as this rank sees it, or None where nothing was committed. `start` makes the state of
        some walkers before the first round. Collective; removes files that no checkpoint names. Raises CorruptFile when
        a committed segment is missing or the state is no state of this chain."""
        found = self._recover() if comm.rank == 0 else None
        contents: Contents | None = comm.bcast(found)
        if contents is None:
            return None
        a, all_ = contents.arrays, len(walkers) == ensemble.walkers
        mine = slice(None) if all_ else slice(walkers.start, walkers.stop)
        with reading(self.path, "the checkpoint of a chain"):
            state = ChainState(
                int(a["round"]), a["slot_of"], a["block"][mine].copy(), a["rng"][mine].copy(),
                a["attempted"], a["accepted"], dict(contents.hashes), a["couplings"], a["turns"], contents.machines,
            )  # fmt: skip
            _possible(state, ensemble, walkers, start)
        return state, contents.segments

    def _recover(self) -> Contents | None:
        with naming(self.path):
            self.directory.mkdir(parents=True, exist_ok=True)
            begun = self.path.exists()
        contents = self.contents() if begun else None
        if contents is None:  # segments without a checkpoint may be all that is left of a bank: they stay
            return None
        named = {s.name for s in contents.segments}
        for file in self.directory.iterdir():
            if file.name != self.path.name and file.name not in named:
                file.unlink()
        missing = [name for name in named if not (self.directory / name).is_file()]
        if missing:
            raise CorruptFile(
                f"{self.directory}: expected the segment {missing[0]} that its checkpoint names, found none"
            )
        return contents

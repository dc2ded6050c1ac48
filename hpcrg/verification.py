"""Is a file what it says: checksums, and of a bank its first rounds recomputed serially and compared bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hpcrg.bank import is_produced, open_bank, read_produced
from hpcrg.bank.read import check_integrity
from hpcrg.errors import CorruptFile, expected
from hpcrg.sampler import replay
from hpcrg.updates import kernel_version


def faults(path: Path, replay_rounds: int = 0) -> Iterator[str]:
    """Every fault found in a bank or a file of produced series. State hashes are stored at rounds 0, 1, 2, 4, 8, ...; a
    replay compares those up to `replay_rounds`."""
    if is_produced(path):
        yield from _series_faults(path, replay_rounds)
        return
    yield from check_integrity(path)
    if replay_rounds:
        yield from _replay_faults(path, replay_rounds)


def _series_faults(path: Path, replay_rounds: int) -> Iterator[str]:
    try:
        read_produced(path)
    except CorruptFile as error:
        yield str(error).removeprefix(f"{path}: ")
    if replay_rounds:
        yield expected("replay", "a bank; the chains of a series have no rounds to replay", "produced series")


def _replay_faults(path: Path, rounds: int) -> Iterator[str]:
    with open_bank(path) as bank:
        stored, ensemble = bank.state_hashes(), bank.ensemble
    here = kernel_version(ensemble.system, [u.type for u in ensemble.updates])
    if ensemble.version != here:
        yield expected("replay: kernels", here, ensemble.version) + "; only its own version can replay a bank"
        return
    for chain in range(ensemble.chains):
        again = replay(ensemble, chain, min(rounds, ensemble.rounds))
        for round_, value in again.items():
            if stored.get(round_, [None] * ensemble.chains)[chain] != value:
                yield (f"chain {chain}: expected the state hash of a serial replay after round {round_}, "
                       "found another; the machine, the MPI library or the file is at fault")  # fmt: skip
                break

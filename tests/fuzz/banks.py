"""Damaged files that verbs write and read: how they are damaged, and what the verbs make of them.

Bytes are altered anywhere, or the file stays well formed and says something else: other attributes, types, shapes, links,
numbers that are no numbers. Then whoever damages it also sets its checksums right, in half of the examples, so that what
lies behind them is looked at too. Such a file may be taken for what it says; nothing may crash, hang or leave the directory.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from hypothesis import strategies as st

from hpcrg import checkpoint, estimate, evaluation, figures
from hpcrg.analysis import fss, mcrg, outputs, stacks
from hpcrg.analysis.graph import compute_here
from hpcrg.analysis.inspection import inspect_banks
from hpcrg.bank import SeriesBlock, export, headline, is_produced, open_bank, write_produced, write_series
from hpcrg.bank.hdf5 import LENGTH, SEAL
from hpcrg.bank.produced import digest
from hpcrg.bank.write import attribute_digest
from hpcrg.campaign import parse
from hpcrg.chains import produce
from hpcrg.comm import Alone
from hpcrg.edges.stacking import run_stack
from hpcrg.errors import EXIT_STATUS, Interrupted
from hpcrg.learn import data, limits, network_files
from hpcrg.learn.nets import Inputs
from hpcrg.learn.nets.cnn import CNN
from hpcrg.learn.rbm import stack
from hpcrg.provenance import Journal, read_sidecar, write_sidecar
from hpcrg.report import page
from hpcrg.sampler import Limits, chain_directory, sample
from hpcrg.status import of_campaign, standing, table
from hpcrg.verification import faults

CAMPAIGN = """
name: banks
seed: 3
model: {type: ising}
ensembles:
  scan: {sizes: [4, 8], ladder: {temperatures: [2.0, 2.2, 2.4]}, updates: [{type: metropolis}, {type: swendsen_wang}], chains: 4, thermalise: 20, keep: 5, draws: 40}
  point: {sizes: [8], ladder: {critical: true}, updates: [{type: wolff}], chains: 4, thermalise: 20, keep: 5, draws: 40}
scale: {fss: {ensemble: scan, blocks: 2, check_equilibration: false}}
flow: {majority: {ensemble: point, scheme: majority, levels: 1, blocks: 2}}
train: {cnn: {ensemble: scan, cold: 1, hot: 1, seeds: 2, epochs: 1}}
stack: {deep: {ensemble: point, layers: [6, 2], epochs: 1, seeds: 1, annealing: 10, controls: [permuted]}}
percolation:
  site: {sizes: [8, 12], type: site, realisations: 50, chains: 4}
"""
KINDS = ("bank", "point", "segment", "exported", "checkpoint", "produced", "chain", "outputs", "figures", "estimates", "sidecar",
         "journal", "stack", "machines", "network")  # fmt: skip
HDF5 = ("bank", "point", "segment", "exported", "produced", "outputs")
ARCHIVES = ("checkpoint", "chain", "stack", "machines", "network")
JSON = ("figures", "estimates", "sidecar", "journal")
ASKED = parse(CAMPAIGN, "c.yaml")
RUNS = [{"run": "a-1", "id": "x", "begun": "2026-01-01T00:00:00Z", "host": "here", "ranks": 1},
        {"run": "a-1", "outcome": "finished", "seconds": 1.0, "cpu": 1.0, "memory": 100000000, "hosts": ["here"]}]  # fmt: skip
"""A journal: one run, that ended."""
NETWORK = "cnn-scan-L8-cnn-seed0.network"
Step = tuple[Any, ...]


class Yard:
    """One of every kind of file, in a directory of its own; `find` gives a fresh copy of them."""

    def __init__(self, root: Path) -> None:
        self.root, self.calm, self.here = root, root / "calm", root / "here"

    def build(self) -> None:
        """Make them."""
        place = self.calm / "results/banks"
        for e in ASKED.ensembles():
            sample(e, place / f"banks/{e.label}.h5", place / "state", Alone(), Limits(), lambda *_: None)
        for s in ASKED.series():
            arrays, given = produce(s, place / "state" / s.id, Alone(), lambda: False, 1e9, lambda _: None)
            write_produced(place / f"series/{s.label}.h5", s, arrays, given)
        export(place / "banks/scan-L8.h5", place / "exported.h5")
        rng = np.random.default_rng(1)
        held, betas = np.eye(2, dtype=bool).repeat(2, axis=1), np.array([2.0, 2.2, 2.4])
        blocks = [
            SeriesBlock(e.label, e.size, e.id, {"type": "ising"}, 2, betas,
                        {"p": np.where(held[:, :, None, None], rng.random((2, 4, 3, 40)), np.nan)}, held, {"a": 1})
            for e in ASKED.ensembles()[:2]
        ]  # fmt: skip
        (place / "train/cnn").mkdir(parents=True)
        write_series(place / "train/cnn/series.h5", blocks)
        net = CNN(Inputs(2, (8, 8)), 2).state_dict()
        network_files.save(
            place / "train/cnn/networks" / NETWORK,
            network_files.About("scan-L8", "a", "cnn", 0, 0.5, (0, 1), (2,), (3,), "classifier", 2, 2, 2),
            {name: value.numpy() for name, value in net.items()},
        )
        point = place / "banks/point-L8.h5"
        deep = ASKED.stack["deep"]
        run_stack(point, "deep", deep, 3, 0, place / "stack/deep/seed0.stack", place / "state/stack-whole", None, 30.0)
        half, asked = stack.Job(data.source(point), deep, 3, 0), iter([False, False])
        with suppress(Interrupted):  # in its third update
            stack.train(half, place / f"state/stack-deep/{half.id}/checkpoint", torch.device("cpu"),
                        limits.Limits(1e9, lambda: next(asked, True)), lambda *_: None)  # fmt: skip
        spec, shown = ASKED.scale["fss"], inspect_banks([place / "banks/scan-L8.h5"])
        found, drawn = fss.run(
            [place / f"banks/{e.label}.h5" for e in ASKED.ensembles()[:2]], "fss", spec, compute_here, 1 << 20
        )
        estimate.save(place / "scale/fss.json", found)
        figures.save(place / "scale/fss.figures.json", drawn)
        figures.save(place / "inspect.figures.json", shown)
        for state in (place / "state").iterdir():
            (state / "runs.jsonl").write_text("\n".join(map(json.dumps, RUNS)) + "\n")
        write_sidecar(
            place / "banks/scan-L8.h5", Journal(place / "state" / ASKED.ensembles()[1].id / "runs.jsonl").runs()
        )
        os.chdir(self.root)

    def path(self, kind: str) -> Path:
        """The file of a kind that is damaged."""
        results = self.here / "results/banks"
        series = ASKED.series()[0]
        return {
            "bank": results / "banks/scan-L8.h5", "point": results / "banks/point-L8.h5",
            "segment": next(chain_directory(results / "state", ASKED.ensembles()[1], 1).glob("*.h5")),
            "exported": results / "exported.h5",
            "checkpoint": chain_directory(results / "state", ASKED.ensembles()[1], 1) / "checkpoint",
            "produced": results / f"series/{series.label}.h5",
            "chain": results / "state" / series.id / "chain-00001.npz",
            "outputs": results / "train/cnn/series.h5",
            "figures": results / "scale/fss.figures.json",
            "estimates": results / "scale/fss.json",
            "sidecar": results / "banks/scan-L8.provenance.json",
            "journal": results / "state" / ASKED.ensembles()[1].id / "runs.jsonl",
            "stack": results / "stack/deep/seed0.stack",
            "machines": next((results / "state/stack-deep").rglob("checkpoint")),
            "network": results / "train/cnn/networks" / NETWORK,
        }[kind]  # fmt: skip

    def renew(self) -> None:
        """Put everything back; nothing is shared with the calm one, not even inodes."""
        shutil.rmtree(self.here, ignore_errors=True)
        shutil.copytree(self.calm, self.here)


ODD_NUMBERS = [
    0,
    -1,
    1,
    2,
    3,
    7,
    10**6,
    2**31,
    2**63 - 1,
    -(2**63),
    0.5,
    -0.0,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
]
ODD_TEXTS = ["", "x", "../../../etc/passwd", "/etc/passwd", "nan", "{}", "[]", "null", "<script>alert(1)</script>", "a\nb", "\u202eabc",
             "hpcrg.bank/1", "hpcrg.bank/99", "$x_{$", "T^(\\bad)", "a" * 5000]  # fmt: skip
PLAIN = st.one_of(st.sampled_from(ODD_NUMBERS), st.sampled_from(ODD_TEXTS), st.booleans(), st.none(), st.text(max_size=20),
                  st.lists(st.integers(-3, 9), max_size=4), st.dictionaries(st.sampled_from(["a", "start", "file"]), st.integers(0, 3), max_size=2))  # fmt: skip
SHAPES = [(), (0,), (1,), (3,), (4, 3), (2, 4, 3, 40), (4, 3, 40), (1, 1, 1, 1, 1), (0, 3), (100000,)]
TYPES = ["f8", "f4", "i1", "u1", "i8", "u8", "c16", "S5", "V3", "text", "ragged", "enum", "pair", "reference"]


def steps(kind: str) -> st.SearchStrategy[list[Step]]:
    """What is done to a file, one after the other."""
    share = st.floats(0, 1)
    raw = st.one_of(
        st.tuples(st.just("bytes"), share, st.one_of(st.binary(min_size=1, max_size=16), st.integers(1, 300).map(bytes))),
        st.tuples(st.just("end"), share), st.tuples(st.just("cut"), share, st.integers(1, 600)),
        st.tuples(st.just("repeat"), share, st.integers(1, 600)), st.tuples(st.just("append"), st.binary(min_size=1, max_size=100)),
        st.tuples(st.just("whole"), st.one_of(st.binary(max_size=100), st.sampled_from([b"", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"[]", b"{}", b"null", b"NaN", b"["*5000]))),
    )  # fmt: skip
    if kind in HDF5:
        inner = st.one_of(
            st.tuples(st.just("attribute"), share, share, PLAIN), st.tuples(st.just("array attribute"), share, share, st.sampled_from(SHAPES), st.sampled_from(TYPES)),
            st.tuples(st.just("no attribute"), share, share), st.tuples(st.just("delete"), share),
            st.tuples(st.just("dataset"), share, st.sampled_from(SHAPES), st.sampled_from(TYPES)), st.tuples(st.just("values"), share, st.sampled_from(ODD_NUMBERS)),
            st.tuples(st.just("group"), share), st.tuples(st.just("link"), share, st.sampled_from(["soft", "loop", "outside", "nowhere", "self"])),
            st.tuples(st.just("huge"), share), st.tuples(st.just("told"), share, PLAIN), st.tuples(st.just("more"), st.sampled_from(TYPES)),
        )  # fmt: skip
    elif kind in ARCHIVES:
        inner = st.one_of(
            st.tuples(st.just("array"), share, st.sampled_from(SHAPES), st.sampled_from(TYPES[:9])), st.tuples(st.just("no array"), share),
            st.tuples(st.just("number"), share, share, st.sampled_from(ODD_NUMBERS)), st.tuples(st.just("pickle"), share), st.tuples(st.just("more"), st.sampled_from(TYPES[:9])),
        )  # fmt: skip
    else:
        inner = st.one_of(st.tuples(st.just("put"), share, PLAIN), st.tuples(st.just("put"), share, PLAIN), st.tuples(st.just("drop"), share), st.tuples(st.just("grow"), share, PLAIN))  # fmt: skip
    inside = st.tuples(st.lists(inner, min_size=1, max_size=3), st.booleans()).map(
        lambda p: [*p[0], ("seal",)] if p[1] else p[0]
    )
    return st.one_of(inside, inside, inside, st.lists(raw, min_size=1, max_size=3))


def examples() -> st.SearchStrategy[tuple[str, list[Step]]]:
    """A kind of file and what is done to it."""
    return st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), steps(kind)))


def damage(kind: str, path: Path, done: list[Step]) -> None:
    """Do it. What cannot be done to a file that is already broken is left undone."""
    for step in done:
        if step[0] in RAW:
            path.write_bytes(RAW[step[0]](path.read_bytes(), *step[1:]))
            continue
        with suppress(
            OSError,
            KeyError,
            ValueError,
            TypeError,
            RuntimeError,
            IndexError,
            AttributeError,
            OverflowError,
            MemoryError,
        ):
            if kind in HDF5:
                _hdf5(kind, path, step)
            elif kind in ARCHIVES:
                _archive(path, step)
            else:
                _json(kind, path, step)


def _at(content: bytes, share: float) -> int:
    return int(share * len(content))


RAW: dict[str, Callable[..., bytes]] = {
    "bytes": lambda c, share, new: c[: _at(c, share)] + new + c[_at(c, share) + len(new) :],
    "end": lambda c, share: c[: _at(c, share)],
    "cut": lambda c, share, n: c[: _at(c, share)] + c[_at(c, share) + n :],
    "repeat": lambda c, share, n: c[: _at(c, share) + n] + c[_at(c, share) :],
    "append": lambda c, new: c + new,
    "whole": lambda c, new: new,
}


def _pick(names: list[Any], share: float) -> Any:
    return names[min(int(share * len(names)), len(names) - 1)]


def _odd(shape: tuple[int, ...], kind: str) -> Any:
    """An array with odd content, and the type to write it with."""
    if kind == "text":
        return np.full(shape, "x", dtype=object), h5py.string_dtype()
    if kind == "ragged":
        values = np.empty(shape, dtype=object)
        for place in np.ndindex(shape):
            values[place] = np.arange(3)
        return values, h5py.vlen_dtype(np.int32)
    if kind == "enum":
        return np.zeros(shape, "u1"), h5py.enum_dtype({"A": 0}, basetype="u1")
    if kind == "pair":
        return np.zeros(shape, [("a", "f8"), ("b", "i4")]), None
    if kind == "reference":
        return np.full(shape, h5py.Reference(), dtype=h5py.ref_dtype), h5py.ref_dtype
    if kind in ("S5", "V3"):
        return np.zeros(shape, kind), None
    return np.arange(int(np.prod(shape, dtype=int))).reshape(shape).astype(kind), None


def _hdf5(kind: str, path: Path, step: Step) -> None:
    if step[0] == "seal":
        if kind in ("bank", "point", "exported"):
            _set_digest(path)
        elif kind == "produced":
            _set_produced(path)
        elif kind == "outputs":
            _set_outputs(path)
        content = path.read_bytes()
        if content[-LENGTH:].startswith(SEAL):
            content = content[:-LENGTH]
        if kind != "segment":
            path.write_bytes(content + SEAL + hashlib.sha256(content).hexdigest().encode() + b"\n")
        return
    with h5py.File(path, "r+") as file:
        everything: list[Any] = [file]
        file.visititems(lambda _, item: everything.append(item))
        names = [item.name for item in everything[1:]] or ["/none"]
        ALTER[step[0]](file, everything, names, *step[1:])


def _attribute(file: Any, everything: list[Any], names: list[str], where: float, which: float, value: Any) -> None:
    owner = _pick(everything, where)
    key = _pick(list(owner.attrs) or ["schema"], which)
    owner.attrs[key] = json.dumps(value) if isinstance(value, dict | list | type(None)) else value


def _array_attribute(
    file: Any, everything: list[Any], names: list[str], where: float, which: float, shape: Any, kind: str
) -> None:
    owner = _pick(everything, where)
    values, dtype = _odd(shape, kind)
    owner.attrs.create(_pick(list(owner.attrs) or ["schema"], which), values, dtype=dtype)


def _no_attribute(file: Any, everything: list[Any], names: list[str], where: float, which: float) -> None:
    owner = _pick(everything, where)
    del owner.attrs[_pick(list(owner.attrs), which)]


def _told(file: Any, everything: list[Any], names: list[str], share: float, value: Any) -> None:
    """One value inside the JSON of an attribute of the file."""
    texts = [k for k, v in file.attrs.items() if isinstance(v, str) and v[:1] in "{["]
    key = _pick(texts, share)
    tree = json.loads(file.attrs[key])
    ways = _ways(tree)
    _put(tree, _pick(ways, (share * 7919) % 1), value)
    file.attrs[key] = json.dumps(tree)


def _dataset(file: Any, everything: list[Any], names: list[str], share: float, shape: Any, kind: str) -> None:
    name = _pick(names, share)
    attributes = dict(file[name].attrs)
    del file[name]
    values, dtype = _odd(shape, kind)
    made = file.create_dataset(name, data=values, dtype=dtype)
    for key, value in attributes.items():
        with suppress(TypeError, OSError, ValueError):
            made.attrs[key] = value


def _values(file: Any, everything: list[Any], names: list[str], share: float, value: Any) -> None:
    data = [item for item in everything if isinstance(item, h5py.Dataset) and 0 < item.size < 1 << 20]
    _pick(data, share)[...] = value


def _link(file: Any, everything: list[Any], names: list[str], share: float, kind: str) -> None:
    name = _pick(names, share)
    del file[name]
    target = {
        "soft": h5py.SoftLink(_pick(names, (share * 31) % 1)), "loop": h5py.SoftLink(name), "nowhere": h5py.SoftLink("/not/there"),
        "outside": h5py.ExternalLink("../../../../canary/other.h5", "/data"), "self": file,
    }[kind]  # fmt: skip
    file[name] = target


def _huge(file: Any, everything: list[Any], names: list[str], share: float) -> None:
    name = _pick(names, share)
    dimensions = file[name].shape if isinstance(file[name], h5py.Dataset) else (1,)
    del file[name]
    file.create_dataset(
        name, shape=(2**40, *(1,) * (len(dimensions) - 1)), dtype="f8", chunks=(1024, *(1,) * (len(dimensions) - 1))
    )


def _delete(file: Any, everything: list[Any], names: list[str], share: float) -> None:
    del file[_pick(names, share)]


def _group(file: Any, everything: list[Any], names: list[str], share: float) -> None:
    name = _pick(names, share)
    del file[name]
    file.create_group(name)


def _more(file: Any, everything: list[Any], names: list[str], kind: str) -> None:
    values, dtype = _odd((4, 3), kind)
    _pick([item for item in everything if isinstance(item, h5py.Group)], 0.7).create_dataset(
        "more", data=values, dtype=dtype
    )


ALTER: dict[str, Callable[..., None]] = {
    "attribute": _attribute, "array attribute": _array_attribute, "no attribute": _no_attribute, "told": _told, "dataset": _dataset,
    "values": _values, "link": _link, "huge": _huge, "delete": _delete, "group": _group, "more": _more,
}  # fmt: skip


def _set_digest(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["digest"] = attribute_digest({k: v for k, v in file.attrs.items() if k != "digest"})


def _set_produced(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        attributes = {k: v.item() if isinstance(v, np.generic) else v for k, v in file.attrs.items()}
        stages = [
            {k: v[()] for k, v in g.items() if isinstance(v, h5py.Dataset) and not v.is_scale}
            for g in (file, file.get("given", {}))
        ]
        file.attrs["digest"] = digest(attributes, *stages)


def _set_outputs(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        for group in file.values():
            group.attrs["digest"] = attribute_digest({k: v for k, v in group.attrs.items() if k != "digest"})


def _archive(path: Path, step: Step) -> None:
    head, _, payload = path.read_bytes().partition(b"\n")
    if step[0] == "seal":
        path.write_bytes(checkpoint.SCHEMA + b" " + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
        return
    with np.load(io.BytesIO(payload)) as archive:
        arrays = {key: archive[key] for key in archive.files}
    names = list(arrays)
    if step[0] == "array":
        arrays[_pick(names, step[1])] = _odd(*step[2:])[0]
    elif step[0] == "no array":
        del arrays[_pick(names, step[1])]
    elif step[0] == "number":
        flat = arrays[_pick(names, step[1])].reshape(-1)
        flat[min(int(step[2] * len(flat)), len(flat) - 1)] = step[3]
    elif step[0] == "pickle":
        arrays[_pick(names, step[1])] = np.array([{"a": 1}], dtype=object)
    else:
        arrays["more"] = _odd((4, 3), step[1])[0]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(head + b"\n" + buffer.getvalue())


def _ways(tree: Any) -> list[tuple[Any, ...]]:
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [way for key, value in inside for way in [(key,), *((key, *more) for more in _ways(value))]] or [()]


def _holder(tree: Any, way: tuple[Any, ...]) -> Any:
    for key in way[:-1]:
        tree = tree[key]
    return tree


def _put(tree: Any, way: tuple[Any, ...], value: Any) -> None:
    _holder(tree, way)[way[-1]] = value


def _json(kind: str, path: Path, step: Step) -> None:
    if step[0] == "seal":
        return
    text = path.read_text()
    tree = [json.loads(line) for line in text.splitlines()] if kind == "journal" else json.loads(text)
    way = _pick(_ways(tree), step[1])
    if step[0] == "put":
        _put(tree, way, step[2])
    elif step[0] == "drop":
        del _holder(tree, way)[way[-1]]
    else:
        inside = _holder(tree, way)
        inside.append(step[2]) if isinstance(inside, list) else inside.update({"more": step[2]})
    path.write_text("\n".join(map(json.dumps, tree)) + "\n" if kind == "journal" else json.dumps(tree))


def look(root: str, kind: str, done: list[Step]) -> str:
    """Damage a fresh copy and run what reads it; each reader may refuse."""
    yard = Yard(Path(root))
    yard.renew()
    path = yard.path(kind)
    damage(kind, path, done)
    refused: list[Exception] = []
    before = _around(yard)
    for read in READERS[kind]:
        try:
            read(yard.here / "results/banks")
        except tuple(EXIT_STATUS) as error:
            refused.append(error)
    if _around(yard) != before:
        raise AssertionError("files outside the results")
    if refused:
        raise refused[0]
    return "accepted"


def _around(yard: Yard) -> list[tuple[str, int]]:
    return sorted(
        (str(p), p.lstat().st_mtime_ns) for p in yard.root.rglob("*") if yard.here not in p.parents and p.is_file()
    )


BANKS = ("banks/scan-L4.h5", "banks/scan-L8.h5")


def _all(place: Path, name: str = BANKS[1]) -> None:
    with open_bank(place / name) as b:
        for series in b.series_names:
            for chain in range(b.chains):
                b.ladder(series, chain)
        b.spins(0, 0, 0, b.draws), b.state_hashes(), b.temperatures


def _inspect(place: Path) -> None:
    inspect_banks([place / name for name in BANKS])


def _verify(place: Path) -> None:
    list(faults(place / BANKS[1], 8))


def _export(place: Path) -> None:
    with open_bank(place / BANKS[1]):
        pass
    export(place / BANKS[1], place / "copy.h5")


def _flow(place: Path) -> None:
    mcrg.run([place / "banks/point-L8.h5"], "majority", ASKED.flow["majority"], compute_here, 1 << 20)


def _scale(place: Path) -> None:
    fss.run([place / name for name in BANKS], "fss", ASKED.scale["fss"], compute_here, 1 << 20)


def _fields(place: Path) -> None:
    stacks.run([place / "stack/deep/seed0.stack"], "deep", ASKED.system_of("point"))


def _stack(place: Path) -> None:
    output, state = place / "stack/deep/seed0.stack", place / "state/stack-deep"
    run_stack(place / "banks/point-L8.h5", "deep", ASKED.stack["deep"], 3, 0, output, state, None, 30.0)


def _network(place: Path) -> None:
    network_files.load(place / "train/cnn/networks" / NETWORK).module((8, 8), "float32")


def _status(place: Path) -> None:
    headline(place / BANKS[1])
    standing(ASKED.ensembles()[1], place / BANKS[1])
    table(ASKED, of_campaign(ASKED, place.parent))


def _sample(place: Path) -> None:
    sample(ASKED.ensembles()[1], place / BANKS[1], place / "state", Alone(), Limits(), lambda *_: None)


def _extend(place: Path) -> None:
    longer = parse(CAMPAIGN.replace("draws: 40", "draws: 45"), "c.yaml").ensembles()[1]
    sample(longer, place / BANKS[1], place / "state", Alone(), Limits(), lambda *_: None)


def _alone(place: Path) -> None:
    shutil.copy(place / "exported.h5", place / BANKS[1])


def _produced(place: Path) -> None:
    file = place / f"series/{ASKED.series()[0].label}.h5"
    is_produced(file)
    list(faults(file, 0))
    evaluation.inspect(file)


def _evaluate(place: Path) -> None:
    evaluation.run(ASKED, "site", [place / f"series/{s.label}.h5" for s in ASKED.series()])


def _produce(place: Path) -> None:
    s = ASKED.series()[0]
    arrays, given = produce(s, place / "state" / s.id, Alone(), lambda: False, 1e9, lambda _: None)
    write_produced(place / f"series/{s.label}.h5", s, arrays, given)


def _outputs(place: Path) -> None:
    outputs.run(place / "train/cnn/series.h5", "cnn", ASKED.train["cnn"])


def _report(place: Path) -> None:
    (place / "c.yaml").write_text(CAMPAIGN)
    files = [place / name for name in ("scale/fss.json", "scale/fss.figures.json", "inspect.figures.json")]
    page.write(place / "c.yaml", files, place / "estimates.json", place / "report.html")


def _journal(place: Path) -> None:
    write_sidecar(place / BANKS[1], Journal(place / "state" / ASKED.ensembles()[1].id / "runs.jsonl").runs())


def _sidecar(place: Path) -> None:
    read_sidecar(place / BANKS[1])


OF_BANKS = [_all, _inspect, _verify, _export, _scale, _status]
READERS: dict[str, list[Callable[[Path], None]]] = {
    "bank": [*OF_BANKS, _sample], "point": [_flow, _status], "segment": [*OF_BANKS, _extend], "exported": [_alone, *OF_BANKS], "checkpoint": [_status, _extend],
    "produced": [_produced, _evaluate], "chain": [_produce], "outputs": [_outputs], "figures": [_report], "estimates": [_report],
    "sidecar": [_sidecar, _status, _report], "journal": [_journal, _status, _sample, _report],
    "stack": [_fields], "machines": [_stack], "network": [_network],
}  # fmt: skip

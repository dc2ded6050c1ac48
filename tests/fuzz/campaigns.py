"""Damaged campaign files: how they are made, and what the verbs make of them.

Trees of the shipped campaigns are altered in place; what is put in is a piece of YAML text, so that tags, anchors and
numbers of any form can stand anywhere. The rest are bytes.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from hpcrg import status
from hpcrg.bank.schema import columns
from hpcrg.campaign import Campaign, load
from hpcrg.errors import InputError
from hpcrg.forecast import steps
from hpcrg.plan import Timings, costs
from hpcrg.report import page
from hpcrg.sampler import chain_directory
from hpcrg.tables import jobs_table, plan_table, show

HERE = Path(__file__).parents[2]
SHIPPED = {p.stem: p.read_bytes() for p in sorted((HERE / "workflow" / "campaigns").glob("*.yaml"))}
MANY = b"""
name: many
seed: 1
model: {type: potts, q: 3}
lattice: {type: hypercubic, dimension: 2, boundary: periodic}
resources: {ranks: 1, workers: 1, processes: 1}
ensembles:
  scan: {sizes: [8, 16], ladder: {betas: [0.9, 1.0, 1.1]}, updates: [{type: swendsen_wang, repeat: 2}], exchange: true, chains: 8, copies: 1, thermalise: 10, measure: 2, keep: 4, draws: 20}
  tuned: {sizes: [8], ladder: {tune: {coldest: 0.8, hottest: 1.2, slots: 4, pilot_chains: 2, pilot_rounds: 300, iterations: 2}}, updates: [{type: metropolis}], draws: 5}
  point: {sizes: [16], ladder: {critical: true}, updates: [{type: wolff}], draws: 20}
scale: {fss: {ensemble: scan, blocks: 4, check_equilibration: true}}
flow: {blocks: {ensemble: point, scheme: majority, factor: 2, levels: 2, even: [nn, nnn], odd: [magnetisation], blocks: 2}}
train: {net: {ensemble: scan, net: cnn, objective: classifier, cold: 1, hot: 1, seeds: 2, epochs: 1, batch: 16, channels: 2, learning_rate: 0.1, blocks: 2}}
percolation: {site: {sizes: [8, 16], type: site, realisations: 10, chains: 4}}
dimers: {free: {sizes: [8, 16], coupling: 0.1, algorithm: pocket, moves: 2, thermalise: 5, samples: 10}}
flat_histogram: {flat: {sizes: [4, 8], lowest: -2.0, highest: -0.1, turns: [-1.5, -0.5], walks: 2, final: 1.0e-3, blocks: 2, rows: 10, stride: 2, thermalise: 5, chains: 2}}
population: {cold: {sizes: [4], coldest: 2.0, update: heat_bath, walkers: 20, sweeps: 2, culled: 0.1}}
probability_changing: {half: {sizes: [8, 16], rule: half, sweeps: 100, first: 0.01, nu: 0.8}}
report: {title: All keys}
"""
"""A campaign with every key that there is."""
SEEDS = {**SHIPPED, "many": MANY}

NUMBERS = [
    "0", "-1", "1", "2", "3", "46340", "46341", "65535", "65536", "2147483647", "2147483648", "9223372036854775807",
    "9223372036854775808", "1" + "0" * 30, "1" + "0" * 400, "9" * 5000, "0x" + "f" * 9000, "0b1" + "0" * 20000, "0.5",
    "1.0e-320", "5.0e-324", "1.0e+308", "1.0e+999", "-0.0", ".inf", "-.inf", ".nan", "1e3", "1:30:00", "0o17", "017",
]  # fmt: skip
TEXTS = [
    "", " ", "..", ".", "/", "../../x", "/etc/passwd", "a/b", "a\nb", "a\n", "a\0b", "a\x1b[31mb", "$(touch x)",
    "`touch x`", "; touch x", "a;b", "a b", "a'b", 'a"b', "--output", "-x", "a|b", "a&b", "a>b", "*", "~", "{label}",
    "%s", "x" * 64, "x" * 65, "x" * 100000, "\u00e9", "\u0414", "\u202eabc", "\U0001f600", "\ufeff", "ising", "CON", "a.json", "nan",
]  # fmt: skip
ESCAPED = [r'"\ud800"', r'"\0"', r'"\e[2J"', r'"\x7f"', r'"\N"', r'"a\u2028b"', "'a\n\n  b'", "|\n  a\n  b\n"]
TAGGED = [
    "!!python/object/apply:os.system ['touch canary']", "!!python/name:os.system", "!!python/tuple [1, 2]", "!own 3",
    "!!binary aGVsbG8=", "!!binary '?'", "!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!timestamp 2020-01-01",
    "2020-01-01", "2020-13-45", "2001-12-14t21:59:43.10-05:00", "!!int abc", "!!int ''", "!!float x", "!!bool maybe",
    "!!null x", "!!timestamp x", "!!str [1]", "!!seq {a: 1}", "!!map [1]", "!!merge 1", "<<", "!!value 1", "!!int _",
]  # fmt: skip
SHAPES = [
    "[]", "{}", "null", "~", "true", "yes", "[[]]", "[null]", "{a: 1}", "{1: 2}", "{[a]: 1}", "{{a: 1}: 2}",
    "{null: 1}", "{1.5: 2}", "{true: 2}", "? [1, 2]", "{<<: {a: 1}}", "{<<: [1]}", "{<<: 3}", "*unknown", "&a [*a]",
    "&a {a: *a}", "&a {*a : 1}", "[&x 1, *x, *x]", "{!!binary aGVsbG8=: 1}", "{2020-01-01: 1}", "{a: 1, a: 2}", "@",
    "%", "[1, 2", "}", "- a", ": :", "{.nan: 1, .nan: 2}", "[8, 8]", "[" + ",".join(map(str, range(2, 3000))) + "]",
    "[2.2, 2.2000000000000001]", "[" + ",".join(f"{2 + k / 100000}" for k in range(9000)) + "]",
    "[" + ",".join(["x"] * 20000) + "]", "{" + ",".join(f"k{k}: 1" for k in range(9000)) + "}", "[" * 90 + "]" * 90,
    "[" * 3000 + "]" * 3000, "[" * 3000, "{a: " * 2000 + "1" + "}" * 2000, "!!set {" + "? " * 1000 + "a}", "- " * 2000,
]  # fmt: skip


def bomb(opening: str, closing: str, joined: str, levels: int = 12, width: int = 9) -> str:
    """Aliases of aliases: a few hundred bytes that stand for width**levels values."""
    rows = [f"&b0 {opening}{'a: 1' if opening == '{' else 'a'}{closing}"]
    for k in range(1, levels):
        rows.append(f"&b{k} " + joined.format(", ".join([f"*b{k - 1}"] * width)))
    return "[" + ", ".join(rows) + "]"


BOMBS = [
    bomb("[", "]", "[{}]"), bomb("{", "}", "{{<<: [{}]}}"), bomb("{", "}", "[{}]", 7),
    "{" + ", ".join(f"k{k}: " + ("*z" if k else "&z [" + ",".join(["7"] * 3000) + "]") for k in range(3000)) + "}",
]  # fmt: skip
KINDS = ["number", "text", "escaped", "tagged", "shape", "bomb"]
CHOICES = {
    "number": NUMBERS, "text": [json.dumps(t, ensure_ascii=False) for t in TEXTS] + [json.dumps(t) for t in TEXTS],
    "escaped": ESCAPED, "tagged": TAGGED, "shape": SHAPES, "bomb": BOMBS,
}  # fmt: skip
NAMED = ["ising", "potts", "xy", "on", "phi4", "blume_capel", "clock", "j1j2", "diluted_ising", "edwards_anderson",
         "triangular", "honeycomb", "helical", "free", "metropolis", "multispin", "houdayer", "wolff", "heat_bath",
         "overrelaxation", "packed_swendsen_wang", "decimation", "bond", "self_dual"]  # fmt: skip
EXTRA = ["field", "q", "n", "D", "lam", "mass", "J2", "K", "site", "bond", "couplings", "type", "seed", "<<", "self"]


PARTS = [
    "{critical: true}", "{temperatures: [1.0e-320]}", "{betas: [1.0e-308, 1.0e+308]}", "{betas: [1.0e-320]}",
    "{tune: {coldest: 1.0e-12, hottest: 1.0e+12, slots: 65536}}", "{tune: {coldest: 1.0e-320, hottest: 1, slots: 2}}",
    "{temperatures: [2.2, 2.2000000000000002]}", "{type: j1j2, J2: 1}", "{type: j1j2, J2: .nan}", "{type: potts, q: 127}",
    "{type: potts, q: 1.0}", "{type: on, n: 8}", "{type: on, n: true}", "{type: phi4, lam: 1.0e+308}", "{type: xy}",
    "{type: phi4, lam: 0}", "{type: phi4, lam: x}", "{type: ising, field: x}", "{type: ising, field: 1.0e-320}",
    "{type: ising, field: [1]}", "{type: clock, q: 3.0}", "{type: blume_capel, D: null}", "{type: ashkin_teller, K: true}",
    "{type: diluted_ising, site: '0.1'}", "{type: diluted_ising, bond: .nan}", "{type: edwards_anderson, couplings: [pm1]}",
    "{type: edwards_anderson, couplings: gaussian}", "{type: baxter_wu}", "{type: [ising]}", "{type: ising, model_dump: 1}",
    "{type: ising, 1: 2}", "{type: hypercubic, dimension: 1}", "{type: hypercubic, dimension: 3}", "{type: hypercubic, dimension: 4}",
    "{type: triangular}", "{type: honeycomb}", "{type: hypercubic, dimension: 2, boundary: helical}", "{type: hypercubic, dimension: 2, boundary: free}",
    "{type: multispin}", "{type: metropolis, repeat: 2147483647}", "{type: houdayer}", "{ranks: 1, workers: 1, processes: 1}",
]  # fmt: skip
COUNTS = [
    "0",
    "1",
    "2",
    "3",
    "100",
    "46340",
    "46341",
    "65535",
    "65536",
    "2147483646",
    "2147483647",
    "2147483648",
    "1.0",
    "1e3",
    "-1",
    "9" * 30,
]
EXTENTS = [2, 3, 4, 6, 8, 16, 1290, 1291, 2**14, 2**15, 46336, 46340, 46341, 2**30, 2**31 - 1, 2**31, 2**40]


def pieces() -> st.SearchStrategy[str]:
    """One piece of YAML in the flow style."""
    fixed = st.sampled_from(KINDS).flatmap(lambda kind: st.sampled_from(CHOICES[kind]))
    drawn = st.one_of(
        st.integers(), st.floats(), st.integers(1, 10**12), st.floats(0, 4), st.text(max_size=30), st.booleans(),
        st.lists(st.integers(1, 64), max_size=5), st.lists(st.floats(0.1, 5.0), max_size=5),
    ).map(_flow)  # fmt: skip
    return st.one_of(fixed, drawn, st.sampled_from(NAMED), st.integers(-3, 70000).map(str))


def suited(old: Any) -> st.SearchStrategy[str]:
    """A piece of the kind that stood there: it is more likely to get past the first check."""
    if isinstance(old, bool):
        return st.sampled_from(["true", "false", "0", "null"])
    if isinstance(old, int):
        return st.one_of(st.sampled_from(COUNTS), st.integers(1, 100).map(str), st.integers(1, 2**31).map(str))
    if isinstance(old, float):
        return st.one_of(st.sampled_from(NUMBERS), st.floats(0, 5).map(_flow), st.floats().map(_flow))
    if isinstance(old, list) and old and isinstance(old[0], int):
        return st.lists(
            st.one_of(st.sampled_from(EXTENTS), st.integers(2, 80)), min_size=1, max_size=6, unique=True
        ).map(_flow)
    if isinstance(old, list):
        return st.lists(st.floats(1e-320, 1e308, allow_subnormal=True), min_size=1, max_size=40, unique=True).map(_flow)
    if isinstance(old, dict):
        return st.sampled_from(PARTS)
    return st.one_of(st.sampled_from(NAMED), st.sampled_from(CHOICES["text"]))


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...").strip() or "''"


def places(tree: Any) -> list[tuple[Any, ...]]:
    """The way to everything in a tree but its root."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [way for key, value in inside for way in [(key,), *((key, *more) for more in places(value))]]


def holder(tree: Any, way: tuple[Any, ...]) -> Any:
    """What holds the end of a way."""
    for step in way[:-1]:
        tree = tree[step]
    return tree


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """A campaign that is almost one."""
    tree, texts = yaml.safe_load(draw(st.sampled_from(sorted(SEEDS.values())))), {}

    def stand_in(text: str) -> str:
        texts[f"PIECE{len(texts)}X"] = text
        return f"PIECE{len(texts) - 1}X"

    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 2, 4]))):
        ways = places(tree)
        if not ways:
            break
        way = draw(st.sampled_from(ways))
        _alter(draw, holder(tree, way), way[-1], stand_in)
    text = yaml.safe_dump(tree, default_flow_style=True, sort_keys=False, width=10**9)
    for name, piece in reversed(texts.items()):
        text = text.replace(name, piece)
    return text.encode(errors="surrogatepass")


def _alter(draw: st.DrawFn, inside: Any, key: Any, stand_in: Callable[[str], str]) -> None:
    how = draw(st.sampled_from(["value", "value", "value", "delete", "rename", "twice", "add"]))
    if how == "value":
        inside[key] = stand_in(draw(st.one_of(suited(inside[key]), suited(inside[key]), pieces())))
    elif how == "delete":
        del inside[key]
    elif how == "add" and isinstance(inside, dict):
        inside[draw(st.sampled_from(EXTRA))] = stand_in(draw(pieces()))
    elif how == "rename" and isinstance(inside, dict):
        inside[stand_in(draw(st.one_of(pieces(), st.just(str(key)[:-1] or "x"))))] = inside.pop(key)
    elif isinstance(inside, dict):
        inside[stand_in(str(key))] = inside[key]
    else:
        inside.append(inside[key])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """The bytes of a campaign, altered; or no campaign at all."""
    content = bytearray(draw(st.sampled_from(sorted(SEEDS.values()))))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        content = _bytes(draw, content)
    return bytes(content)


def _bytes(draw: st.DrawFn, content: bytearray) -> bytearray:
    start = draw(st.integers(0, len(content)))
    stop = draw(st.integers(start, min(len(content), start + 40)))
    usual = ["flip", "put", "cut", "repeat"] * 4
    how = draw(st.sampled_from([*usual, "end", "splice", "zeros", "other", "encode"]))
    if how == "flip" and start < len(content):
        content[start] ^= 1 << draw(st.integers(0, 7))
    elif how == "put":
        content[start:stop] = draw(st.one_of(st.binary(max_size=20), st.sampled_from(NAMED).map(str.encode)))
    elif how == "cut":
        del content[start:stop]
    elif how == "repeat":
        content[start:start] = content[start:stop] * draw(st.integers(1, 50))
    elif how == "end":
        del content[start:]
    elif how == "splice":
        other = draw(st.sampled_from(sorted(SEEDS.values())))
        content[start:] = other[draw(st.integers(0, len(other))) :]
    elif how == "zeros":
        content[start:stop] = bytes(stop - start)
    elif how == "other":
        return bytearray(draw(st.one_of(st.binary(max_size=200), st.just(b""), pieces().map(_encoded))))
    elif how == "encode":
        return bytearray(
            content.decode("latin-1").encode(draw(st.sampled_from(["utf-16", "utf-8-sig", "utf-32", "cp037"])))
        )
    return content


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def files() -> st.SearchStrategy[bytes]:
    """Campaign files of both kinds."""
    return st.one_of(altered(), altered(), altered(), damaged())


class Same(Timings):
    """Timings of a host that takes as long for everything, which is not measured."""

    def get(self, key: str, measure: Callable[[], float]) -> float:
        return 10.0


@dataclass(frozen=True)
class Yard:
    """A directory with a campaign and its results, and files beside them that nothing may touch."""

    root: Path

    @property
    def campaign(self) -> Path:
        """The file under test."""
        return self.root / "work" / "c.yaml"

    def build(self) -> None:
        """Lay it out."""
        for place in ("work/results/many", "canary", "work/canary"):
            (self.root / place).mkdir(parents=True)
            (self.root / place / "here").write_text("untouched")

    def around(self) -> list[tuple[str, int, int]]:
        """Every file outside the results, with size and time."""
        own, results = self.campaign, self.root / "work" / "results"
        found = [p for p in self.root.rglob("*") if p != own and results not in p.parents]
        return sorted(
            (str(p), p.lstat().st_size, p.lstat().st_mtime_ns) for p in found if not p.is_dir() or p.is_symlink()
        )


def look(root: str) -> str:
    """Every verb that needs no samples, on the campaign in this yard."""
    yard = Yard(Path(root))
    os.chdir(yard.root / "work")
    before = yard.around()
    try:
        campaign = load(Path("c.yaml"))
        _verbs(campaign, yard.campaign.read_text())
    finally:
        if yard.around() != before:
            raise AssertionError(f"files outside the results: {sorted(set(yard.around()) ^ set(before))}")
    return "accepted"


def _verbs(campaign: Campaign, text: str) -> None:
    results = Path("results")
    wanted, series = campaign.ensembles(), campaign.series()
    list(campaign.warnings())
    status.table(campaign, status.of_campaign(campaign, results))
    names(campaign, results)
    for e in wanted:
        e.request(), columns(e), e.geometry.volume * max(1, e.slots)
    for s in series:
        s.request(), s.producer.work
    if wanted:
        timings = Same()
        found = costs(campaign, timings)
        jobs = steps(campaign, results, timings, found)
        told = [status.standing(e, results / campaign.name / "banks" / f"{e.label}.h5") for e in wanted]
        show(plan_table(found, jobs[: len(found)], told))
        show(jobs_table(jobs[len(found) :]))
    for part in (
        *campaign.flow.values(),
        *campaign.scale.values(),
        *campaign.train.values(),
        *campaign.series_specs.values(),
        campaign.report,
    ):
        part.model_dump_json()
    page.render(campaign, text, [], page.provenance(campaign, [])).encode()


def names(campaign: Campaign, results: Path) -> None:
    """Every name that a rule puts into a path or a command: a shell takes it for one word, not an option, and it names
    one file below the results. Raises AssertionError."""
    parts = [
        *campaign.ensembles_,
        *campaign.series_specs,
        *campaign.flow,
        *campaign.scale,
        *campaign.train,
        campaign.name,
    ]
    labels = [e.label for e in campaign.ensembles()] + [s.label for s in campaign.series()]
    for name in (*parts, *labels):
        path = results / campaign.name / "banks" / f"{name}.h5"
        assert shlex.quote(name) == name, f"a name that a shell reads: {name!r}"
        assert not name.startswith("-"), f"a name that is an option: {name!r}"
        assert path.resolve().parent == results.resolve() / campaign.name / "banks", f"a name that leaves: {name!r}"
    assert len(set(labels)) == len(labels), "two labels alike"
    for e in campaign.ensembles():
        if e.betas:
            assert chain_directory(Path("state"), e, 0).resolve().parents[1] == Path("state").resolve()


__all__ = ["SEEDS", "InputError", "Yard", "files", "look"]

"""Whether a stack of Boltzmann machines does what an RG step does: all seeds of it beside their null controls.

Read are the files of `hpcrg stack`. Means are over seeds, each trained on its own fold of chains, and errors are those
of these means; a control is compared seed by seed. What is asked:

* do fields grow with depth, and are they alike within a layer, more than those of every control?
* which couplings do configurations have that come back from some layers up, or from some passes through the first
  machine (an RG flow of the samples would have those of coarser lattices), and which correlation length?
* how far is the first machine from the distribution of the bank: the mean of -ln p per site beyond the exact entropy,
  which no model can be below.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from hpcrg.analysis import couplings, stack_lengths
from hpcrg.analysis.stack_files import PERMUTED, Mean, Seed, Values, read
from hpcrg.errors import InputError
from hpcrg.estimate import Estimate, Reference, format_error
from hpcrg.exact_energy import thermal
from hpcrg.figures import Curve, Figure, FigureData, Mark, Note, Panels, Table
from hpcrg.learning_specs import PLAIN
from hpcrg.local_sums import LocalSums
from hpcrg.system import System

CLEAR = 5.0
"""Standard errors at which fields are said to differ."""
BELOW = 3.0
"""Standard errors below the entropy at which a likelihood is refused."""
FEWEST = 5
"""Seeds below which sizes of fields are not compared."""
SHOWN = 6
Radii = dict[tuple[str, int], list[Values]]


def run(files: Sequence[Path], name: str, system: System) -> tuple[list[Estimate], FigureData]:
    """What all seeds of the stack `name` on one bank say together. Raises InputError for files of different stacks or
    banks, and for one seed given twice."""
    seeds = sorted((read(path) for path in files), key=lambda s: s.number)
    _same(seeds, name)
    data = FigureData()
    _sizes(data, name, seeds)
    _pictures(data, name, seeds)
    _reconstruction(data, name, seeds)
    estimates = _couplings(data, name, seeds, system)
    lengths, tables, notes = stack_lengths.run(name, seeds, system)
    data.tables.extend(tables)
    data.notes.extend(notes)
    estimates += [*lengths, *_likelihood(data, name, seeds, system)]
    return estimates, data


def _same(seeds: Sequence[Seed], name: str) -> None:
    for seed in seeds:
        for key, wanted in seeds[0].about:
            if key not in ("number", "test") and getattr(seed.about, key) != wanted:
                what = f"stack {name}, seed {seed.number}: {key}"
                found = getattr(seed.about, key)
                raise InputError(f"{what}: expected {wanted} as for seed {seeds[0].number}, found {found}")
    numbers = [s.number for s in seeds]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"stack {name}: expected every seed once, found {numbers}")


def _over_seeds(rows: Sequence[Values]) -> Mean:
    """The mean over seeds of the means over units; seeds without a unit that has weights are left out."""
    return Mean(np.array([np.mean(row) for row in rows if len(row)]))


def _sizes(data: FigureData, name: str, seeds: Sequence[Seed]) -> None:
    variants, layers = seeds[0].variants, range(seeds[0].layers)
    rows = []
    radius = {(v, k): [s.radii[v][k] for s in seeds] for v in variants for k in layers}
    for variant in variants:
        for k in layers:
            here = radius[variant, k]
            alive = [len(row) for row in here]
            units = f"{np.mean(alive):.0f} of {seeds[0].about.units[k + 1]}"
            if not min(alive):
                fewer = _units(here, radius[PLAIN, k])
                rows.append([variant, str(k + 1), units, "", "", "", "", f"units: {_effect(fewer)}"])
                continue
            mean = _over_seeds(here)
            within = Mean(np.array([np.std(row) / np.mean(row) if np.mean(row) else 0.0 for row in here]))
            spread = _over_seeds([s.spreads[variant][k] for s in seeds])
            plain = _over_seeds(radius[PLAIN, k]) if all(map(len, radius[PLAIN, k])) else None
            against = Mean(mean.values - plain.values) if plain and variant != PLAIN else None
            below = radius[variant, k - 1] if k and all(map(len, radius[variant, k - 1])) else None
            growth = Mean(mean.values - _over_seeds(below).values) if below is not None else None
            sizes = [str(mean), str(within), str(spread)]
            rows.append([variant, str(k + 1), units, *sizes, _effect(growth), _effect(against)])
    columns = ["stack", "layer", "units with weights", "radius", "its spread within a layer", "participation",
               "radius less that of the layer below",
               "radius, or units with weights, less those of the plain stack"]  # fmt: skip
    title = f"Receptive fields of {name}, {len(seeds)} seeds (standard errors from zero in brackets)"
    data.tables.append(Table(title, columns, rows))
    curves = [
        _curve(v, [(k + 1.0, _over_seeds(radius[v, k])) for k in layers if all(map(len, radius[v, k]))])
        for v in variants
    ]
    size = seeds[0].about.shape
    even = math.sqrt(sum(n * n for n in size) / 24)
    data.figures.append(Figure(
        f"fields-{name}", f"Size of receptive fields, {name}", "layer", "radius in lattice spacings", curves,
        f"Mean over units, then over {len(seeds)} seeds, with the error of that mean. The line is a field spread "
        "evenly over the lattice. Growth with depth says something where the controls do not grow alike.",
        reference=Mark("spread evenly", y=even),
    ))  # fmt: skip
    data.notes.extend(_verdicts(name, seeds, radius))


def _units(rows: Sequence[Values], plain: Sequence[Values]) -> Mean:
    """How many more units have weights than in the plain stack."""
    return Mean(np.array([len(a) - len(b) for a, b in zip(rows, plain, strict=True)], dtype=np.float64))


def _curve(label: str, means: Sequence[tuple[float, Mean]]) -> Curve:
    errors = [m.error for _, m in means]
    return Curve(
        label, [x for x, _ in means], [m.value for _, m in means], errors if np.isfinite(errors).all() else None
    )


def _effect(difference: Mean | None) -> str:
    if difference is None:
        return ""
    if math.isinf(difference.effect):
        return f"{difference.value:+g} in every seed"
    return f"{difference} ({difference.effect:+.1f})"


def _verdicts(name: str, seeds: Sequence[Seed], radius: Radii) -> Iterator[Note]:
    """What can be said of the paper's picture, at CLEAR standard errors."""
    layers = range(seeds[0].layers)
    if len(seeds) < FEWEST or not all(all(map(len, radius[PLAIN, k])) for k in layers):
        yield Note(
            "warning", f"stack {name}: fewer than {FEWEST} seeds or layers without weights; fields are not compared"
        )
        return
    plain = [_over_seeds(radius[PLAIN, k]).values for k in layers]
    growth = [Mean(b - a).effect for a, b in pairwise(plain)]
    if growth:
        how = "grow" if min(growth) >= CLEAR else "do not clearly grow"
        yield Note("info", f"stack {name}: fields {how} with depth ({', '.join(f'{g:+.1f}' for g in growth)} "
                           "standard errors from layer to layer)")  # fmt: skip
    for control in seeds[0].variants[1:]:
        effects, texts = [], []
        for k in layers:
            there = radius[control, k]
            radii = all(map(len, there))
            apart = Mean(_over_seeds(there).values - plain[k]) if radii else _units(there, radius[PLAIN, k])
            effects.append(apart.effect)
            texts.append(f"{apart.effect:+.1f}" + ("" if radii else " (units with weights)"))
        differ = [abs(e) >= CLEAR for e in effects]
        wanted = not any(differ) if control == PERMUTED else all(differ)
        said = "as they should" if wanted else "which is not what the picture of an RG asks for"
        yield Note("info" if wanted else "warning", f"stack {name}: radii of the control {control} are "
                   f"{', '.join(texts)} standard errors from those of the stack by layer, {said}")  # fmt: skip


def _pictures(data: FigureData, name: str, seeds: Sequence[Seed]) -> None:
    """The strongest fields of every layer of the first seed, and of the deepest layer of the controls."""
    shape = seeds[0].about.shape
    if len(shape) != 2:
        return
    first, deepest = seeds[0], seeds[0].layers - 1
    wanted = [(f"layer {k + 1}", PLAIN, k) for k in range(first.layers)]
    wanted += [(v, v, deepest) for v in first.variants[1:]]
    rows = []
    for _, variant, k in wanted:
        found = first.fields[variant][k]
        order = np.argsort(-(found**2).sum(axis=0), kind="stable")[:SHOWN]
        largest = np.maximum(np.abs(found[:, order]).max(axis=0), np.finfo(float).tiny)
        scaled = np.rint(127 * found[:, order] / largest).astype(int)
        rows.append([panel.reshape(shape).tolist() for panel in scaled.T])
    data.panels.append(Panels(
        f"pictures-{name}", f"Receptive fields of {name}, seed {first.number}", [label for label, _, _ in wanted],
        rows, f"The {SHOWN} strongest units of each layer of the stack, then of the deepest layer of each control; "
        "every field by its own largest weight, blue negative, red positive. Fields of a permuted lattice are mapped "
        "back.",
    ))  # fmt: skip


def _reconstruction(data: FigureData, name: str, seeds: Sequence[Seed]) -> None:
    """How much of a configuration comes back: the mean of v v' over sites."""
    depths = range(1, seeds[0].layers + 1)
    rows = [
        [variant, *(str(Mean(np.array([s.arrays[f"{variant}/overlap"][d].mean() for s in seeds]))) for d in depths)]
        for variant in seeds[0].variants
    ]
    columns = ["stack", *(f"from {d} up" for d in depths)]
    data.tables.append(Table(f"Mean overlap of configurations with what comes back, {name}", columns, rows))


def _couplings(data: FigureData, name: str, seeds: Sequence[Seed], system: System) -> list[Estimate]:
    """Couplings of what comes back, by depth and by passes; of the bank itself an estimate."""
    about = seeds[0].about
    sums = LocalSums(about.operators, len(about.shape))
    first = sums.names[0]
    known = about.beta if first == "nn" and not any(system.model.params.values()) else None
    for axis, places, title, caption in (
        ("sets", list(range(seeds[0].layers + 1)), "depth of reconstruction, layers",
         "Coupling of configurations that come back from so many layers up; 0 is the bank itself."),
        ("passes", list(about.passes), "passes through the first machine",
         "Coupling of configurations after so many passes; a flow to one value wherever it begins is no sign of RG."),
    ):  # fmt: skip
        curves = []
        for variant in seeds[0].variants:
            means = [_coupling(seeds, sums, f"{variant}/{axis}", k) for k in range(len(places))]
            curves.append(_curve(variant, [(float(p), m) for p, m in zip(places, means, strict=True) if m is not None]))
        data.figures.append(Figure(
            f"couplings-{axis}-{name}", f"Coupling {first} by pseudo-likelihood, {name}", title, f"K_{first}", curves,
            caption + " Errors are those of the mean over seeds.", xscale="log" if axis == "passes" else "linear",
            reference=Mark("of the bank", y=known) if known else None,
        ))  # fmt: skip
    return _of_bank(name, seeds, sums, known)


def _coupling(seeds: Sequence[Seed], sums: LocalSums, key: str, k: int) -> Mean | None:
    """The first operator's, seed by seed; None where some counts do not bound it."""
    try:
        return Mean(np.array([couplings.fit(sums, s.arrays[key][k].sum(axis=0))[0] for s in seeds]))
    except InputError:
        return None


def _of_bank(name: str, seeds: Sequence[Seed], sums: LocalSums, known: float | None) -> list[Estimate]:
    """The bank's own coupling, which is known: chains tested by some seed, each once; none of a single chain."""
    about = seeds[0].about
    by_chain = {chain: seed.arrays[f"{PLAIN}/sets"][0][i] for seed in seeds for i, chain in enumerate(seed.about.test)}
    if len(by_chain) < 2:
        return []
    value, replicas = couplings.measured(sums, [by_chain[c] for c in sorted(by_chain)], f"stack {name}")
    reference = Reference(known, source="of the bank") if known else None
    return [Estimate(
        f"K_{sums.names[0]}", "pseudo-likelihood", about.model, (about.size,), float(value[0]),
        {about.id: replicas[:, 0]}, source=(about.id,), reference=reference,
        settings={"operators": list(sums.names), "chains": len(by_chain)},
    )]  # fmt: skip


def _likelihood(data: FigureData, name: str, seeds: Sequence[Seed], system: System) -> list[Estimate]:
    """-ln p per site of the first machine on chains it never saw, beside the exact entropy. ln Z is bracketed from both
    sides; the lower end counts in the model's favour, and below the entropy by it is a mistake."""
    about, n = seeds[0].about, math.prod(seeds[0].about.shape)
    if not all("log_z" in s.arrays for s in seeds):
        return []
    exact = thermal(system, about.beta)
    entropy = exact.ln_z.value + about.beta * exact.energy.value if exact else None
    rows, kept = [], []
    for s in seeds:
        energy, (forward, reverse) = s.arrays["energy"], s.arrays["log_z"]
        chains = Mean(energy / n)
        low = (chains.value * n + min(forward[0], reverse[0])) / n
        high = (chains.value * n + max(forward[0], reverse[0])) / n
        error = math.hypot(0.0 if math.isnan(chains.error) else chains.error, max(forward[1], reverse[1]) / n)
        kept.append((low, high, error))
        rows.append([str(s.number), format_error(low, error), format_error(high, error),
                     f"{forward[2]:.2f}", f"{forward[0]:.2f}", f"{reverse[0]:.2f}", f"{reverse[2]:.2f}"])  # fmt: skip
        if entropy is not None and low + BELOW * error < entropy:
            text = f"stack {name}, seed {s.number}: -ln p = {low:.5f} per site is below the exact entropy {entropy:.5f}"
            data.notes.append(Note("failure", f"{text}; the test data or ln Z are wrong"))
    columns = ["seed", "-ln p per site, least", "most", "forward bound of ln Z", "forward", "reverse", "reverse bound"]
    known = f"; exact entropy {entropy:.6f}" if entropy is not None else ""
    data.tables.append(Table(f"Likelihood of the first machine of {name}{known}", columns, rows))
    if entropy is None:
        return []
    middle = np.array([(low + high) / 2 for low, high, _ in kept])
    parts = {"chains": float(np.mean([error for *_, error in kept])),
             "ln Z": max((high - low) / 2 for low, high, _ in kept)}  # fmt: skip
    parts |= {"seed": Mean(middle).error} if len(kept) > 1 else {}
    return [Estimate(
        "divergence per site", "rbm/first machine", about.model, (about.size,),
        float(middle.mean()) - entropy, {}, systematic=parts, source=(about.id,),
        settings={"entropy": entropy, "seeds": len(seeds)},
    )]  # fmt: skip

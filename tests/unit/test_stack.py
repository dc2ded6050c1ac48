"""Stacks of machines: stopped and resumed, controls, what is measured of them, and what is refused."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from hpcrg import checkpoint
from hpcrg.analysis import stacks
from hpcrg.bank import write_bank
from hpcrg.campaign import StackSpec, parse
from hpcrg.edges.stacking import run_stack
from hpcrg.errors import CorruptFile, InputError, Interrupted
from hpcrg.learn import data
from hpcrg.learn.limits import Limits
from hpcrg.learn.rbm import controls, stack
from hpcrg.system import System

BETA, CHAINS, DRAWS = 0.35, 6, 300
SPEC = StackSpec(
    ensemble="small", layers=(6, 3), epochs=1, batch=60, seeds=3, l1=0.001, annealing=50, negative="pcd",
    operators=("nn",),
)  # fmt: skip
HERE = torch.device("cpu")
NEVER = Limits(1e9, lambda: False)


@pytest.fixture(scope="module", autouse=True)
def as_before():
    before = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def exact():
    """Independent draws of the 4 x 4 torus, [chain, draw, y, x], with energies and magnetisations."""
    bits = np.arange(2**16, dtype=np.uint32)[:, None] >> np.arange(16) & 1
    spins = (2 * bits.astype(np.int8) - 1).reshape(-1, 4, 4)
    energy = -(spins * np.roll(spins, 1, 2) + spins * np.roll(spins, 1, 1)).sum((1, 2), dtype=np.int64)
    logs = -BETA * energy
    state = np.random.default_rng(3).choice(2**16, (CHAINS, DRAWS), p=np.exp(logs - logsumexp(logs)))
    return spins[state], energy[state], spins.sum((1, 2), dtype=np.int64)[state]


@pytest.fixture
def bank(small, exact, tmp_path):
    spins, energy, order = (a[:, None] for a in exact)
    ensemble = small(size=4, betas=(BETA,), exchange=False, chains=CHAINS, draws=DRAWS, measure=4, keep=4)
    write_bank(tmp_path / "bank.h5", ensemble, spins, {"energy": energy, "order": order})
    return tmp_path / "bank.h5"


def job(bank, number=0, **changes):
    return stack.Job(data.source(bank), SPEC.model_copy(update=changes), 8, number)


def train(bank, file, limits=NEVER, **changes):
    return stack.named(stack.train(job(bank, **changes), file, HERE, limits, lambda *_: None))


class StopsAfter:
    """Asks to stop at every so many questions."""

    def __init__(self, updates):
        self.left = self.updates = updates

    def __call__(self):
        self.left -= 1
        return self.left < 0


def in_pieces(bank, file, **changes):
    for _ in range(200):
        try:
            return train(bank, file, Limits(1e9, StopsAfter(5)), **changes)
        except Interrupted:
            pass
    raise AssertionError("never ended")


@pytest.mark.parametrize("negative", ["cd", "pcd", "tempered"])
def test_stopped_and_resumed_to_the_same_bits(bank, tmp_path, negative):
    whole = train(bank, tmp_path / "whole", negative=negative)
    pieces = in_pieces(bank, tmp_path / "pieces", negative=negative)
    assert whole.keys() == pieces.keys()
    assert all(np.array_equal(whole[key], pieces[key]) for key in whole)


def test_a_checkpoint_without_its_generator_is_another_run(bank, tmp_path, monkeypatch):
    """Twin of the test before: chains that go on with other random numbers."""
    whole = train(bank, tmp_path / "whole")
    save = checkpoint.save

    def forgetful(path, arrays):
        state = torch.Generator().manual_seed(1).get_state().numpy()
        save(path, {k: state if k == "trainer/generator" else v for k, v in arrays.items()})

    monkeypatch.setattr(checkpoint, "save", forgetful)
    pieces = in_pieces(bank, tmp_path / "pieces")
    assert not all(np.array_equal(whole[key], pieces[key]) for key in whole)


def test_an_altered_checkpoint_is_refused(bank, tmp_path):
    train(bank, tmp_path / "file")
    content = bytearray((tmp_path / "file").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CorruptFile, match="sha256"):
        train(bank, tmp_path / "file")


def test_weights_that_diverge_are_refused(bank, tmp_path):
    with pytest.raises(InputError, match="expected weights that stay finite with rate 3e"):
        train(bank, tmp_path / "file", rate=3e38, l1=0.0)


def test_what_controls_see(bank, exact):
    """Sites keep their number of up spins where they are shuffled, all draws alike where they are permuted, nothing where
    they are random."""
    wanted = job(bank)
    codes = (exact[0][0] > 0).astype(np.uint8).reshape(DRAWS, 16)
    rng = np.random.default_rng(5)
    seen = {name: controls.seen(name, codes, wanted.order, rng) for name in controls.NAMES}
    assert np.array_equal(seen["plain"], codes)
    assert np.array_equal(seen["shuffled"].sum(1), codes.sum(1))
    assert np.array_equal(seen["permuted"], codes[:, wanted.order])
    assert len(set(wanted.order.tolist())) == 16
    spins = {name: (2.0 * s - 1).reshape(-1, 4, 4) for name, s in seen.items()}
    bonds = {name: (s * np.roll(s, 1, 2)).mean() for name, s in spins.items()}
    assert bonds["plain"] > 0.4
    within = {name: abs(bonds[name]) for name in ("shuffled", "permuted", "random")}
    assert all(value < bonds["plain"] - 0.05 for value in within.values()), bonds
    assert abs(spins["random"].mean()) < 5 / math.sqrt(DRAWS * 16)


def test_no_chain_is_trained_on_and_tested(bank):
    splits = [job(bank, number).split for number in range(CHAINS)]
    assert sorted(c for s in splits for c in s.test) == list(range(CHAINS))
    assert all(not set(s.test) & set(s.training) for s in splits)


def test_more_seeds_change_no_seed_that_is_there(bank):
    few, many = job(bank, 1), job(bank, 1, seeds=9)
    assert (few.id, few.split) == (many.id, many.split)
    assert few.id != job(bank, 2).id != job(bank, 1, rate=0.2).id


def outputs(bank, tmp_path, spec=SPEC, name="deep"):
    files = [tmp_path / f"seed{k}.stack" for k in range(spec.seeds)]
    for k, file in enumerate(files):
        run_stack(bank, name, spec, 8, k, file, tmp_path / "state", None, 30.0)
    return files


def system(bank):
    e = data.source(bank).ensemble
    return System(e.physics, e.geometry)


def test_all_seeds_together(bank, tmp_path):
    """The bank's own coupling is found, no likelihood is below the entropy, and every variant has fields."""
    spec = SPEC.model_copy(update={"epochs": 30, "rate": 0.3, "layers": (12, 3)})
    files = outputs(bank, tmp_path, spec)
    estimates, figures = stacks.run(files, "deep", system(bank))
    found = {e.quantity: e for e in estimates}
    assert abs(found["K_nn"].pull) < 3.5
    assert found["K_nn"].error < 0.02
    gap = found["divergence per site"]
    assert 0 < gap.value < 0.05, gap
    assert not [n for n in figures.notes if n.level == "failure"]
    assert {row[0] for row in figures.tables[0].rows} == set(controls.NAMES)
    curves = {c.label: c.y for f in figures.figures if f.name == "couplings-sets-deep" for c in f.curves}
    assert curves["plain"][0] == pytest.approx(BETA, abs=0.05)
    assert curves["permuted"][0] == pytest.approx(curves["plain"][0], abs=1e-12)
    assert abs(curves["shuffled"][0]) < BETA - 0.1
    back = {row[0]: float(row[1].partition("(")[0]) for row in figures.tables[1].rows}
    assert back["plain"] > 0.3 > abs(back["random"])
    assert abs(curves["random"][0]) < 0.02


def test_a_likelihood_below_the_entropy_is_a_failure(bank, tmp_path):
    """Twin: ln Z too small, as by sampling that has missed most of it, makes a model better than the truth."""
    spec = SPEC.model_copy(update={"seeds": 1})
    (file,) = outputs(bank, tmp_path, spec)
    arrays = checkpoint.load(file)
    arrays["log_z"][:, [0, 2]] -= 16 * 0.5
    checkpoint.save(file, arrays)
    _, figures = stacks.run([file], "deep", system(bank))
    assert [n for n in figures.notes if n.level == "failure" and "below the exact entropy" in n.text]


def measured(variant):
    """What a file says of a variant besides its weights."""
    return {
        f"{variant}/sets": np.ones((3, 1, 9)),
        f"{variant}/passes": np.ones((1, 1, 9)),
        f"{variant}/overlap": np.ones((3, 1)),
    }


def local_stack(seed, order=None, widths=(0.6, 1.5)):
    """A file of one seed with fields that are Gaussian and grow with depth; a permuted variant has the same ones."""
    size, units = 8, (64, 64, 16)
    x = np.arange(size)
    near = np.minimum(abs(x[:, None] - x), size - abs(x[:, None] - x)) ** 2
    apart = (near[:, None, :, None] + near[None, :, None, :]).reshape(64, 64)
    rng = np.random.default_rng(seed)
    first = np.exp(-apart / (4 * widths[0] ** 2)) * rng.choice([-1, 1], 64)
    second = np.exp(-apart / (4 * widths[1] ** 2))[:, ::4] * rng.normal(1, 0.05, (64, 16))
    order = rng.permutation(64) if order is None else order
    arrays = {"order": order}
    for variant, sites in (("plain", np.arange(64)), ("permuted", order)):
        arrays |= {f"{variant}/weights/0": first[sites].astype(np.float32), f"{variant}/weights/1": second}
        arrays |= measured(variant)
    arrays["random/weights/0"], arrays["random/weights/1"] = rng.normal(size=(64, 64)), rng.normal(size=(64, 16))
    arrays |= measured("random")
    about = {"schema": "hpcrg.stack/1", "stack": "deep", "number": seed, "id": "0" * 16, "label": "warm-L8",
             "model": "ising", "beta": 0.3, "size": size, "shape": [size, size], "units": units, "passes": [1],
             "variants": ["plain", "random", "permuted"], "operators": ["nn"], "test": [seed], "draws": 9}  # fmt: skip
    return {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)} | arrays


def notes(tmp_path, made, bank):
    files = []
    for k, arrays in enumerate(made):
        checkpoint.save(tmp_path / f"{k}.stack", arrays)
        files.append(tmp_path / f"{k}.stack")
    return stacks.run(files, "deep", system(bank))


def test_fields_that_grow_are_told_from_those_that_do_not(bank, tmp_path):
    _, figures = notes(tmp_path, [local_stack(k) for k in range(5)], bank)
    told = " ".join(n.text for n in figures.notes)
    assert "fields grow with depth" in told
    assert "control random" in told
    assert "which is not" not in told
    assert not [n for n in figures.notes if n.level == "warning"]
    rows = {(row[0], row[1]): row for row in figures.tables[0].rows}
    assert rows["plain", "1"][3] == rows["permuted", "1"][3]
    assert len(figures.panels[0].rows) == 4


def test_a_control_without_weights_is_told_by_its_units(bank, tmp_path):
    """Some seeds, or all, have no unit left in a layer: their number differs from that of the stack instead."""
    made = [local_stack(k) for k in range(5)]
    for k, arrays in enumerate(made):
        arrays["random/weights/0"] = np.zeros((64, 64), np.float32)
        arrays["random/weights/1"] = arrays["random/weights/1"] * (np.arange(16) < k)
    _, figures = notes(tmp_path, made, bank)
    rows = {(row[0], row[1]): row for row in figures.tables[0].rows}
    assert rows["random", "1"][2:] == ["0 of 64", "", "", "", "", "units: -64 in every seed"]
    assert not [n for n in figures.notes if n.level == "warning"]
    (told,) = [n.text for n in figures.notes if "control random" in n.text]
    assert "-inf (units with weights)" in told


def test_a_permutation_that_is_not_undone_is_seen(bank, tmp_path):
    """Twin: the file names another permutation than the weights have."""
    made = [local_stack(k) for k in range(5)]
    for arrays in made:
        arrays["order"] = arrays["order"][::-1]
    _, figures = notes(tmp_path, made, bank)
    assert [n for n in figures.notes if n.level == "warning" and "control permuted" in n.text]


def test_what_is_refused(bank, tmp_path):
    a, b = local_stack(0), local_stack(1)
    with pytest.raises(InputError, match="every seed once"):
        notes(tmp_path, [a, a], bank)
    about = json.loads(bytes(b["about"])) | {"beta": 0.4}
    b["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with pytest.raises(InputError, match=r"seed 1: beta: expected 0.3 as for seed 0, found 0.4"):
        notes(tmp_path, [a, b], bank)
    checkpoint.save(tmp_path / "other", {"weights": np.ones(3)})
    with pytest.raises(CorruptFile, match=r"hpcrg.stack/1"):
        stacks.run([tmp_path / "other"], "deep", system(bank))
    with pytest.raises(InputError, match=r"--number: expected 0 to 2, found 3"):
        run_stack(bank, "deep", SPEC, 8, 3, tmp_path / "x", tmp_path / "state", None, 30.0)


CAMPAIGN = """
name: deep
seed: 1
model: {type: %s}
ensembles:
  warm: {sizes: [%s], ladder: {temperatures: [%s]}, updates: [{type: metropolis}], chains: %d, draws: 10}
stack: {deep: {ensemble: warm, layers: [4], operators: [%s]}}
"""


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (("potts, q: 3", "8", "2.0", 4, "nn"), "two-valued spins"),
        (("ising", "8, 16", "2.0", 4, "nn"), "one size at one temperature, found 1 and 2"),
        (("ising", "8", "2.0, 2.1", 4, "nn"), "one size at one temperature, found 2 and 1"),
        (("ising", "8", "2.0", 2, "nn"), "at least 3 chains"),
        (("ising", "8", "2.0", 4, "nm"), "found 'nm'"),
    ],
)
def test_campaigns_that_do_not_fit(values, told):
    with pytest.raises(InputError, match=told):
        parse(CAMPAIGN % values, "c.yaml")


def test_a_campaign_that_fits():
    found = parse(CAMPAIGN % ("ising", "8", "2.0", 4, "nn, nnn"), "c.yaml")
    assert found.stack_files("deep")[9] == "stack/deep/seed9.stack"

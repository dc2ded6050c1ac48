"""Malformed campaigns: each mistake gives exit status 2 and one message that names its place, and writes nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hpcrg.campaign import Campaign, load, parse
from hpcrg.errors import InputError

GOOD = """
name: small
seed: 7
model: {type: ising}
lattice: {type: hypercubic, dimension: 2}
ensembles:
  scan: {sizes: [8, 16], ladder: {temperatures: [2.2, 2.4, 2.3]}, updates: [{type: swendsen_wang}], draws: 10}
  critical: {sizes: [16], ladder: {critical: true}, updates: [{type: wolff, repeat: 3}], draws: 10}
scale:
  fss: {ensemble: scan}
flow:
  majority: {ensemble: critical, scheme: majority, levels: 2}
train:
  cnn: {ensemble: scan, cold: 1, hot: 1}
"""

TAIL = GOOD[GOOD.index("scale:") :]
LINE = "{sizes: [8], ladder: {temperatures: [2.2, 2.4, 2.6]}, updates: [{type: metropolis}], draws: 10}"
POINT = "{sizes: [8, 16], ladder: {temperatures: [2.2]}, updates: [{type: metropolis}], draws: 10}"
TUNED = "{tune: {coldest: 2, hottest: 3, slots: 3}}"
FLOW = "scale: {fss: {ensemble: scan}}\nflow: {majority: {ensemble: critical, scheme: majority"

TAUGHT = "taught_by: {campaign: square, train: nets, ensemble: phases, size: 8}"
ONLY_SCALE, ONLY_TRAIN = "scale: {fss: {ensemble: scan}}", "train: {cnn: {ensemble: scan, cold: 1, hot: 1}}"

MISTAKES = {
    "unknown key at the top": ("seed: 7", "sed: 7", "'sed'", "did you mean 'seed'"),
    "unknown key in a group": ("draws: 10}\n  critical", "drawz: 10}\n  critical", "ensembles.scan.drawz", "did you mean 'draws'"),
    "typo in the model": ("type: ising", "type: isign", "model", "did you mean 'ising'"),
    "typo in an update": ("type: swendsen_wang", "type: swendsen_weng", "ensembles.scan.updates[0].type", "swendsen_wang"),
    "typo in the lattice": ("type: hypercubic", "type: hypercubik", "lattice.type", "hypercubic"),
    "unknown scheme": ("scheme: majority", "scheme: majorty", "flow.majority.scheme", "did you mean 'majority'"),
    "negative size": ("sizes: [8, 16]", "sizes: [8, -16]", "ensembles.scan.sizes[1]", "-16"),
    "text for a number": ("seed: 7", "seed: seven", "seed", "'seven'"),
    "number as text": ("draws: 10}\n  critical", "draws: '10'}\n  critical", "ensembles.scan.draws", "'10'"),
    "a size that is no integer": ("sizes: [8, 16]", "sizes: [8, 16.5]", "ensembles.scan.sizes[1]", "16.5"),
    "empty ladder": ("[2.2, 2.4, 2.3]", "[]", "ensembles.scan.ladder.temperatures", "empty"),
    "a temperature twice": ("[2.2, 2.4, 2.3]", "[2.2, 2.4, 2.2]", "ensembles.scan.ladder.temperatures", "2.2 2 times"),
    "a temperature of zero": ("[2.2, 2.4, 2.3]", "[2.2, 0, 2.3]", "ensembles.scan.ladder.temperatures", "positive"),
    "temperatures and betas": ("{temperatures: [2.2, 2.4, 2.3]}", "{temperatures: [2.2], betas: [0.4]}", "ensembles.scan.ladder", "exactly one"),
    "a size twice": ("sizes: [8, 16]", "sizes: [8, 8]", "ensembles.scan", "8 2 times"),
    "a size that blocks do not divide": ("sizes: [16]", "sizes: [18]", "flow.majority.levels", "18"),
    "ranks 0": ("seed: 7", "seed: 7\nresources: {ranks: 0}", "resources.ranks", "0"),
    "draws 0": ("draws: 10}\n  critical", "draws: 0}\n  critical", "ensembles.scan.draws", "0"),
    "no updates": ("updates: [{type: swendsen_wang}]", "updates: []", "ensembles.scan.updates", "at least 1"),
    "exchange on one temperature": ("repeat: 3}], draws", "repeat: 3}], exchange: true, draws", "ensembles.critical.exchange", "at least 2"),
    "a flow of nothing": ("ensemble: critical", "ensemble: critcal", "flow.majority.ensemble", "did you mean 'critical'"),
    "a flow over a ladder": ("ensemble: critical", "ensemble: scan", "flow.majority.ensemble", "one temperature"),
    "networks of a size that there is not": ("hot: 1", "hot: 1, size: 12", "train.cnn.size", "one of ensembles.scan.sizes"),
    "a network of one size for all": ("hot: 1", "hot: 1, size: 8, net: dense", "train.cnn.net", "any size: cnn, resnet"),
    "a fully connected network of elsewhere": ("hot: 1", f"hot: 1, net: dense, {TAUGHT}", "train.cnn.net", "with `taught_by`, architectures that take any size"),
    "networks of elsewhere that are trained": ("hot: 1", f"hot: 1, epochs: 3, size: 8, {TAUGHT}", "train.cnn", "found size, epochs"),
    "networks that a campaign trains itself": ("hot: 1", f"hot: 1, {TAUGHT.replace('square', 'small')}", "train.cnn.taught_by.campaign", "another campaign"),
    "regressors of elsewhere": ("hot: 1", f"hot: 1, objective: regressor, {TAUGHT}", "train.cnn", "expected the objective classifier beside taught_by"),
    "networks of nowhere": ("hot: 1", "hot: 1, taught_by: {campaign: square, train: nets, ensemble: phases}", "train.cnn.taught_by.size", "expected a value, found none"),
    "an architecture twice": ("hot: 1", "hot: 1, net: [cnn, cnn]", "train.cnn.net", "each architecture once"),
    "labels that cover the ladder": ("cold: 1, hot: 1", "cold: 2, hot: 1", "train.cnn", "cold + hot"),
    "too few chains to split": ("draws: 10}\n  critical", "draws: 10, chains: 2}\n  critical", "train.cnn", "at least 3 chains"),
    "keep that measurements do not divide": ("draws: 10}\n  critical", "draws: 10, keep: 5, measure: 2}\n  critical", "ensembles.scan", "multiple"),
    "q below 2": ("{type: ising}", "{type: potts, q: 1}", "model", "q"),
    "a name that leaves the results": ("name: small", "name: ../small", "name", "../small"),
    "a key twice": ("seed: 7", "seed: 7\nseed: 8", "seed", "second time"),
    "blocks that leave one site": ("levels: 2", "levels: 4", "flow.majority.levels", "more than one site"),
    "operators that fold on the last lattice": ("levels: 2", "levels: 3", "flow.majority.even", "third folded onto itself"),
    "odd operators that fold": ("levels: 2", "levels: 3, even: [nn], odd: [line]", "flow.majority.odd", "line folded"),
    "operators of more dimensions": ("levels: 2", "levels: 2, even: [nn, body_diagonal]", "flow.majority.even", "'body_diagonal'"),
    "a scale of one size": (TAIL, f"  line: {LINE}\nscale: {{fss: {{ensemble: line}}}}", "scale.fss.ensemble", "at least 2 sizes"),
    "a scale at one temperature": (TAIL, f"  point: {POINT}\nscale: {{fss: {{ensemble: point}}}}", "scale.fss.ensemble", "2 or more temperatures"),
    "training on one size": (TAIL, f"  line: {LINE}\ntrain: {{cnn: {{ensemble: line, cold: 1, hot: 1}}}}", "train.cnn.ensemble", "at least 2 sizes"),
    "more blocks than measurements": ("fss: {ensemble: scan", "fss: {ensemble: scan, blocks: 101", "scale.fss.blocks", "1 to 100 (the measurements"),
    "more blocks than draws": ("levels: 2", "levels: 2, blocks: 11", "flow.majority.blocks", "1 to 10 (the draws"),
    "steps that no number can take": ("hot: 1", "hot: 1, learning_rate: 1.0e+40", "train.cnn.learning_rate", "less than or equal to"),
    "fewer examples than lanes": ("hot: 1", "hot: 1, batch: 15", "train.cnn.batch", "greater than or equal to 16"),
    "more blocks than draws to test on": ("hot: 1", "hot: 1, blocks: 11", "train.cnn.blocks", "1 to 10 (the draws"),
    "one block in all": (f"draws: 10}}\n{TAIL}", f"draws: 10, chains: 1}}\n{FLOW}, levels: 2, blocks: 1}}}}", "flow.majority.blocks", "at least 2 jackknife blocks"),
    "one block to test on": ("draws: 10}\n  critical", "draws: 10, chains: 3}\n  critical", "hot: 1", "hot: 1, seeds: 1, blocks: 1", "train.cnn.blocks", "at least 2 jackknife blocks"),
    "two groups that are one": (TAIL, "  again: {sizes: [16, 32], ladder: {critical: true}, updates: [{type: wolff, repeat: 3}], draws: 20}", "ensembles.again", "again-L16 the same as critical-L16"),
    "two tuned groups that are one": (TAIL, "".join(f"  {g}: {{sizes: [8], ladder: {TUNED}, updates: [{{type: metropolis}}], draws: 9}}\n" for g in "ab"), "ensembles.b", "b-L8 the same as a-L8"),
    "a ladder tuned once": ("{temperatures: [2.2, 2.4, 2.3]}", TUNED.replace("slots: 3", "slots: 3, iterations: 1"), "ensembles.scan.ladder.tune.iterations", "equal to 2"),
    "measurements too far apart to count": ("draws: 10}\n  critical", "draws: 10, keep: 65536, measure: 65536}\n  critical", "ensembles.scan.measure", "65535"),
    "a scale of few samples": ("[2.2, 2.4, 2.3]", "[2.2, 2.4, 2.3, 2.5]", "draws: 10}", "draws: 10, chains: 7}", "type: ising", "type: diluted_ising, bond: 0.2", "critical: true", "temperatures: [2.2]", TAIL, ONLY_SCALE, "scale.fss", "at least 8 samples of the disorder"),
    "a scale of samples at few temperatures": ("type: ising", "type: diluted_ising, bond: 0.2", "critical: true", "temperatures: [2.2]", TAIL, ONLY_SCALE, "scale.fss.ensemble", "at least 4 temperatures"),
    "a scale of a glass without overlap": ("[2.2, 2.4, 2.3]", "[2.2, 2.4, 2.3, 2.5]", "type: ising", "type: edwards_anderson", "critical: true", "temperatures: [2.2]", "draws: 10}", "draws: 10, copies: 1}", TAIL, ONLY_SCALE, "scale.fss.ensemble", "2 copies or more"),
    "training on disorder": ("type: ising", "type: diluted_ising, bond: 0.2", "critical: true", "temperatures: [2.2]", TAIL, ONLY_TRAIN, "train.cnn.ensemble", "without disorder"),
    "training on two sublattices": ("hypercubic, dimension: 2", "honeycomb", TAIL, ONLY_TRAIN, "train.cnn.ensemble", "one site a cell, as networks see it, found 'honeycomb'"),
    "copies that exchange clusters": ("[{type: swendsen_wang}]", "[{type: swendsen_wang}, {type: houdayer}], copies: 2", TAIL, ONLY_SCALE, "scale.fss.ensemble", "found the update houdayer"),
    "planar spins off the square lattice": ("type: ising", "type: xy", "hypercubic, dimension: 2", "triangular", "critical: true", "temperatures: [2.2]", TAIL, ONLY_SCALE, "scale.fss.ensemble", "helicity modulus"),
    "a flow off the hypercubic lattice": ("hypercubic, dimension: 2", "triangular", "flow.majority.ensemble", "periodic hypercubic lattice of at most 3 dimensions, found 'triangular"),
    "a flow with free boundaries": ("dimension: 2", "dimension: 2, boundary: free", "flow.majority.ensemble", "periodic hypercubic"),
    "a flow in four dimensions": ("dimension: 2", "dimension: 4", "critical: true", "temperatures: [6.68]", "flow.majority.ensemble", "at most 3 dimensions"),
    "a model that nothing samples": (GOOD[GOOD.index("ensembles:") :], "percolation: {p: {type: site, sizes: [8, 16], realisations: 10}}", "model", "expected none"),
    "no YAML at all": ("name: small", "name: [small", "YAML", "line"),
}  # fmt: skip


def broken(mistake):
    *edits, place, hint = MISTAKES[mistake]
    text = GOOD
    for old, new in zip(edits[::2], edits[1::2], strict=True):
        assert text.count(old) >= 1
        text = text.replace(old, new, 1)
    return text, place, hint


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_named(mistake):
    text, place, hint = broken(mistake)
    with pytest.raises(InputError) as caught:
        parse(text, "c.yaml")
    message = str(caught.value)
    assert place in message
    assert hint in message
    assert len(message.splitlines()) == 1


def test_all_mistakes_are_named_at_once():
    text = GOOD.replace("seed: 7", "seed: seven").replace("scheme: majority", "scheme: majorty")
    with pytest.raises(InputError) as caught:
        parse(text, "c.yaml")
    assert len(str(caught.value).splitlines()) == 2


def test_a_mistake_ends_the_command_with_status_2_and_writes_nothing(tmp_path):
    for mistake in ("unknown key at the top", "ranks 0", "a temperature twice"):
        (tmp_path / "c.yaml").write_text(broken(mistake)[0])
        before = sorted(p.name for p in tmp_path.iterdir())
        for verb in (["plan", "c.yaml"],
                     ["sample", "c.yaml", "--ensemble", "scan-L8", "--output", "b.h5", "--state", "state"]):  # fmt: skip
            run = subprocess.run([sys.executable, "-m", "hpcrg", *verb], cwd=tmp_path, capture_output=True, text=True)
            assert run.returncode == 2
            assert "Traceback" not in run.stderr
            assert run.stderr.startswith("error: c.yaml")
            assert sorted(p.name for p in tmp_path.iterdir()) == before


SERIES = """
name: series
seed: 7
model: {type: ising}
percolation:
  site: {type: site, sizes: [8, 16], realisations: 10}
dimers:
  free: {sizes: [8, 16], samples: 10}
flat_histogram:
  flat: {sizes: [4, 8], turns: [-1.5, -0.5]}
population:
  cold: {sizes: [4], coldest: 2.0, walkers: 20}
probability_changing:
  half: {sizes: [8, 16], sweeps: 100}
"""
SERIES_MISTAKES = {
    "typo in a method": ("percolation:", "percolatoin:", "percolatoin", "did you mean 'percolation'"),
    "typo in a key": ("realisations", "realizations", "percolation.site.realizations", "did you mean 'realisations'"),
    "another type": ("type: site", "type: sites", "percolation.site.type", "'sites'"),
    "one size": ("type: site, sizes: [8, 16]", "type: site, sizes: [8]", "percolation.site", "at least 2 sizes"),
    "a size twice": ("site, sizes: [8, 16]", "site, sizes: [8, 8]", "percolation.site", "8 2 times"),
    "one chain": ("realisations: 10", "realisations: 10, chains: 1", "percolation.site.chains", "1"),
    "odd tori": ("{sizes: [8, 16], samples", "{sizes: [8, 20], samples", "dimers.free", "divisible by 8"),
    "another algorithm": ("samples: 10", "samples: 10, algorithm: loops", "dimers.free.algorithm", "'loops'"),
    "turns the wrong way": ("[-1.5, -0.5]", "[-0.5, -1.5]", "flat_histogram.flat", "ascending"),
    "turns out of the window": ("turns:", "lowest: -1.4, turns:", "flat_histogram.flat", "turns: expected energies from -1.4 to inf"),
    "a flat histogram with free boundaries": ("model: {type: ising}", "model: {type: ising}\nlattice: {type: hypercubic, dimension: 2, boundary: free}", "flat_histogram.flat", "periodic or helical"),
    "a flat histogram of disorder": ("type: ising", "type: diluted_ising, bond: 0.2", "flat_histogram.flat", "without disorder"),
    "fields without infinite temperature": ("type: ising", "type: phi4, lam: 1.0", "population.cold", "distribution at infinite temperature"),
    "nu without a shift": ("sweeps: 100", "sweeps: 100, rule: self_dual, nu: 1.0", "probability_changing.half", "nu: expected none"),
    "clusters with disorder": ("type: ising", "type: diluted_ising, site: 0.2", "probability_changing.half", "without disorder"),
    "a window upside down": ("turns:", "lowest: -0.5, highest: -1.0, turns:", "flat_histogram.flat", "lowest < highest"),
    "a temperature of zero": ("coldest: 2.0", "coldest: 0.0", "population.cold.coldest", "0.0"),
    "another update": ("coldest: 2.0", "coldest: 2.0, update: heat_bat", "population.cold.update", "did you mean 'heat_bath'"),
    "an update of packed spins": ("coldest: 2.0", "coldest: 2.0, update: multispin", "population.cold", "multispin"),
    "another rule": ("sweeps: 100", "sweeps: 100, rule: self_deal", "probability_changing.half.rule", "did you mean 'self_dual'"),
    "no nu": ("type: ising", "type: potts, q: 10", "probability_changing.half", "nu"),
    "clusters that are not alike": ("type: ising", "type: ising, field: 0.5", "probability_changing.half", "with equal chance"),
    "two names alike": ("dimers:\n  free", "dimers:\n  site", "dimers.site", "that of percolation.site"),
    "two series alike": ("probability", "  again: {sizes: [4], coldest: 2.0, walkers: 20}\nprobability", "population.again", "as in cold"),
    "no model": ("model: {type: ising}", "", "model", "flat_histogram.flat"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", SERIES_MISTAKES)
def test_each_mistake_in_a_series_is_named(mistake):
    old, new, place, hint = SERIES_MISTAKES[mistake]
    assert len(parse(SERIES, "c").series()) == 9
    assert old in SERIES
    with pytest.raises(InputError) as caught:
        parse(SERIES.replace(old, new, 1), "c.yaml")
    assert any(place in line and hint in line for line in str(caught.value).splitlines()), caught.value


def test_a_campaign_asks_for_something():
    with pytest.raises(InputError, match="expected something to sample under at least one of ensembles, percolation"):
        parse("name: none\nseed: 1\nmodel: {type: ising}", "c")
    with pytest.raises(InputError, match="expected a model for ensembles"):
        parse(GOOD.replace("model: {type: ising}", ""), "c")
    assert not parse("name: p\nseed: 1\ndimers: {d: {sizes: [8, 16], samples: 5}}", "c").ensembles()


def test_an_unknown_series_is_named_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'site-L8'"):
        parse(SERIES, "c").one_series("site-L9")
    with pytest.raises(InputError, match="did you mean 'site'"):
        parse(SERIES, "c").series_of("sites")


def test_ladders_are_sorted_coldest_first_and_may_be_betas():
    by_temperature = parse(GOOD, "c").ensemble("scan-L8")
    assert by_temperature.temperatures.tolist() == pytest.approx([2.2, 2.3, 2.4])
    by_beta = parse(GOOD.replace("temperatures: [2.2, 2.4, 2.3]", "betas: [0.4, 0.45, 0.5]"), "c").ensemble("scan-L8")
    assert by_beta.betas == (0.5, 0.45, 0.4)


def test_the_id_is_that_of_the_physics_only():
    good = parse(GOOD, "c").ensemble("scan-L8")
    assert (
        parse(GOOD.replace("draws: 10}\n  crit", "draws: 99, chains: 9}\n  crit"), "c").ensemble("scan-L8").id
        == good.id
    )
    assert parse(GOOD.replace("scan", "sweep"), "c").ensemble("sweep-L8").id == good.id
    for old, new in (("seed: 7", "seed: 8"), ("2.4", "2.41"), ("swendsen_wang", "metropolis")):
        assert parse(GOOD.replace(old, new), "c").ensemble("scan-L8").id != good.id


def test_an_unknown_ensemble_is_named_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'scan-L8'"):
        parse(GOOD, "c").ensemble("scan-L9")


def test_default_operators_do_not_fit_one_dimension():
    one = GOOD.replace("dimension: 2", "dimension: 1").replace("critical: true", "temperatures: [1.0]")
    with pytest.raises(InputError) as caught:
        parse(one, "c.yaml")
    even, odd = str(caught.value).splitlines()
    assert "flow.majority.even" in even
    assert "d = 1, found 'nnn'" in even
    assert "flow.majority.odd" in odd
    assert "d = 1, found 'corner'" in odd


def test_betas_are_taken_for_tuned_ladders_only_and_one_a_slot():
    tuned = parse(GOOD.replace("{temperatures: [2.2, 2.4, 2.3]}", TUNED), "c")
    assert tuned.ensemble("scan-L8").betas == ()
    assert tuned.ensemble("scan-L8", [0.5, 0.4, 0.35]).betas == (0.5, 0.4, 0.35)
    for betas in ([], [0.5, 0.4]):
        with pytest.raises(InputError, match=f"scan-L8: expected 3 betas, as .*tune.slots says, found {len(betas)}"):
            tuned.ensemble("scan-L8", betas)
    with pytest.raises(InputError, match=r"scan-L8: expected no betas, since ensembles.scan.ladder is not to be tuned"):
        parse(GOOD, "c").ensemble("scan-L8", [0.5, 0.4, 0.35])


def test_few_chains_are_allowed_with_a_warning():
    text = GOOD.replace("draws: 10}\n  critical", "draws: 10, chains: 4}\n  critical")
    assert [w.split(":")[0] for w in parse(text, "c").warnings()] == ["ensembles.scan.chains"]


def test_few_chains_of_a_series_are_allowed_with_a_warning():
    text = SERIES.replace("samples: 10", "samples: 10, chains: 2").replace("walkers: 20", "walkers: 20, chains: 8")
    assert [w.split(":")[0] for w in parse(text, "c").warnings()] == ["dimers.free.chains"]


def test_the_json_schema_describes_the_good_campaign():
    properties = Campaign.model_json_schema()["properties"]
    assert set(yaml.safe_load(GOOD)) <= set(properties)


@pytest.mark.parametrize("path", sorted(Path("workflow/campaigns").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_campaigns_load(path):
    loaded = load(path)
    assert loaded.ensembles() or loaded.series()

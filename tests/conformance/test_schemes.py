"""What every registered scheme promises."""

import numpy as np
import pytest

from hpcrg.errors import InputError
from hpcrg.models import ising, potts
from hpcrg.schemes import SCHEMES, blocked_shape, tie_keys

MODELS = [ising(), potts(4)]


@pytest.fixture(params=SCHEMES)
def make(request):
    return SCHEMES[request.param]


def draws(model, shape, n=10):
    return model.from_codes(np.random.default_rng(6).integers(0, model.states, (n, *shape)).astype(np.uint8))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("shape", "factor"), [((8,), 2), ((6, 12), 3), ((4, 8, 4), 2)])
def test_block_spins_are_spins_of_the_same_model_on_the_smaller_lattice(make, model, shape, factor):
    spins = draws(model, shape)
    before = spins.copy()
    found = make(factor).coarsen(model, spins, tie_keys(np.uint64(1), 0, 0, 0, 10, 0))
    assert found.shape == (10, *blocked_shape(shape, factor))
    assert found.dtype == np.int8
    assert np.array_equal(model.from_codes(model.codes(found)), found)
    assert np.array_equal(spins, before)


@pytest.mark.parametrize("model", MODELS)
def test_a_draw_is_blocked_by_itself(make, model):
    spins = draws(model, (8, 8))
    scheme, keys = make(2), tie_keys(np.uint64(1), 0, 0, 0, 10, 0)
    whole = scheme.coarsen(model, spins, keys)
    for i in range(10):
        assert np.array_equal(scheme.coarsen(model, spins[i : i + 1], keys[i : i + 1])[0], whole[i])


@pytest.mark.parametrize("model", MODELS)
def test_an_ordered_lattice_stays_ordered(make, model):
    for code in range(model.states):
        spins = model.from_codes(np.full((1, 8, 8), code, np.uint8))
        found = make(2).coarsen(model, spins, tie_keys(np.uint64(1), 0, 0, 0, 1, 0))
        assert np.array_equal(model.codes(found), np.full((1, 4, 4), code))


@pytest.mark.parametrize(("shape", "factor"), [((9, 8), 2), ((8, 8), 3), ((8, 8), 8), ((8, 8), 1)])
def test_lattices_that_do_not_divide_are_refused(make, shape, factor):
    with pytest.raises(InputError, match="expected"):
        make(factor).coarsen(ising(), draws(ising(), shape), np.zeros(10, np.uint64))

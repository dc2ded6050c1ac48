"""Site files: what is read, and every mistake named with its place."""

import pytest

from hpcrg.errors import InputError
from hpcrg.site import Site, load_site


def test_an_empty_site_has_a_launcher_and_names_nothing(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text("")
    site = load_site(path)
    assert site == Site()
    assert site.launcher == "srun --mpi=pmi2 -K1"
    assert site.sampling(4) == site.training(4, 0) == site.place("cpu") == {}


def test_resources_of_rules(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(
        'account = "proj"\nranks_per_node = 4\nprocesses_per_node = 2\ngpu_type = "a"\n[partitions]\ncpu = "batch"\n'
    )
    site = load_site(path)
    cpu = {"slurm_partition": "batch", "slurm_account": "proj"}
    assert site.place("cpu") == site.sampling(1) == cpu
    assert site.sampling(9) == cpu | {"nodes": 3}
    assert site.training(2, 0) == cpu
    assert site.training(2, 2) == {"slurm_account": "proj", "gres": "gpu:a:2", "tasks_per_gpu": -1}
    assert site.training(5, 0) == cpu | {"nodes": 3, "tasks": 3, "mpi": "srun"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acount = 'x'", "acount.*did you mean 'account'"),
        ("account = 'x; rm -rf /'", "account.*letters, digits"),
        ("[partitions]\ncpu = '$(id)'", r"partitions\.cpu.*letters, digits"),
        ("[dask]\njobs = 0", r"dask\.jobs"),
        ("[dask]\njobs = 1", "the interface on which Dask listens"),
        ("interface = 'lo'\n[dask]\ntls = 'no'", r"dask\.tls"),
        ("interface = 'lo'\n[dask.tls]\nca = 'a'\ncert = 'b'", r"dask\.tls.*key"),
        ("ranks_per_node = -1", "ranks_per_node"),
        ("launcher = ''", "launcher"),
        ("account = ", "TOML site file"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "site.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_site(path)
    with pytest.raises(InputError, match="TOML site file"):
        load_site(tmp_path / "missing.toml")

"""Nothing that hpcrg starts on one machine listens beyond the loopback interface."""

import socket
import sys
from pathlib import Path

import psutil
import pytest
from listening import Seen, on_loopback, watch
from verbs import ENVIRONMENT

pytestmark = pytest.mark.slow
HPCRG = [sys.executable, "-m", "hpcrg"]
ALL = "0.0.0.0"  # noqa: S104
ALL6 = "::"
ANYWHERE = """
from distributed import LocalCluster
if __name__ == "__main__":
    LocalCluster(n_workers=1, threads_per_worker=1, host={host!r}, dashboard_address={host!r} + ":0").close()
"""


def watched(command, place, **environment):
    status, seen, text = watch(command, cwd=place, env=ENVIRONMENT | environment)
    assert status == 0, text[-4000:]
    return seen


@pytest.mark.parametrize("more", [[], ["--tls"]])
def test_flow(place, tmp_path, more):
    flow = ["flow", "c.yaml", "critical-L8.h5", "--flow", "majority", "--workers", "2"]
    seen = watched([*HPCRG, *flow, "--output", f"{tmp_path}/f.json", *more], place)
    assert seen.beyond == set()
    assert {"127.0.0.1"} <= {address for _, address, _ in seen.loopback}


@pytest.mark.ddp
def test_train(place, tmp_path):
    train = ["train", "c.yaml", "phases-L8.h5", "phases-L12.h5", "--train", "cnn", "--processes", "2", "--output",
             f"{tmp_path}/s.h5", "--state", f"{tmp_path}/state"]  # fmt: skip
    seen = watched([*HPCRG, *train], place)
    assert seen.beyond == set()
    assert seen.loopback, "gloo listens somewhere"


def sampled(place, tmp_path, launcher, **environment):
    """What listens while two ranks sample."""
    start = [str(Path(sys.executable).with_name(launcher)), "-n", "2", sys.executable, "-m", "mpi4py", "-m", "hpcrg"]
    sample = ["sample", "c.yaml", "--ensemble", "phases-L8", "--output", f"{tmp_path}/b.h5", "--state", f"{tmp_path}/s"]
    return watched([*start, *sample, "--ranks", "2"], place, **environment)


@pytest.mark.mpi
def test_sample(place, tmp_path):
    """hydra's mpiexec holds one port open on all interfaces while it runs, and lets what it starts inherit it; nothing
    else is reachable where ranks talk by shared memory alone."""
    seen = sampled(place, tmp_path, "mpiexec", UCX_TLS="self,sm")
    assert not seen.loopback
    assert len({port for *_, port in seen.beyond}) == 1
    assert "mpiexec" in {program for program, *_ in seen.beyond}


@pytest.mark.mpi
def test_sample_without_hydra(place, tmp_path):
    assert sampled(place, tmp_path, "mpiexec.gforker", UCX_TLS="self,sm") == Seen()


def test_a_scheduler_that_listens_everywhere_is_seen(tmp_path):
    found = {}
    for host in ("127.0.0.1", ALL):
        (tmp_path / "cluster.py").write_text(ANYWHERE.format(host=host))
        found[host] = watched([sys.executable, "cluster.py"], tmp_path)
    assert not found["127.0.0.1"].beyond
    assert ALL in {address for _, address, _ in found[ALL].beyond}


@pytest.mark.parametrize(("address", "loopback"), [("127.0.0.5", True), ("::1", True), ("::ffff:127.0.0.1", True),
                                                   (ALL, False), (ALL6, False), ("10.1.2.3", False)])  # fmt: skip
def test_addresses(address, loopback):
    assert on_loopback(address) == loopback


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
@pytest.mark.parametrize("host", [ALL6, ALL])
def test_both_kinds_of_sockets_are_seen(kind, host):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, getattr(socket, kind)) as waiting:
        waiting.bind((host, 0))
        if kind == "SOCK_STREAM":
            waiting.listen()
        seen = Seen()
        seen.look(psutil.Process())
        assert host in {address for _, address, _ in seen.beyond}

"""Processes of a Dask cluster that die while a graph runs: the estimates of an undisturbed run, or an error and no hang."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import distributed
import pytest

from hpcrg.edges.dask import compute_on, make_client
from hpcrg.errors import InputError

pytestmark = pytest.mark.slow
CAMPAIGN = """
name: faults
seed: 3
model: {type: ising}
ensembles:
  critical: {sizes: [8], ladder: {critical: true}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 50, keep: 1, draws: 400}
flow: {majority: {ensemble: critical, scheme: majority, levels: 1, blocks: 50, check_equilibration: false}}
"""
PATIENCE = 60.0
LOST = 45.0
"""Seconds within which a verb has to say that its scheduler is lost."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The campaign, its bank, and the estimates of an undisturbed run."""
    place = tmp_path_factory.mktemp("faults")
    (place / "c.yaml").write_text(CAMPAIGN)
    finish(verb(place, "sample", "c.yaml", "--ensemble", "critical-L8", "--output", "bank.h5", "--state", "state"))
    finish(flow(place, "calm.json", "--threads", "--workers", "1"))
    return place


def verb(place, *arguments):
    command = [sys.executable, "-m", "hpcrg", *map(str, arguments)]
    return subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True)


def flow(place, output, *more):
    return verb(place, "flow", "c.yaml", "bank.h5", "--flow", "majority", "--output", output, *more)


def finish(process, status=0, limit=120.0):
    """What it said, ended within `limit` seconds."""
    said = process.communicate(timeout=limit)[1]
    assert process.returncode == status, said
    assert "Traceback" not in said
    return said


def estimates(place, name):
    return json.loads((place / name).read_text())


class Cluster:
    """A scheduler and workers as processes of their own, and a look into the scheduler."""

    def __init__(self, workers):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address, self.processes = f"tcp://127.0.0.1:{self.port}", []
        self.start(workers)

    def start(self, workers):
        self.scheduler = self._run("scheduler", "--port", str(self.port), "--dashboard-address", "127.0.0.1:0")
        self.workers = [
            self._run("worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard") for _ in range(workers)
        ]
        with self.look() as client:
            client.wait_for_workers(workers, timeout=PATIENCE)

    def look(self):
        return distributed.Client(self.address, timeout=PATIENCE)

    def wait_until_some_are_done(self):
        """Until the scheduler holds results and has tasks to do."""

        def states(dask_scheduler):  # inside, so that it is sent and not looked for in a module
            return [task.state for task in dask_scheduler.tasks.values()]

        with self.look() as client:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                counts = Counter(client.run_on_scheduler(states))
                if counts["memory"] > 20 and counts["processing"] > 1:
                    return counts
                time.sleep(0.01)
        raise AssertionError("the graph was never seen at work")

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()

    def _run(self, kind, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", *arguments]
        self.processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.processes[-1]


@pytest.fixture
def cluster():
    made = Cluster(2)
    yield made
    made.stop()


def test_a_worker_killed_among_others(place, cluster):
    process = flow(place, "worker.json", "--scheduler", cluster.address)
    counts = cluster.wait_until_some_are_done()
    cluster.workers[0].send_signal(signal.SIGKILL)
    assert process.poll() is None, counts
    finish(process)
    assert estimates(place, "worker.json") == estimates(place, "calm.json")


def test_a_scheduler_that_is_killed_is_an_error_and_a_new_one_serves(place, cluster):
    process = flow(place, "scheduler.json", "--scheduler", cluster.address)
    cluster.wait_until_some_are_done()
    cluster.scheduler.send_signal(signal.SIGKILL)
    said = finish(process, status=2, limit=LOST)
    assert f"scheduler: expected one that lives as long as the verb, found '{cluster.address} lost'" in said
    assert not (place / "scheduler.json").exists()
    cluster.start(2)
    finish(flow(place, "scheduler.json", "--scheduler", cluster.address))
    assert estimates(place, "scheduler.json") == estimates(place, "calm.json")


def test_a_worker_of_this_machine_is_replaced(tmp_path):
    def die(parent, number, path):
        """A task that kills its worker the first time."""
        if number == 3 and not Path(path).exists():
            Path(path).mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
        return parent + number

    graph = {("sum", 0, k): (die, ("sum", 0, k - 1) if k else 0, k, str(tmp_path / "died")) for k in range(6)}
    with make_client(1) as client:
        assert compute_on(client, graph, [("sum", 0, 5)]) == [15]
    assert (tmp_path / "died").exists()


def test_a_task_that_kills_every_worker_is_an_error():
    graph = {("x", 0, 0): (lambda: os.kill(os.getpid(), signal.SIGKILL),)}
    with make_client(1) as client, pytest.raises(InputError, match="workers that live through a task"):
        compute_on(client, graph, [("x", 0, 0)])

"""Two runs on one state: the second is refused while the first lives, also where the file system denies locks (shim.c)."""

import errno
import json
import signal
import socket
import subprocess
import sys

import pytest
from injection import CAMPAIGN, ENVIRONMENT, datasets, finish, refused, run, sampling, wait_for_a_commit, written

from hpcrg.edges.ownership import guard_of

LONG = CAMPAIGN.replace("draws: 300", "draws: 1500")
DENIALS = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP]
OWNED = "import sys; from pathlib import Path; from hpcrg.edges.ownership import owned\n"
ROUNDS = 100
TRY = OWNED + "with owned(Path(sys.argv[1]), 'ensemble'): print('held')"
CONTEND = (
    OWNED
    + """
import os, random
chance, place, rounds = random.Random(int(sys.argv[2])), Path(sys.argv[1]), 0
for _ in range(ROUNDS):
    child = os.fork()
    if child == 0:
        with owned(place, "ensemble", 60.0):
            os.close(os.open(place / "inside", os.O_CREAT | os.O_EXCL))
            (place / "inside").unlink()
            if chance.random() < 0.5:
                os._exit(0)
        os._exit(0)
    rounds += os.waitpid(child, 0)[1] == 0
print(rounds)
"""
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = written(tmp_path_factory.mktemp("long"), LONG)
    finish(sampling(place))
    return datasets(place / "bank.h5")


def denied(shim, number):
    return {"LD_PRELOAD": shim, "SHIM_LOCKS": str(number)} if number else {}


@pytest.mark.parametrize("number", [0, errno.ENOLCK])
def test_the_second_is_refused_and_a_killed_one_is_followed(number, undisturbed, shim, tmp_path):
    """The first is stopped, not merely slow, when the second tries; then it is killed, and holds nothing any more."""
    command, broken = sampling(written(tmp_path, LONG)), denied(shim, number)
    with subprocess.Popen(command, env=ENVIRONMENT | broken, stderr=subprocess.PIPE, text=True) as first:
        wait_for_a_commit(tmp_path, first)
        first.send_signal(signal.SIGSTOP)
        second = run(command, **broken)
        first.kill()
    refused(second, "only run on this ensemble", "lock.owner of host" if number else "holds its lock")
    said = finish(command, **broken)
    assert ("expected a file system that locks" in said) == bool(number)
    assert datasets(tmp_path / "bank.h5") == undisturbed
    assert not list(tmp_path.rglob("lock.owner"))


@pytest.mark.parametrize("number", DENIALS)
def test_a_run_elsewhere_is_never_pushed_aside(number, shim, tmp_path):
    """Whether it lives cannot be known here; the error says which file to remove."""
    attempt = [sys.executable, "-c", TRY, str(tmp_path)]
    assert finish(attempt, **denied(shim, number)).startswith("held")
    told = {"host": "elsewhere", "place": ["another"], "pid": 1, "started": "0", "job": "77"}
    for content in (json.dumps(told), ""):
        (tmp_path / "lock.owner").write_text(content)
        done = run(attempt, **denied(shim, number))
        assert done.returncode == 1
        who = "host elsewhere, pid 1, job 77" if content else "an unknown one"
        assert f"lock.owner of {who}; remove {tmp_path}/lock.owner" in done.stderr
    assert finish(attempt).startswith("held"), "with locks nothing else is asked"


def test_only_one_clears_at_a_time(shim, tmp_path):
    """While a run clears what a killed one has left, no other does: it might remove what the first then creates."""
    attempt, broken = [sys.executable, "-c", TRY, str(tmp_path)], denied(shim, errno.ENOLCK)
    killed = [sys.executable, "-c", TRY.replace("print('held')", "__import__('os')._exit(0)"), str(tmp_path)]
    finish(killed, **broken)
    assert (tmp_path / "lock.owner").exists()
    with socket.socket(socket.AF_UNIX) as guard:
        guard.bind(guard_of(tmp_path / "lock.owner"))
        assert "only run on this ensemble" in run(attempt, **broken).stderr
    assert finish(attempt, **broken).startswith("held")


def test_many_that_come_and_go_are_never_two_at_once(shim, tmp_path):
    """Half of them leave their file behind, as killed ones do, and the next ones clear it at the same time."""
    broken = ENVIRONMENT | denied(shim, errno.ENOLCK)
    runs = [
        subprocess.Popen([sys.executable, "-c", CONTEND.replace("ROUNDS", str(ROUNDS)), str(tmp_path), str(seed)], env=broken, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE) for seed in range(4)
    ]  # fmt: skip
    for one in runs:
        out, said = one.communicate(timeout=120)
        assert out.strip() == str(ROUNDS), said

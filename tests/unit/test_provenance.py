"""Runs in the journal and in sidecars: those that ended, were stopped, failed or were killed."""

import json
import os
import subprocess
import sys

import pytest

from hpcrg.errors import Interrupted
from hpcrg.provenance import JOURNAL, Journal, Used, noted, read_sidecar, seconds_here, told, used, write_sidecar


def outcomes(journal):
    return [run["outcome"] for run in journal.runs()]


def test_a_run_tells_how_it_ended(tmp_path):
    journal = Journal(tmp_path / "state" / JOURNAL)
    with noted(journal, "feed", 2, lambda: [Used("a", 1.0, 100), Used("b", 2.0, 300), Used("a", 3.0, 250)]):
        pass
    with pytest.raises(Interrupted), noted(journal, "feed", 1, lambda: [used()]):
        raise Interrupted("asked")
    with pytest.raises(ValueError, match="no"), noted(journal, "feed", 1, lambda: None):
        raise ValueError("no\nmore")
    assert outcomes(journal) == ["finished", "stopped", "failed: no"]
    first = journal.runs()[0]
    assert (first["cpu"], first["memory"], first["hosts"]) == (6.0, 350, ["a", "b"])
    assert (first["id"], first["ranks"]) == ("feed", 2)


def test_a_killed_run_shows_and_spoils_nothing(tmp_path):
    journal = Journal(tmp_path / JOURNAL)
    code = "import os, sys; from pathlib import Path; from hpcrg.provenance import Journal\n"
    code += "Journal(Path(sys.argv[1])).begin('feed', 1); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(journal.path)], check=False)
    with journal.path.open("a") as file:
        file.write('{"run": "cut sho')
    with noted(journal, "feed", 1, lambda: [used()]):
        pass
    assert outcomes(journal) == ["lost", "finished"]


def test_a_sidecar_keeps_what_it_told_before(tmp_path):
    bank, journal = tmp_path / "b.h5", Journal(tmp_path / "state" / JOURNAL)
    bank.with_suffix(".provenance.json").write_text(json.dumps([{"id": "old", "host": "h"}]))
    for _ in range(2):
        with noted(journal, "feed", 1, lambda: [used()]):
            pass
        write_sidecar(bank, journal.runs())
    assert [run["id"] for run in read_sidecar(bank)] == ["old", "feed", "feed"]
    bank.with_suffix(".provenance.json").write_text("not JSON")
    assert read_sidecar(bank) == []


def test_what_a_process_took_is_what_it_took(tmp_path):
    """Fifty megabytes and a tenth of a second more show in a process that takes them."""
    code = ("import sys, time; from pathlib import Path; from hpcrg.provenance import told\n"
            "with told(Path(sys.argv[1]), 'x'):\n"
            "    held = bytes(int(float(sys.argv[2]))); held = bytearray(held); end = time.process_time() + float(sys.argv[3])\n"
            "    while time.process_time() < end: pass\n")  # fmt: skip
    runs = []
    for megabytes, seconds in ((0, 0.0), (60, 0.3)):
        file = tmp_path / f"{megabytes}.json"
        subprocess.run([sys.executable, "-c", code, str(file), str(1e6 * megabytes), str(seconds)], check=True)
        runs.append(read_sidecar(file)[0])
    assert 50e6 < runs[1]["memory"] - runs[0]["memory"] < 150e6
    assert runs[1]["cpu"] - runs[0]["cpu"] > 0.15
    assert 0 < runs[1]["seconds"] < 60


def test_children_are_counted_when_they_are_told(tmp_path):
    subprocess.run([sys.executable, "-c", "bytearray(60_000_000)"], check=True)
    assert used(2).memory - used().memory > 100e6
    assert 0 < seconds_here() < 1e6
    with told(tmp_path / "x.json", "x"):
        pass
    assert read_sidecar(tmp_path / "x.json")[0]["host"] == os.uname().nodename

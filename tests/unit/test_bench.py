"""The speed table: what stands in the page for given figures, and a peer that does not run."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def table():
    """The functions of table.py."""
    return runpy.run_path(str(BENCH / "table.py"))


def row(case, size, code, value=None, **more):
    figures = {"spins_per_ns": value, "best": 2 * value, "rounds": 5} if value else {}
    return {"case": case, "L": size, "code": code, "version": "1", **figures, **more}


ROWS = [
    row("ising_wolff", 64, "hpcrg generic", 0.13),
    row("ising_wolff", 64, "mcising", 0.05),
    row("ising_wolff", 64, "peapods", 0.02),
    row("ising_wolff", 256, "hpcrg generic", 0.11),
    row("ising_wolff", 256, "mcising", 0.04),
    row("ising_wolff", 256, "peapods", error="no wheel"),
    row("ea_tempering", 8, "hpcrg generic", 0.2),
    row("ea_tempering", 8, "hpcrg multi-spin", 8.0),
    row("ea_tempering", 8, "openjij", 0.2),
    row("ea_tempering", 8, "peapods", 0.1),
    row("ising_swendsen_wang", 64, "hpcrg packed", 0.5),
    row("ising_swendsen_wang", 64, "mcising", 0.1),
    row("ising_swendsen_wang", 256, "hpcrg packed", error="not written"),
]
RECORD = {"machine": {"date": "2026-01-01", "processor": "some"}, "rows": ROWS}


def test_page(table):
    page = table["render"](RECORD).splitlines()
    assert "* processor: some" in page
    assert "* versions: hpcrg 1, mcising 1, peapods 1, openjij 1" in page
    assert "| mcising | 0.05 (0.1) | 0.04 (0.08) |" in page
    assert "| peapods | 0.02 (0.04) | - |" in page
    assert "| fastest hpcrg / fastest peer | 2.6 | 2.75 |" in page
    assert "* peapods, ising_wolff, L = 256: no wheel" in page


@pytest.mark.parametrize(
    ("case", "size", "end"),
    [
        ("ising_wolff", 64, "| 0.13 (generic) | 0.12 | 2.6 (mcising) | 2.5 | met |"),
        ("ising_wolff", 256, "| 0.11 (generic) | 0.12 | 2.75 (mcising) | 2.5 | met |"),
        ("ising_swendsen_wang", 64, "| 0.5 (packed) | 0.4 | 5 (mcising) | 8 | not met |"),
        ("ising_swendsen_wang", 256, "| 0 (none) | 0.4 | 0 (none) | 8 | not run |"),
        ("ea_tempering", 8, "| 8 (multi-spin) | 5 | 80 (peapods) | 70 | met |"),
    ],
)
def test_verdict(table, case, size, end):
    target = next(t for t in table["TARGETS"] if (t.case, t.size) == (case, size))
    assert table["verdict"](ROWS, target).endswith(end)


def test_page_lists_targets_that_were_run_alone(table):
    verdicts = [line for line in table["render"](RECORD).splitlines() if line.endswith(("met |", "not run |"))]
    assert len(verdicts) == 5


def test_page_is_regenerated_from_the_file(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(RECORD))
    command = [sys.executable, BENCH / "table.py", tmp_path / "a.json"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    subprocess.run([*command, tmp_path / "page.md"], check=True)
    assert printed == (tmp_path / "page.md").read_text() + "\n"


def answers(distribution):
    """What peers.py says for a peer whose case "good" takes 2 ns and whose other cases fail."""
    program = f"""
import runpy
def build(case, size):
    if case != "good":
        raise ValueError("broken")
    return lambda: 2.0
worker = runpy.run_path({str(BENCH / "peers.py")!r})
worker["CODES"]["fake"] = ({distribution!r}, build, ("good", "bad"))
worker["answers"]("fake")
"""
    requests = "".join(json.dumps({"case": case, "size": 8}) + "\n" for case in ("good", "bad", "good"))
    done = subprocess.run([sys.executable, "-c", program], input=requests, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_worker_goes_on_after_an_error():
    greeting, *replies = answers("numpy")
    assert greeting["cases"] == ["good", "bad"]
    assert replies == [{"ns": 2.0}, {"error": "ValueError: broken"}, {"ns": 2.0}]


def test_worker_says_that_a_peer_is_absent():
    (greeting,) = answers("no-such-distribution")
    assert greeting["error"].startswith("PackageNotFoundError")

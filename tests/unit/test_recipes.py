"""What pyproject.toml asks for, what constraints.txt pins, and what the recipes of conda and of a container install."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = (ROOT / "envs/constraints.txt").read_text()
CONDA = (ROOT / "envs/environment.yml").read_text()
CONTAINER = (ROOT / "envs/hpcrg.def").read_text()
NEEDED: set[str] = set()
"""Packages of the system that wheels cannot do without."""
IN_IMAGE = {f"lib{name}.so.{version}" for name, version in {
    "c": 6, "m": 6, "dl": 2, "rt": 1, "pthread": 0, "util": 1, "stdc++": 6, "gcc_s": 1, "z": 1,
}.items()}  # fmt: skip
"""Shared libraries that every Debian image of Python has."""
EXTRAS = PROJECT["optional-dependencies"]


def asked(extras):
    """Every requirement of the project with some extras; extras of its own are followed."""
    found, todo, seen = [Requirement(text) for text in PROJECT["dependencies"]], list(extras), set()
    while todo:
        extra = todo.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for requirement in map(Requirement, EXTRAS[extra]):
            if canonicalize_name(requirement.name) == PROJECT["name"]:
                todo += requirement.extras
            else:
                found.append(requirement)
    return found


def pinned(text):
    """Versions by name. Every line that is no comment pins one package."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    pairs = [re.fullmatch(r"([A-Za-z0-9._-]+)==([^\s;]+)", line) for line in lines]
    assert all(pairs), [line for line, pair in zip(lines, pairs, strict=True) if not pair]
    found = {canonicalize_name(p[1]): Version(p[2]) for p in pairs}
    assert len(found) == len(lines), "a package is pinned twice"
    return found


def misfits(requirements, pins):
    """Requirements without a pin, or with one out of range."""
    for requirement in requirements:
        version = pins.get(canonicalize_name(requirement.name))
        if version is None:
            yield f"{requirement.name}: not pinned"
        elif version not in requirement.specifier:
            yield f"{requirement}: pinned to {version}"


def closure(requirements):
    """The requirements of requirements too, of what is installed here."""
    todo, seen = list(requirements), set()
    while todo:
        requirement = todo.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        yield requirement
        if key in seen:
            continue
        seen.add(key)
        try:
            more = [Requirement(text) for text in distribution(requirement.name).requires or []]
        except PackageNotFoundError:
            continue
        extras = requirement.extras or {""}
        todo += [r for r in more if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in extras)]


def conda(text):
    """The Python that conda brings, and the arguments that pip gets."""
    listed = yaml.safe_load(text)["dependencies"]
    python = next(d.partition("=")[2] for d in listed if isinstance(d, str) and d.startswith("python="))
    assert "pip" in listed
    return python, next(d["pip"] for d in listed if isinstance(d, dict))


def container(text):
    """The Python of the image, system packages, what is copied, and the arguments that pip gets."""
    python = re.search(r"^From: python:([\d.]+)-slim", text, re.MULTILINE)[1]
    system = re.search(r"apt-get install .*--no-install-recommends (.+)$", text, re.MULTILINE)
    pip = re.search(r"pip install (.+)$", text, re.MULTILINE)[1].split()
    files = re.search(r"^%files\n((?: .+\n)+)", text, re.MULTILINE)[1].split("\n")
    return python, system[1].split() if system else [], {line.split()[0] for line in files if line.strip()}, pip


def test_everything_asked_for_is_pinned_within_its_range():
    assert not list(misfits(asked(EXTRAS), pinned(PINS)))


def test_what_that_needs_is_pinned_too():
    requirements = list(closure(asked(EXTRAS)))
    assert len({canonicalize_name(r.name) for r in requirements}) > 60
    assert not list(misfits(requirements, pinned(PINS)))


@pytest.mark.parametrize(
    "name", ["numpy", "h5py", "torch", "mpich", "dask-jobqueue", "cryptography", "pytest-xdist", "PyYAML"]
)
def test_a_missing_pin_is_noticed(name):
    short = "".join(line for line in PINS.splitlines(keepends=True) if not line.lower().startswith(f"{name.lower()}=="))
    assert len(short) < len(PINS)
    assert [m.partition(":")[0].lower() for m in misfits(asked(EXTRAS), pinned(short))] == [name.lower()]


def test_a_pin_out_of_range_is_noticed():
    old = re.sub(r"^snakemake==.*$", "snakemake==8.0.0", PINS, flags=re.MULTILINE)
    assert list(misfits(asked(EXTRAS), pinned(old)))


def test_all_means_all():
    (everything,) = (Requirement(text) for text in EXTRAS["all"])
    assert everything.extras == set(EXTRAS) - {"all"}


def test_the_recipe_for_conda():
    python, pip = conda(CONDA)
    assert Version(python) in SpecifierSet(PROJECT["requires-python"])
    assert pip == ["--constraint constraints.txt", "-e ..[all]"]  # pip runs in the directory of the file


def test_the_recipe_of_the_container():
    python, system, files, pip = container(CONTAINER)
    assert python == conda(CONDA)[0]
    assert Version(python) in SpecifierSet(PROJECT["requires-python"])
    assert pip[-1] == "'.[all]'"
    assert pip[pip.index("--constraint") + 1] == "envs/constraints.txt"
    assert {"pyproject.toml", "README.md", "LICENSE", "hpcrg", "envs"} <= files
    assert set(PROJECT["license-files"]) | {PROJECT["readme"]} <= files
    assert set(system) == NEEDED


def libraries(path):
    """The shared libraries that a program or library loads, with where they lie."""
    told = subprocess.run(["ldd", str(path)], check=True, capture_output=True, text=True).stdout
    pairs = (line.split()[:3:2] for line in told.splitlines() if "=>" in line)
    return {pair[0]: Path(pair[1]) if pair[1].startswith("/") else None for pair in pairs}


def foreign(path):
    """Those of them that come neither with the wheels nor with the image."""
    prefix = Path(sys.prefix).resolve()
    return {n for n, at in libraries(path).items() if at is None or prefix not in at.resolve().parents} - IN_IMAGE


def wheels():
    """Compiled parts of the wheels that load libraries when hpcrg runs."""

    def within(package, pattern):
        return Path(str(find_spec(package).origin)).parent.rglob(pattern)

    found = [*Path(sys.prefix, "lib").glob("libmpi.so.*"), Path(sys.prefix, "bin", "mpiexec.hydra")]
    assert len(found) == 2, "mpich brings libmpi and a launcher"
    found += [*within("h5py", "defs*.so"), *within("llvmlite", "libllvmlite.so")]
    return [*found, *within("torch", "libtorch_cpu.so")]


@pytest.mark.skipif(shutil.which("ldd") is None, reason="no ldd here")
def test_wheels_bring_all_else_an_mpi_too(monkeypatch):
    """So the recipes install no package of the system beside them: NEEDED is empty."""
    assert len(wheels()) == 5
    assert set().union(*map(foreign, wheels())) == NEEDED
    monkeypatch.setattr(sys.modules[__name__], "IN_IMAGE", IN_IMAGE - {"libstdc++.so.6"})
    assert set().union(*map(foreign, wheels())) == {"libstdc++.so.6"}

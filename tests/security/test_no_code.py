"""No file runs code when hpcrg loads it: neither by what the package calls, nor when the file tries to."""

import ast
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from verbs import CAMPAIGN, hpcrg

from hpcrg import checkpoint, jit
from hpcrg.campaign import load
from hpcrg.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
LOADERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle", "runpy"}
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput",
         "subprocess.getstatusoutput", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all",
         "yaml.full_load_all", "yaml.load_all", "pandas.read_pickle", "importlib.import_module"}  # fmt: skip
SAFE_YAML = {"StrictLoader", "SafeLoader", "yaml.SafeLoader", "CSafeLoader"}
WRITES_KERNELS = {"hpcrg/strips/margins.py", "hpcrg/strips/measure.py", "hpcrg/updates/strips.py",
                  "hpcrg/lanes/bernoulli.py", "hpcrg/lanes/block.py"}  # fmt: skip
"""These execute text that they have written themselves, out of counts."""


def name_of(node):
    """`a.b.c` of a name or an attribute."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def keyword(call, name):
    """What a call gives for a keyword, as text."""
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == name), None)


def reason(node):
    """Why a piece of a program could run code from a file or a name, or None."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        return next((f"imports {n}" for n in names if n.partition(".")[0] in LOADERS), None)
    if not isinstance(node, ast.Call):
        return None
    name = name_of(node.func)
    if name in CALLS:
        return f"calls {name}"
    if name == "yaml.load" and keyword(node, "Loader") not in SAFE_YAML:
        return "yaml.load without a safe loader"
    if name in ("np.load", "numpy.load") and keyword(node, "allow_pickle") != "False":
        return "np.load that may unpickle"
    if name == "torch.load" and keyword(node, "weights_only") != "True":
        return "torch.load of more than weights"
    return "shell=True" if keyword(node, "shell") not in (None, "False") else None


def findings(text):
    """(line, reason) of everything in a module that could."""
    return [(n.lineno, found) for n in ast.walk(ast.parse(text)) if (found := reason(n))]


def test_the_package_calls_nothing_that_could():
    files = sorted((ROOT / "hpcrg").rglob("*.py"))
    assert len(files) > 100
    found = {(str(f.relative_to(ROOT)), why) for f in files for _, why in findings(f.read_text())}
    assert found == {(name, "calls exec") for name in WRITES_KERNELS}


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from pickle import loads", "import joblib.x", "from marshal import loads", "import shelve",
     "yaml.load(text)", "yaml.load(text, Loader=yaml.Loader)", "yaml.load(text, Loader=yaml.FullLoader)",
     "yaml.unsafe_load(text)", "np.load(path)", "np.load(path, allow_pickle=True)", "torch.load(path)",
     "torch.load(path, weights_only=False)", "eval(text)", "exec(text)", "os.system(text)",
     "subprocess.run(text, shell=True)", "subprocess.Popen(text, shell=flag)", "subprocess.getoutput(text)"],
)  # fmt: skip
def test_each_of_them_would_be_found(text):
    assert findings(text)


@pytest.mark.parametrize(
    "text", ["yaml.load(text, Loader=StrictLoader)", "np.load(path, allow_pickle=False)",
             "torch.load(path, weights_only=True)", "subprocess.run(words)", "import json"]
)  # fmt: skip
def test_what_is_safe_passes(text):
    assert not findings(text)


class Trap:
    """Something that makes a file when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def npz(canary):
    """A NumPy archive of an object."""
    buffer = io.BytesIO()
    np.savez(buffer, place=np.array([Trap(canary)], dtype=object))
    return buffer.getvalue()


def torch_file(canary):
    """A torch checkpoint with more than weights."""
    buffer = io.BytesIO()
    torch.save({"place": Trap(canary)}, buffer)
    return buffer.getvalue()


def sealed(payload):
    """The payload as hpcrg seals its checkpoints: whoever makes such a file can compute a sha256."""
    import hashlib

    return checkpoint.SCHEMA + b" " + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


FILES = {
    "pickle": lambda canary: pickle.dumps(Trap(canary)),
    "npz": npz,
    "torch": torch_file,
    "sealed pickle": lambda canary: sealed(pickle.dumps(Trap(canary))),
    "sealed npz": lambda canary: sealed(npz(canary)),
    "sealed torch": lambda canary: sealed(torch_file(canary)),
}


@pytest.mark.parametrize("kind", ["pickle", "npz", "torch"])
def test_the_traps_work(kind, tmp_path):
    """Loaded carelessly, each makes its canary."""
    data, canary = FILES[kind](tmp_path / "canary"), tmp_path / "canary"
    carelessly = {"pickle": pickle.load, "npz": lambda f: np.load(f, allow_pickle=True)["place"],
            "torch": lambda f: torch.load(f, weights_only=False)}[kind]  # fmt: skip
    carelessly(io.BytesIO(data))
    assert canary.exists()


@pytest.mark.parametrize("kind", FILES)
def test_a_checkpoint_that_is_a_trap_is_refused(kind, tmp_path):
    path, canary = tmp_path / "x.checkpoint", tmp_path / "canary"
    path.write_bytes(FILES[kind](canary))
    with pytest.raises(InputError, match=r"x\.checkpoint"):
        checkpoint.load(path)
    assert not canary.exists()


def spring(place, tmp_path, pattern, kind, *verb):
    """Run a verb, put a trap in the place of the files that it left, run it again and see it refused."""
    canary, state = tmp_path / "canary", tmp_path / "state"
    hpcrg(place, *verb, "--state", state)
    found = list(state.rglob(pattern))
    assert found
    for path in found:
        path.write_bytes(FILES[kind](canary))
    said = hpcrg(place, *verb, "--state", state, status=2)
    assert "error: " in said
    assert any(path.parent.name in said or path.name in said for path in found)
    assert not canary.exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sealed npz"])
def test_sample_refuses_it(place, tmp_path, kind):
    spring(place, tmp_path, "checkpoint", kind, "sample", "c.yaml", "--ensemble", "critical-L8",
           "--output", tmp_path / "b.h5")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["torch"])
def test_train_refuses_it(place, tmp_path, kind):
    spring(place, tmp_path, "*.checkpoint", kind, "train", "c.yaml", "phases-L8.h5", "phases-L12.h5", "--train", "cnn",
           "--output", tmp_path / "s.h5")  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "kind"), [(("flow", "--flow", "majority"), "pickle"), (("inspect",), "npz"), (("verify",), "pickle")]
)
def test_a_bank_that_is_a_trap_is_refused(place, tmp_path, verb, kind):
    path, canary = tmp_path / "bank.h5", tmp_path / "canary"
    path.write_bytes(FILES[kind](canary))
    campaign = ["c.yaml"] if verb[0] == "flow" else []
    output = ["--output", tmp_path / "f.json", "--threads"] if verb[0] == "flow" else []
    said = hpcrg(place, verb[0], *campaign, path, *verb[1:], *output, status=2)
    assert "bank.h5" in said
    assert not canary.exists()


def test_a_cache_of_kernels_into_which_others_can_write_is_refused(tmp_path, monkeypatch):
    """What lies there is machine code."""
    monkeypatch.setattr(jit, "guarded", jit.guarded.__wrapped__)  # as the first call of a process
    new = jit.guarded(tmp_path / "new")
    assert new.stat().st_mode & 0o777 == 0o700
    new.chmod(0o777)
    with pytest.raises(InputError, match="nobody else may write"):
        jit.guarded(new)
    new.chmod(0o755)
    if os.getuid() == 0:
        os.chown(new, 12345, 12345)
        with pytest.raises(InputError, match="of user 12345"):
            jit.guarded(new)


def test_a_verb_refuses_it_too(tmp_path):
    cache = tmp_path / "cache"
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    place = cache / jit.platform()
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o777)
    sample = ["sample", "c.yaml", "--ensemble", "critical-L8", "--output", "b.h5", "--state", "s"]
    assert "nobody else may write" in hpcrg(tmp_path, *sample, status=2, HPCRG_CACHE_DIR=str(cache))


TAGS = ["!!python/object/apply:os.mkdir ['{canary}']", "!!python/object/new:os.mkdir ['{canary}']",
        "!!python/name:os.system", "!!python/module:os"]  # fmt: skip


def test_a_campaign_that_is_a_trap_is_refused(tmp_path):
    canary = tmp_path / "canary"
    for tag in TAGS:
        (tmp_path / "c.yaml").write_text(f"name: {tag.format(canary=canary)}\nseed: 1\n")
        with pytest.raises(InputError, match=r"c\.yaml: expected YAML"):
            load(tmp_path / "c.yaml")
        assert not canary.exists()
    assert "c.yaml: expected YAML" in hpcrg(tmp_path, "plan", "c.yaml", status=2)


def test_the_yaml_trap_works(tmp_path):
    import yaml

    yaml.unsafe_load(TAGS[0].format(canary=tmp_path / "canary"))
    assert (tmp_path / "canary").exists()

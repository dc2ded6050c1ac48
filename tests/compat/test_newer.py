"""Files of a later version of each format are refused by name and schema, and never read as if they were of this one."""

import hashlib
import io
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from hpcrg import checkpoint, estimate, figures
from hpcrg.bank import open_bank, read_produced, read_series
from hpcrg.bank.hdf5 import LENGTH, SEAL
from hpcrg.bank.write import attribute_digest
from hpcrg.errors import InputError
from hpcrg.tuning import read_ladder

ARCHIVE = Path(__file__).parent / "v1"


def later_hdf5(path):
    """The schema of a sealed file raised by one, with a digest and a seal that fit."""
    content = path.read_bytes()
    if content[-LENGTH:].startswith(SEAL):
        path.write_bytes(content[:-LENGTH])
    with h5py.File(path, "r+") as file:
        schema, _, number = str(file.attrs["schema"]).rpartition("/")
        file.attrs["schema"] = f"{schema}/{int(number) + 1}"
        if "digest" in file.attrs:
            file.attrs["digest"] = attribute_digest(dict(file.attrs))
    digest = hashlib.sha256(path.read_bytes()).hexdigest().encode()
    path.write_bytes(path.read_bytes() + SEAL + digest + b"\n")


def opened(path):
    with open_bank(path):
        pass


@pytest.mark.parametrize(("name", "load"), [("ising-bank.h5", opened), ("series.h5", read_series)])
def test_hdf5(name, load, tmp_path):
    path = Path(shutil.copy(ARCHIVE / name, tmp_path))
    load(path)
    later_hdf5(path)
    with pytest.raises(InputError, match=rf"{name}: schema: expected hpcrg\.\w+/1, found 'hpcrg\.\w+/2'; a later"):
        load(path)


def test_produced_series(tmp_path):
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file.attrs["schema"] = "hpcrg.produced/2"
    with pytest.raises(
        InputError, match=r"p\.h5: schema: expected hpcrg.produced/1, found 'hpcrg.produced/2'; a later"
    ):
        read_produced(tmp_path / "p.h5")


def test_a_checkpoint(tmp_path):
    path = tmp_path / "checkpoint"
    checkpoint.save(path, {"round": np.array(3)})
    with np.load(io.BytesIO(path.read_bytes().partition(b"\n")[2])) as archive:
        assert int(archive["round"]) == 3
    path.write_bytes(path.read_bytes().replace(b"hpcrg.checkpoint/1", b"hpcrg.checkpoint/2", 1))
    with pytest.raises(
        InputError, match=r"checkpoint: schema: expected hpcrg.checkpoint/1, found 'hpcrg.checkpoint/2'; a later"
    ):
        checkpoint.load(path)


@pytest.mark.parametrize(("name", "load"), [("estimates.json", estimate.load), ("figures.json", figures.load)])
def test_json(name, load, tmp_path):
    text = (ARCHIVE / name).read_text()
    (tmp_path / name).write_text(text.replace(f"hpcrg.{name[:-5]}/1", f"hpcrg.{name[:-5]}/2"))
    assert (tmp_path / name).read_text() != text
    with pytest.raises(InputError, match=rf"{name}: schema: expected hpcrg\.\w+/1, found 'hpcrg\.\w+/2'; a later"):
        load(tmp_path / name)


def test_a_ladder(tmp_path):
    record = {"schema": "hpcrg.ladder/1", "ensemble": "scan-L8", "betas": [0.5, 0.4]}
    for number, good in ((1, True), (2, False)):
        (tmp_path / "l.json").write_text(json.dumps(record | {"schema": f"hpcrg.ladder/{number}"}))
        if good:
            assert read_ladder(tmp_path / "l.json", "scan-L8") == [0.5, 0.4]
    with pytest.raises(InputError, match=r"l\.json: schema and ensemble: expected .*ladder/1.*found .*ladder/2"):
        read_ladder(tmp_path / "l.json", "scan-L8")

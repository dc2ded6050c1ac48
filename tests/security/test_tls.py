"""Encrypted Dask: what goes over a connection is TLS, nobody without the certificate gets one, and estimates are the same."""

import contextlib
import json
import socket
import ssl
import stat
import subprocess
from pathlib import Path

import dask
import distributed
import pytest
from verbs import hpcrg

from hpcrg.edges import dask_tls
from hpcrg.edges.dask import computing, make_client
from hpcrg.errors import InputError
from hpcrg.site import PemFiles

pytest.importorskip("cryptography")
FLOW = ("flow", "c.yaml", "critical-L8.h5", "--flow", "majority")


@pytest.fixture
def tls():
    """A client of an encrypted cluster of this machine."""
    with make_client(1, processes=False, tls=True) as client:
        yield client


def host_and_port(address):
    host, _, port = address.partition("://")[2].rpartition(":")
    return host, int(port)


def speak(address, files=None):
    """A TLS connection, with or without a certificate: the protocol that both ends agreed on."""
    context = ssl.create_default_context(cafile=files.ca if files else None)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if files:
        context.load_cert_chain(files.cert, files.key)
    with socket.create_connection(host_and_port(address), 10) as plain, context.wrap_socket(plain) as secure:
        version = secure.version()
        secure.settimeout(1)
        with contextlib.suppress(TimeoutError):
            if not secure.recv(1):  # in TLS 1.3 a server refuses a client after the client's handshake
                raise ConnectionError("closed")
        return version


def files_now():
    return PemFiles(ca=dask.config.get(dask_tls.AUTHORITY), cert=dask.config.get(dask_tls.ROLES["cert"][0]),
                    key=dask.config.get(dask_tls.ROLES["key"][0]))  # fmt: skip


def test_the_scheduler_speaks_tls_to_who_has_the_certificate(tls, tmp_path):
    address = tls.scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    assert all(worker.startswith("tls://") for worker in tls.scheduler_info()["workers"])
    assert speak(address, files_now()).startswith("TLSv1.")
    with pytest.raises((ssl.SSLError, OSError)):
        speak(address)
    with pytest.raises((ssl.SSLError, OSError)):
        speak(address, dask_tls.make_files(tmp_path))


def test_a_plain_connection_is_refused(tls):
    """It is closed before a word of Dask's has been said; a plain scheduler greets everybody."""

    def greeting(address):
        with socket.create_connection(host_and_port(address), 10) as plain:
            plain.settimeout(5)
            plain.sendall(b"\0" * 64)
            with contextlib.suppress(ConnectionError):
                return plain.recv(65536)
            return b""

    assert b"compression" not in greeting(tls.scheduler.address)
    with distributed.LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", protocol="tcp://",
                                  security=distributed.Security(require_encryption=False)) as plain:  # fmt: skip
        assert b"compression" in greeting(plain.scheduler_address)


def test_the_dashboard_is_encrypted(tls):
    link = tls.dashboard_link
    assert link.startswith("https://127.0.0.1:")
    assert speak("tls://" + link.partition("://")[2].partition("/")[0]) is not None


def test_a_client_without_the_certificate_is_refused(tls, tmp_path):
    address, other = tls.scheduler.address, dask_tls.make_files(tmp_path)
    short = {"distributed.comm.timeouts.connect": "2s"}
    with dask.config.set({**dask_tls.settings(other), **short}), pytest.raises(OSError, match=r"."):
        distributed.Client(address, timeout="2s")
    with dask.config.set({**dask_tls.settings(files_now()), **short}), distributed.Client(address) as client:
        assert client.submit(sum, [1, 2]).result() == 3


def test_keys_are_for_the_owner_alone_and_do_not_outlive_the_run(tmp_path):
    with dask_tls.encrypted(True, tmp_path) as protocol:
        assert protocol == "tls://"
        files = files_now()
        assert stat.S_IMODE(Path(files.key).stat().st_mode) == 0o600
        assert stat.S_IMODE(Path(files.key).parent.stat().st_mode) == 0o700
    assert not list(tmp_path.iterdir())
    assert not dask.config.get(dask_tls.AUTHORITY)


def test_files_of_the_user_are_taken_and_bad_ones_named(tmp_path):
    files = dask_tls.make_files(tmp_path)
    with dask_tls.encrypted(files), make_client(1, processes=False, tls=True) as client:  # as from Dask's configuration
        assert dask.config.get(dask_tls.AUTHORITY) == files.ca
        assert client.submit(sum, [1, 2]).result() == 3
    (tmp_path / "bad.pem").write_text("no key")
    for broken in ({"key": str(tmp_path / "bad.pem")}, {"ca": str(tmp_path / "none.pem")}):
        with (
            pytest.raises(InputError, match=r"dask\.tls: expected PEM"),
            dask_tls.encrypted(files.model_copy(update=broken)),
        ):
            pass


def test_names_reach_the_shell_of_a_job_quoted(tmp_path):
    place = tmp_path / "a 'b' $(touch canary)"
    place.mkdir()
    with dask_tls.encrypted(True, place):
        lines = dask_tls.exports()
        text = "\n".join([*lines, 'printf %s "$DASK_DISTRIBUTED__COMM__TLS__WORKER__KEY"'])
        printed = subprocess.run(["sh", "-c", text], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        assert printed == files_now().key
    assert not list(tmp_path.rglob("canary"))


def test_addresses_that_do_not_fit_are_refused(monkeypatch):
    for address, tls, text in (("tcp://127.0.0.1:1", True, "tls://HOST:PORT"), ("tls://127.0.0.1:1", False, "tcp://HOST:PORT"),
                               ("tls://127.0.0.1:1", None, "certificates in Dask's configuration")):  # fmt: skip
        with pytest.raises(InputError, match=text), computing(1, True, address, tls):
            pass


@pytest.mark.slow
def test_estimates_are_those_without_encryption(place, tmp_path):
    for name, more in (("plain", []), ("tls", ["--tls"])):
        said = hpcrg(place, *FLOW, "--workers", "2", "--output", tmp_path / f"{name}.json", *more)
        assert ("https://" in said) == (name == "tls")
    assert json.loads((tmp_path / "plain.json").read_text()) == json.loads((tmp_path / "tls.json").read_text())

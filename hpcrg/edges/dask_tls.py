"""Encryption of what scheduler, workers and client of Dask say to each other, and of the dashboard.

Who reaches a plain scheduler can run code as its owner, so only holders of one certificate may talk: every connection
is TLS and both ends show theirs. Everything is said by Dask's own configuration, `distributed.comm.tls`; where that
names no files, nor the site file, a certificate is made that lives as long as the run.
"""

from __future__ import annotations

import os
import shlex
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hpcrg.errors import InputError, expected
from hpcrg.site import PemFiles

COMM, DASHBOARD = "distributed.comm", "distributed.scheduler.dashboard.tls"
AUTHORITY = f"{COMM}.tls.ca-file"
ROLES = {kind: [f"{COMM}.tls.{role}.{kind}" for role in ("scheduler", "worker", "client")] for kind in ("cert", "key")}
ON: dict[str, Any] = {f"{COMM}.require-encryption": True, f"{COMM}.default-scheme": "tls"}
NAMES = [*ON, AUTHORITY, *ROLES["cert"], *ROLES["key"], f"{DASHBOARD}.cert", f"{DASHBOARD}.key"]
"""All that Dask's configuration may say of it."""


@contextmanager
def encrypted(wanted: bool | PemFiles, place: Path | None = None) -> Iterator[str]:
    """Dask's configuration with TLS, or as it is where TLS is not wanted; the protocol of its addresses. A certificate
    that is made for it lies in a directory of the owner's alone in `place`, which workers must see too."""
    import dask

    if wanted is False and not dask.config.get(f"{COMM}.require-encryption"):
        yield "tcp://"
    elif isinstance(wanted, PemFiles):
        with dask.config.set(settings(_readable(wanted))):
            yield "tls://"
    elif dask.config.get(AUTHORITY):
        with dask.config.set(ON):
            yield "tls://"
    else:
        with (
            TemporaryDirectory(prefix=".hpcrg-tls-", dir=place) as own,
            dask.config.set(settings(make_files(Path(own)))),
        ):
            yield "tls://"


def settings(files: PemFiles) -> dict[str, Any]:
    """Dask's configuration with one certificate for all roles and the dashboard."""
    roles = {name: getattr(files, kind) for kind, names in ROLES.items() for name in names}
    return {**ON, AUTHORITY: files.ca, **roles, f"{DASHBOARD}.cert": files.cert, f"{DASHBOARD}.key": files.key}


def in_force() -> dict[str, Any]:
    """What Dask's configuration says of TLS now: names of files, no secrets."""
    import dask

    found = {name: dask.config.get(name, None) for name in NAMES}
    return {name: value for name, value in found.items() if value is not None}


def exports() -> list[str]:
    """The same as lines of a shell, for jobs of workers."""
    variables = {name.upper().replace(".", "__").replace("-", "_"): value for name, value in in_force().items()}
    return [f"export DASK_{name}={shlex.quote(str(value))}" for name, value in variables.items()]


def make_files(directory: Path) -> PemFiles:
    """A new key and a certificate that it has signed itself, which only the owner can read. Raises InputError without
    the package that makes them."""
    from distributed.security import Security

    try:
        made: Any = Security.temporary()  # type: ignore[no-untyped-call]
    except ImportError:
        wanted = "the package cryptography, which makes certificates (pip install 'hpcrg[dask]'), PEM files or --no-tls"
        raise InputError(expected("dask: tls", wanted, None)) from None
    cert, key = directory.absolute() / "cert.pem", directory.absolute() / "key.pem"
    for path, text in ((cert, made.tls_client_cert), (key, made.tls_client_key)):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(text)
    return PemFiles(ca=str(cert), cert=str(cert), key=str(key))


def _readable(files: PemFiles) -> PemFiles:
    """The files by absolute names. Raises InputError where they are not what TLS needs."""
    try:
        ssl.create_default_context(cafile=files.ca).load_cert_chain(files.cert, files.key)
    except OSError as error:
        wanted = "PEM files of an authority, a certificate and its key"
        found = f"{files.ca}, {files.cert}, {files.key}: {error}"
        raise InputError(f"dask.tls: expected {wanted}, found {found}") from None
    return PemFiles(**{kind: str(Path(name).absolute()) for kind, name in files})

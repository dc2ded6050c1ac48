"""A process that looks at one damaged file after the other. A crash or a hang of it is an outcome like any other: it is
ended and another one starts."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from hpcrg.errors import EXIT_STATUS

DEADLINE = 20.0
"""Seconds after which an example hangs, on a machine that others use too."""
ROOM = 3 << 30
"""Bytes that a process may have beyond what it starts with: what takes more allocates what a file only claims."""
WRONG = "WRONG"


def judged(look: Callable[..., str], arguments: tuple[Any, ...]) -> str:
    """What `look` says, or `refused: ...` for an error that the command line turns into an exit status; anything else
    is wrong and is named with the place that raised it."""
    try:
        return look(*arguments)
    except tuple(EXIT_STATUS) as error:
        return f"refused: {error}"
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if f"{os.sep}hpcrg{os.sep}" in f.filename] or frames
        return f"{WRONG}: {type(error).__name__} in {own[-1].filename}:{own[-1].lineno}: {str(error)[:300]}"


class Worker:
    """See the module. `looks` are functions by name; each gives `accepted` or `WRONG: ...`, or raises."""

    def __init__(self, looks: dict[str, Callable[..., str]]) -> None:
        self.looks = looks
        self.process: Any = None
        self.pipe: Any = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, name: str, *arguments: Any) -> str:
        """The outcome of one example."""
        if self.process is None:
            self._start()
        self.pipe.send((name, arguments))
        try:
            if self.pipe.poll(DEADLINE):
                return str(self.pipe.recv())
            found = f"{WRONG}: hangs"
        except (EOFError, ConnectionError):
            self.process.join()
            found = f"{WRONG}: crashes with status {self.process.exitcode}"
        self.stop()
        return found

    def stop(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(self.looks, other, self.pipe), daemon=True)
        self.process.start()
        other.close()


def _serve(looks: dict[str, Callable[..., str]], pipe: Connection, parents: Connection) -> None:
    parents.close()
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123  (until the process ends)
    warnings.simplefilter("ignore")
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115, PTH123
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    while True:
        try:
            name, arguments = pipe.recv()
        except EOFError:
            return
        pipe.send(judged(looks[name], arguments))

"""What listens while a command runs: every TCP and UDP socket of its processes, IPv4 and IPv6.

    python tests/security/listening.py COMMAND...      prints each listening address with the program that opened it

A socket beyond the loopback interface is one that is bound to any other address, or to all of them.
"""

from __future__ import annotations

import ipaddress
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

POLL = 0.02


@dataclass
class Seen:
    """Listening sockets as (program, address, port), by where they can be reached from."""

    loopback: set[tuple[str, str, int]] = field(default_factory=set)
    beyond: set[tuple[str, str, int]] = field(default_factory=set)

    def look(self, root: psutil.Process) -> None:
        """Add what a process and those that it started listen on now."""
        with suppress(psutil.NoSuchProcess):
            for process in [root, *root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    for socket in process.net_connections(kind="inet"):
                        if open_to_others(socket):
                            where = self.loopback if on_loopback(socket.laddr.ip) else self.beyond
                            where.add((process.name(), *socket.laddr))


def open_to_others(socket: Any) -> bool:
    """Whether a socket waits for anybody: it listens, or takes datagrams from all."""
    waits = socket.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    return bool(waits and socket.laddr and not socket.raddr)


def on_loopback(address: str) -> bool:
    """Whether an address can be reached from this machine only."""
    ip = ipaddress.ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)


def watch(command: list[str], **more: Any) -> tuple[int, Seen, str]:
    """Run a command to its end: exit status, what listened meanwhile, and what it said."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    seen, root = Seen(), psutil.Process(process.pid)
    while process.poll() is None:
        seen.look(root)
        time.sleep(POLL)
    return process.returncode, seen, process.communicate()[0]


if __name__ == "__main__":
    status, found, text = watch(sys.argv[1:])
    sys.stdout.write(text)
    for name, where in (("loopback", found.loopback), ("BEYOND", found.beyond)):
        for program, address, port in sorted(where):
            print(f"{name}: {program} at {address}, port {port}")
    sys.exit(status)

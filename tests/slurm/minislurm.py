"""A SLURM of one machine, for tests: munge, slurmctld and several slurmd in one directory, on the loopback interface,
without root.

    python tests/slurm/minislurm.py up DIRECTORY     prints the SLURM_CONF to export
    python tests/slurm/minislurm.py down DIRECTORY

Nodes cpu1, cpu2, ... are virtual (more CPUs than the machine may have), gpu1, ... have GPUs that are links to /dev/null.
Partitions: cpu, short (a minute at most), scavenge (preempted by cpu, jobs go back into the queue) and gpu.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
PATIENCE = 30.0
SITE = """
launcher = "srun --mpi=pmi2 -K1"
ranks_per_node = 1
processes_per_node = 1
interface = "lo"
gpu_type = "fake"
[partitions]
cpu = "cpu"
gpu = "gpu"
[dask]
jobs = 2
cores = 1
processes = 1
memory = "1GB"
walltime = "00:10:00"
"""
"""A site file for it: ranks and training processes each on a node of their own, Dask workers as jobs."""


def missing() -> list[str]:
    """The programs that are not installed."""
    return [name for name in NEEDED if shutil.which(name, path=SEARCH) is None]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@dataclass
class MiniSlurm:
    """See the module. The directory must be open to all users, as munge asks, and its name short. `requeue_delay` is
    how many seconds a job waits before it starts again; SLURM takes less than 5 for the usual 120."""

    place: Path
    cpu_nodes: int = 2
    cpus: int = 4
    memory: int = 8000
    gpu_nodes: int = 2
    gpus: int = 2
    requeue_delay: int = 5
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def nodes(self) -> list[str]:
        """Names of all nodes."""
        return [f"cpu{k + 1}" for k in range(self.cpu_nodes)] + [f"gpu{k + 1}" for k in range(self.gpu_nodes)]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its users."""
        return os.environ | {"SLURM_CONF": str(self.place / "slurm.conf"), "PATH": SEARCH}

    def start(self) -> MiniSlurm:
        """Start everything and wait until all nodes are idle."""
        for name in ("state", "spool", "log", "run", "gpus", "tmp"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        self.place.chmod(0o755)
        (self.place / "run").chmod(0o755)
        key = self.place / "munge.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(os.urandom(1024))
        self._configure()
        run = self.place / "run"
        self._daemon("munged", "munged", "--foreground", f"--socket={run}/munge.socket", f"--key-file={key}",
                     f"--pid-file={run}/munged.pid", f"--seed-file={run}/munged.seed",
                     f"--log-file={self.place}/log/munged.log", "--origin=127.0.0.1")  # fmt: skip
        self._wait(lambda: (run / "munge.socket").exists(), "munged")
        self._daemon("slurmctld", "slurmctld", "-D", "-i")
        for node in self.nodes:
            self.start_node(node)
        self._wait(lambda: self.states() == dict.fromkeys(self.nodes, "idle"), "idle nodes")
        return self

    def stop(self) -> None:
        """End all jobs and daemons."""
        if "slurmctld" in self.processes:
            self.call("scancel", "--quiet", "--full", "-u", pwd.getpwuid(os.getuid()).pw_name, check=False)
            self._wait(lambda: not self.call("squeue", "-h", check=False).strip(), "jobs to end", fatal=False)
        for name in [*self.nodes, "slurmctld", "munged"]:
            process = self.processes.pop(name, None)
            if process is not None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def revive(self) -> bool:
        """Start the controller again where it has died, as a service manager would; whether it had. Its state is on
        disk. (That of SLURM 22.05 was seen to crash by itself, among nodes that went down and came back.)"""
        dead = self.processes["slurmctld"].poll() is not None
        if dead:
            self._daemon("slurmctld", "slurmctld", "-D")
        return dead

    def start_node(self, node: str) -> None:
        """Start the daemon of one node."""
        (self.place / "spool" / node).mkdir(exist_ok=True)
        (self.place / "tmp" / node).mkdir(exist_ok=True)
        self._daemon(node, "slurmd", "-D", "-N", node)

    def kill(self, daemon: str) -> None:
        """SIGKILL the daemon of a node, or the controller; what runs under it goes on."""
        process = self.processes.pop(daemon)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def call(self, *command: str, check: bool = True, **more: object) -> str:
        """What a command prints."""
        done = subprocess.run(
            command, env=self.environment, check=False, capture_output=True, text=True, timeout=60, **more  # type: ignore[call-overload]
        )  # fmt: skip
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr}{done.stdout}")
        return str(done.stdout)

    def states(self) -> dict[str, str]:
        """The state of every node."""
        lines = self.call("sinfo", "-h", "-N", "-o", "%N %T", check=False).splitlines()
        return dict(line.split() for line in lines)

    def jobs(self) -> dict[str, str]:
        """Jobs by id with their states, those that have ended included."""
        lines = self.call("squeue", "-h", "-t", "all", "-o", "%i %T", check=False).splitlines()
        return dict(line.split() for line in lines)

    def _daemon(self, name: str, *command: str) -> None:
        log = (self.place / "log" / f"{name}.out").open("ab")
        self.processes[name] = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        log.close()

    def _wait(self, done: object, what: str, fatal: bool = True) -> None:
        end = time.monotonic() + PATIENCE
        while not done():  # type: ignore[operator]
            if time.monotonic() > end:
                if not fatal:
                    return
                logs = "".join(p.read_text(errors="replace")[-2000:] for p in (self.place / "log").iterdir())
                raise RuntimeError(f"minislurm: waited {PATIENCE:.0f} s for {what}\n{logs}")
            time.sleep(0.05)

    def _configure(self) -> None:
        controller, *ports = free_ports(1 + len(self.nodes))
        user, p = pwd.getpwuid(os.getuid()).pw_name, self.place
        nodes = "\n".join(
            f"NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs={self.cpus} Boards=1 "
            f"SocketsPerBoard=1 CoresPerSocket={self.cpus} ThreadsPerCore=1 RealMemory={self.memory} State=UNKNOWN"
            + (f" Gres=gpu:fake:{self.gpus}" if node.startswith("gpu") else "")
            for node, port in zip(self.nodes, ports, strict=True)
        )
        cpu = f"Nodes=cpu[1-{self.cpu_nodes}] DefaultTime=00:10:00 State=UP"
        (p / "slurm.conf").write_text(f"""\
ClusterName=mini
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
AuthType=auth/munge
AuthInfo=socket={p}/run/munge.socket,cred_expire={self.requeue_delay}
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={p}/state
SlurmdSpoolDir={p}/spool/%n
TmpFS={p}/tmp/%n
SlurmctldPidFile={p}/run/slurmctld.pid
SlurmdPidFile={p}/run/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
JobRequeue=1
MinJobAge=600
SlurmctldTimeout=30
SlurmdTimeout=30
MessageTimeout=20
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
GresTypes=gpu
{nodes}
PartitionName=cpu {cpu} Default=YES MaxTime=24:00:00 PriorityTier=10 PreemptMode=OFF
PartitionName=short {cpu.replace("00:10:00", "00:01:00")} MaxTime=00:01:00 PriorityTier=10 PreemptMode=OFF
PartitionName=scavenge {cpu} MaxTime=24:00:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=5
PartitionName=gpu Nodes=gpu[1-{self.gpu_nodes}] MaxTime=24:00:00 DefaultTime=00:10:00 PriorityTier=10 PreemptMode=OFF State=UP
""")
        for k in range(self.gpus):
            link = p / "gpus" / f"gpu{k}"
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")  # SLURM asks for a character device
        (p / "gres.conf").write_text(
            f"NodeName=gpu[1-{self.gpu_nodes}] Name=gpu Type=fake File={p}/gpus/gpu[0-{self.gpus - 1}]\n"
        )
        (p / "cgroup.conf").write_text("# none here\n")


def make_place() -> Path:
    """A directory that munge accepts: short, and open to all users."""
    place = Path(tempfile.mkdtemp(prefix="mslurm-"))
    place.chmod(0o755)
    return place


def main(arguments: list[str]) -> int:
    """The command line of the module."""
    if len(arguments) != 2 or arguments[0] not in ("up", "down"):
        print(__doc__)
        return 2
    place = Path(arguments[1]).absolute()
    if arguments[0] == "up":
        cluster = MiniSlurm(place).start()
        (place / "run" / "pids").write_text(" ".join(str(p.pid) for p in cluster.processes.values()))
        print(f"export SLURM_CONF={place}/slurm.conf")
    else:
        for pid in reversed((place / "run" / "pids").read_text().split()):
            os.kill(int(pid), signal.SIGTERM)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

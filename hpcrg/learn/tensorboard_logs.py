"""Logs of training that TensorBoard shows, one run of it a network: losses, learning rate, examples a second.

Steps count the updates of the weights that came before: a training loss stands at the step in which it was found, a
validation loss at the first step after its epoch. The state is the truth, the log follows it: a session begins a file
of its own, which takes back every step from which on the log is not that of the state, and gives it anew. Nothing that
goes wrong here ends a training.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from hpcrg.learn.job import Job
from hpcrg.learn.pace import Pace
from hpcrg.learn.state import State

TRAINING, VALIDATION = "loss/training", "loss/validation"
RATE, PACE = "learning_rate", "examples_per_second"
FILES = "events.out.tfevents."
"""What TensorBoard knows its files by; it reads those of a directory in the order of their names."""
VERSION = "brain.Event:2"
"""Of files in which the start of a session takes back later steps."""
logger = logging.getLogger("hpcrg")


class Board:
    """The logs below a directory. After the first thing that goes wrong there are no more of them in this run."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._silent = directory, False
        self._log: Log | None = None

    def keep(self, job: Job, current: State, pace: Pace) -> None:
        """Write what of a state is not in its log yet. Without the package tensorboard, or where the file system
        refuses, one line says so, and nothing is written."""
        self._try(lambda: self._of(job, current).append(current, pace))

    def mend(self, job: Job, current: State) -> None:
        """The same for a network that is done, whose log may have been lost, or be that of another training since."""
        if not self._silent:
            self._try(lambda: None if self._whole(job, current) else self._of(job, current).append(current, Pace()))

    def _try(self, write: Callable[[], None]) -> None:
        if self._silent:
            return
        try:
            write()
        except ModuleNotFoundError as error:
            self._silent = True
            logger.info("no logs for TensorBoard: expected the package tensorboard, found %s", error)
        except Exception as error:
            self._silent = True
            logger.warning(
                "warning: %s: no more logs for TensorBoard, the training goes on: %s", self._directory, error
            )

    def _of(self, job: Job, current: State) -> Log:
        directory = self._directory / job.file.stem
        if self._log is None or self._log.directory != directory:
            self._log = Log(directory, job, current)
        return self._log

    def _whole(self, job: Job, current: State) -> bool:
        loss, validation = logged(self._directory / job.file.stem)
        return _agree(loss, current.loss) == len(loss) == len(current.loss) and (
            _agree(list(enumerate(v for _, v in validation)), current.validation) == len(current.validation)
        )


class Log:
    """One session of one network. So many `steps` and `epochs` of its state are in the log. Raises OSError where the
    file system refuses, ModuleNotFoundError without the package."""

    def __init__(self, directory: Path, job: Job, current: State) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self.directory, self._job = directory, job
        self.steps = agreed(directory, current)
        self.epochs = max(0, (self.steps - 1) // job.steps)
        self._examples, self._seconds = 0, 0.0
        directory.mkdir(parents=True, exist_ok=True)
        numbers = [int(f.name.removeprefix(FILES)[:10]) for f in directory.glob(FILES + 10 * "[0-9]" + "*")]
        self._file = directory / f"{FILES}{max(numbers, default=0) + 1:010d}.hpcrg"
        begun = SessionLog(status=SessionLog.START)
        self._write([Event(file_version=VERSION), Event(step=self.steps, session_log=begun)])

    def append(self, current: State, pace: Pace) -> None:
        """What came to the state since the last time."""
        self._write(self._events(current, pace))
        self.steps = len(current.loss)

    def _events(self, current: State, pace: Pace) -> Iterator[Any]:
        for step in range(self.steps, len(current.loss) + 1):
            if self.epochs < len(current.validation) and step == (self.epochs + 1) * self._job.steps:
                yield _scalars(step, {VALIDATION: current.validation[self.epochs]})
                self.epochs += 1
            if step < len(current.loss):
                yield _scalars(step, {TRAINING: current.loss[step], RATE: self._job.rate_at(step)})
        seconds = pace.seconds - self._seconds
        if len(current.loss) > self.steps and seconds > 0:
            yield _scalars(len(current.loss) - 1, {PACE: (pace.examples - self._examples) / seconds})
            self._examples, self._seconds = pace.examples, pace.seconds

    def _write(self, events: Iterable[Any]) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        with self._file.open("ab") as handle:
            record = RecordWriter(handle)
            for event in events:
                event.wall_time = time.time()
                record.write(event.SerializeToString())


def agreed(directory: Path, current: State) -> int:
    """The number of first steps whose losses in the log are those of a state."""
    return _agree(logged(directory)[0], current.loss) if current.loss else 0


def logged(directory: Path) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Steps and values of the training and of the validation losses in a log."""
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    if not directory.exists():
        return [], []
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of every file
    read = EventAccumulator(str(directory), size_guidance={SCALARS: 0})
    read.Reload()
    tags = read.Tags()[SCALARS]
    training, validation = (
        [(e.step, e.value) for e in read.Scalars(tag)] if tag in tags else [] for tag in (TRAINING, VALIDATION)
    )
    return training, validation


def _agree(found: Sequence[tuple[int, float]], wanted: Sequence[float]) -> int:
    """How many of the first values that were found are those that are wanted, in float32, in their places."""
    pairs = zip(found, enumerate(np.array(wanted, np.float32).tolist()), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _scalars(step: int, values: Mapping[str, float]) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Event(step=step, summary=Summary(value=[Summary.Value(tag=k, simple_value=v) for k, v in values.items()]))

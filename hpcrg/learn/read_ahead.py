"""Reading ahead: the next items of an iterator are made by a thread while the caller computes.

The items and their order are those of the iterator. One thread makes all of them, so that a file is opened, read and
closed by that thread alone.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
DEPTH = 3
"""Items that are made before they are asked for."""


def ahead(items: Generator[T], depth: int = DEPTH) -> Generator[T]:
    """The same items, at most `depth` of them made before they are asked for. What making one raises is raised in its
    place, with its traceback. The thread begins with the first item, closes `items`, and has ended when this generator
    has: at the end, after an error, or when it is closed, which waits for the one item that is being made."""
    made: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()
    room, closed = threading.Semaphore(depth), threading.Event()

    def make() -> None:
        try:
            with closing(items):
                while room.acquire() and not closed.is_set():
                    made.put((next(items),))
        except BaseException as error:  # whatever it is, the other thread waits for it
            made.put(error)

    thread = threading.Thread(target=make, name="hpcrg-ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(got := made.get(), StopIteration):
            if isinstance(got, BaseException):
                raise got
            room.release()
            yield got[0]
    finally:
        closed.set()
        room.release()
        thread.join()

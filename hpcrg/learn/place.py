"""This process among the processes of a training run: rank, world, device, and the three things they do
together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """One process of an initialised process group. Every method is called by all processes together."""

    rank: int
    world: int
    device: torch.device

    def sum(self, values: Tensor) -> Tensor:
        """The sum of float64 values over all processes, on the CPU; the same bits everywhere."""
        shared = values.to(self.device, torch.float64)
        dist.all_reduce(shared)
        return shared.cpu()

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives on rank 0, everywhere; what it raises is raised everywhere, so that nobody
        waits."""
        answer: list[T | Exception | None] = [None, None]
        if self.rank == 0:
            try:
                answer[0] = make()
            except Exception as error:
                answer[1] = error
        dist.broadcast_object_list(answer, src=0, device=self.device)
        if isinstance(answer[1], Exception):
            raise answer[1]
        return answer[0]  # type: ignore[return-value]

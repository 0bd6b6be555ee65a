"""Training on several devices under torchrun: averaged gradients, one process that writes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Workers:
    """This process among all of a run; (0, 1) when there is only one."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its mean over the processes."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)
            parameter.grad /= self.count

    def share(self, parameters: Iterable[nn.Parameter]) -> None:
        """Gives every process the parameters of the first."""
        if self.count > 1:
            for parameter in parameters:
                distributed.broadcast(parameter.data, src=0)

    def agree(self, value: float) -> float:
        """The value of the first process, so that all stop at the same step."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        distributed.broadcast(shared, src=0)
        return float(shared)

    def wait(self) -> None:
        """Returns when every process has come here."""
        if self.count > 1:
            distributed.barrier()

    def leave(self) -> None:
        """Ends the group, once every process has come here: none loses the others at work."""
        if self.count > 1:
            self.wait()
            distributed.destroy_process_group()


ALONE = Workers()


def join() -> Workers:
    """The process group that torchrun describes in the environment, or one process alone.

    gloo also where there are GPUs: the gradients of these networks are a few megabytes.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ALONE
    distributed.init_process_group("gloo")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return Workers(distributed.get_rank(), count)

"""Several processes that train one model, each on a share of the work (torchrun starts them)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Iterable, List, Sequence

import torch
from torch import Tensor, distributed

__all__ = ["ALONE", "Workers", "join_workers"]


@dataclass(frozen=True)
class Workers:
    """The processes of a run, and which of them this is; one, unless `join_workers` said more."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that saves and reports."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Give every worker the mean of all workers' gradients, in place.

        A gradient that only some of them have counts as zero for the others; what none has a
        gradient of is left without.
        """
        if self.count == 1:
            return
        every = list(parameters)
        if not every:
            return
        has = torch.tensor([p.grad is not None for p in every], dtype=torch.float32)
        has = has.to(every[0].device)
        distributed.all_reduce(has, distributed.ReduceOp.MAX)
        met = [p for p, there in zip(every, has.tolist()) if there]
        if not met:
            return
        for parameter in met:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in met if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        distributed.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients])):
            gradient.copy_(mean.view_as(gradient))

    def same(self, value: float) -> float:
        """The first worker's `value`, so that all of them decide alike."""
        if self.count == 1:
            return value
        shared = _where_they_meet([value])
        distributed.broadcast(shared, src=0)
        return float(shared)

    def totals(self, values: Sequence[float]) -> List[float]:
        """The sums of the workers' values, place by place."""
        if self.count == 1:
            return list(values)
        shared = _where_they_meet(values)
        distributed.all_reduce(shared)
        return shared.tolist()


def _where_they_meet(values: Sequence[float]) -> Tensor:
    shared = torch.tensor(list(values), dtype=torch.float64)
    return shared.cuda() if distributed.get_backend() == "nccl" else shared


#: The only process of a run.
ALONE = Workers()


def join_workers(device: torch.device) -> Workers:
    """Meet the other processes that torchrun started; without torchrun there is one worker.

    On GPUs each takes one of its own, which is then what "cuda" means.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ALONE
    if device == torch.device("cuda"):  # none of them was named
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Workers(distributed.get_rank(), count)

"""Training with several processes: torch.distributed, started by torchrun.

    torchrun --nproc-per-node 4 -m lesionlens train paper --index ...

Every process takes its share of each batch and the gradients are averaged, so the result equals that of one process up
to rounding; MixUp and CutMix are drawn once for the whole batch, and partners come from all of it. Only the statistics of
batch norms while training are computed on each share alone (rank 0's running statistics are kept); GPUs can share them
with `training.sync_batchnorm`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

from lesionlens.core.errors import TrainingError
from lesionlens.models.operators import timm

TIMEOUT = timedelta(hours=2)  # the other processes wait while rank 0 validates


@dataclass(frozen=True)
class World:
    """The processes of a run, seen from one of them.

    Attributes:
        device: where this process computes.
        rank: number of this process; rank 0 validates and writes.
        size: number of processes.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process prints and writes files."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.size > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def rows(self, total: int) -> slice:
        """This process's share of the `total` rows of a mini-batch; shares differ by at most one row.

        >>> [World(torch.device("cpu"), rank, 3).rows(8) for rank in range(3)]
        [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
        """
        each, more = divmod(total, self.size)
        start = self.rank * each + min(self.rank, more)
        return slice(start, start + each + (self.rank < more))

    def gather(self, rows: Tensor, total: int) -> Tensor:
        """All `total` rows of a mini-batch, in order, from the `rows` that each process has, on every process."""
        if self.size == 1:
            return rows
        most = -(-total // self.size)
        padded = torch.cat([rows, rows[:1].expand(most - len(rows), *rows.shape[1:])]).contiguous()
        shares = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(shares, padded)
        sizes = [len(range(total)[replace(self, rank=rank).rows(total)]) for rank in range(self.size)]
        return torch.cat([share[:size] for share, size in zip(shares, sizes, strict=True)])

    def share(self, value: Any) -> Any:
        """The JSON-ready value of rank 0, on every process."""
        if self.size == 1:
            return value
        text = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8, device=self.device)
        length = torch.tensor([len(text)], device=self.device)
        distributed.broadcast(length, 0)
        text = text if self.rank == 0 else torch.empty(int(length), dtype=torch.uint8, device=self.device)
        distributed.broadcast(text, 0)
        return json.loads(bytes(text.tolist()))

    def wrap(self, network: nn.Module, sync_batchnorm: bool = False) -> nn.Module:
        """The network whose backward pass averages the gradients over all processes.

        Args:
            network: changed in place if its batch norms are shared; its weights and their names stay.
            sync_batchnorm: share the statistics of batch norms between the processes.

        Raises:
            TrainingError: if batch norms are to be shared on CPUs, which torch cannot.
        """
        if self.size == 1:
            return network
        if sync_batchnorm:
            network = shared_batchnorms(network, self.device)
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(network, device_ids=devices)


def shared_batchnorms(network: nn.Module, device: torch.device) -> nn.Module:
    """The network with timm's synchronised batch norms in place of its own.

    Raises:
        TrainingError: on a CPU, where torch has none.
    """
    if device.type == "cpu":
        raise TrainingError(
            "training.sync_batchnorm = True with several processes on CPUs; torch shares batch norms between CUDA GPUs only. "
            "Set training.sync_batchnorm=false, or train with one process"
        )
    synchronised: nn.Module = timm().layers.convert_sync_batchnorm(network)
    return synchronised


def choose_device(name: str = "auto", local_rank: int = 0) -> torch.device:
    """The device by name; `auto` is the first CUDA GPU, else the CPU.

    Raises:
        TrainingError: if `name` is a GPU and there is none.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrainingError(f"device {name!r} is not available: torch sees no CUDA GPU; use --device cpu")
    return torch.device("cuda", local_rank) if name in ("auto", "cuda") else torch.device(name)


@contextmanager
def join_world(device: str = "auto") -> Iterator[World]:
    """The processes that torchrun started, or this one alone without it.

    Raises:
        TrainingError: if the device does not exist.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    torch_device = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if size == 1:
        yield World(torch_device)
        return
    if torch_device.type == "cuda":
        torch.cuda.set_device(torch_device)
    distributed.init_process_group("nccl" if torch_device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield World(torch_device, distributed.get_rank(), size)
        distributed.barrier()  # keep the connection until every process is done
    finally:
        distributed.destroy_process_group()

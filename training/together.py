"""Several processes that train one network: every few steps, each one's weights and the common ones become their mean.

Nobody waits for anybody, so a process that is slower, comes later or ends early does no harm. On a machine whose cores
are shared, two processes of one thread get further than one of two, whose threads wait for each other at every layer.
"""

from __future__ import annotations

import fcntl
from pathlib import Path

import torch
from torch import Tensor, nn

__all__ = ["Meeting"]

EVERY = 8  # steps


class Meeting:
    """The weights that processes share through a file, and how often somebody has been there."""

    def __init__(self, path: Path, network: nn.Module) -> None:
        self._parameters = list(network.parameters())
        count = sum(parameter.numel() for parameter in self._parameters)
        self._common = torch.from_file(str(path), shared=True, size=count + 1)  # a new file is all zeros
        self._lock = path.with_suffix(".lock")

    @torch.no_grad()
    def after(self, step: int) -> None:
        """Meet the others after some of the steps."""
        if step % EVERY:
            return
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            own, common = self._own(), self._common[:-1]
            if self._common[-1]:
                own = (own + common) / 2
            common.copy_(own)
            self._common[-1] += 1
        start = 0
        for parameter in self._parameters:
            parameter.copy_(own[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()

    def _own(self) -> Tensor:
        return torch.cat([parameter.flatten() for parameter in self._parameters])

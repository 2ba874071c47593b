"""What does not depend on the machine: operations, allocations, matrix products and waiting, counted exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Counts", "count", "hooks_on"]

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "_scaled_dot_product", "linear")
WAITING = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "unique")


@dataclass(frozen=True)
class Counts:
    """What was asked of the device."""

    kernels: int
    """Operations that compute or move something; views do not."""
    allocations: int
    """Results in new memory."""
    allocated_bytes: int
    products: int
    """Matrix products, whole attentions among them."""
    waits: int
    """Times that the program would stand still until a GPU has answered."""

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, one.name) - getattr(other, one.name) for one in fields(self)))


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        self.found["waits"] += name in WAITING or _leaves_the_device(args, result)
        given = {_place(one) for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
        made = [one for one in tree_leaves(result) if isinstance(one, Tensor) and _place(one) not in given]
        self.found["allocations"] += len(made)
        self.found["allocated_bytes"] += sum(one.untyped_storage().nbytes() for one in made)
        # `to` is called a view, and copies where the type changes. Whether `flatten` does, depends on the device.
        is_view = func.is_view and not (made and name == "to")
        if not is_view and name not in ("empty", "empty_like", "empty_strided", "detach"):
            self.found["kernels"] += 1
            self.found["products"] += name.startswith(PRODUCTS)
        return result


def count(call: Callable[[], object]) -> Counts:
    """Return what a call asks of the device."""
    with _Counter() as counter:
        call()
    return Counts(**{one.name: counter.found[one.name] for one in fields(Counts)})


def hooks_on(module: nn.Module) -> int:
    """Return the number of hooks on a network and everything in it."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return sum(len(vars(one)[kind]) for one in module.modules() for kind in kinds)


def _leaves_the_device(args: tuple[Any, ...], result: object) -> bool:
    is_cpu = isinstance(result, Tensor) and result.device.type == "cpu"
    return is_cpu and any(isinstance(one, Tensor) and one.device.type not in ("cpu", "meta") for one in args)


def _place(tensor: Tensor) -> object:
    """Return what tells one piece of memory from another, also on the meta device, which has none."""
    return tensor.untyped_storage()._cdata

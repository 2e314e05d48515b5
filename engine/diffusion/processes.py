"""Training on several processes through accelerate: `torchrun --nproc_per_node N -m engine.cli train ...`
or `accelerate launch`.

Every process builds the same pool from the same seed, all of them as far as there is time (`budget`), takes over what
the main one fitted on it, and draws its own batches; gradients are averaged, so weights stay the same everywhere.
Alone, this costs nothing and accelerate is not needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from engine.errors import EngineError


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of how many processes this is."""

    index: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        """Is this the one that writes?"""
        return self.index == 0

    def average_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes; all of them call this with the same weights.

        A batch may leave weights without a gradient that another process's batch has one for: theirs counts as zero.
        """
        if self.count > 1:
            weights = list(weights)
            has = self._mean(torch.tensor([float(weight.grad is not None) for weight in weights])).tolist()
            for weight in (weight for weight, share in zip(weights, has, strict=True) if share > 0):
                gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
                weight.grad = self._mean(gradient)

    def agree(self, value: float) -> float:
        """The mean of `value` over the processes, so that all of them decide alike."""
        return value if self.count == 1 else float(self._mean(torch.tensor(value, dtype=torch.float64)))

    def any(self, flag: bool) -> bool:
        """Is `flag` set on at least one process? All of them get this answer."""
        return flag if self.count == 1 else self.agree(float(flag)) > 0

    def broadcast(self, tensors: Iterable[torch.Tensor]) -> None:
        """Overwrite `tensors` with the main process's; all of them call this with tensors of the same shapes."""
        if self.count > 1:
            from accelerate.utils import broadcast

            for tensor in tensors:
                received = broadcast(tensor.clone(memory_format=torch.contiguous_format))
                assert isinstance(received, torch.Tensor)
                tensor.copy_(received)

    def leave(self) -> None:
        """Wait for the others and close the connections: a process that ends with them open may abort."""
        if self.count > 1:
            from accelerate import PartialState

            self.agree(0.0)
            PartialState().destroy_process_group()

    @staticmethod
    def _mean(tensor: torch.Tensor) -> torch.Tensor:
        from accelerate.utils import reduce

        answer = reduce(tensor, "mean")
        assert isinstance(answer, torch.Tensor)
        return answer


ALONE = Processes()


def launched() -> Processes:
    """As the launcher's environment says; EngineError where it asks for several and accelerate is not installed."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise EngineError(
            "train: expected accelerate for several processes, found none; run: scripts/install '.[multi]'"
        ) from error
    # Its functions keep the group of the moment of import as a default. Imported later, by the first optimizer, they
    # would hold ours past `leave`; its threads drop tensors, which aborts a process whose interpreter ends.
    import torch.distributed.nn

    state = PartialState(cpu=not torch.cuda.is_available())
    return Processes(state.process_index, state.num_processes)

"""Autograd graphs of executed tapes, found by tape and numbers instead of a hash.

PennyLane copies a tape between its forward and its backward pass, but not its measurements. So a
graph belongs to the first measurement by identity, and is dropped with it. A measurement that
several tapes share has the graph of the last; the numbers decide whether it is this tape's.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from pennylane.measurements import MeasurementProcess
from torch import Tensor

from qtha_lab.simulators.pennylane_device.tapes import TapeRequest, sentence_of


@dataclass(frozen=True)
class TapeGraph:
    """Results of a tape, differentiable in the leaves `inputs` and `params`."""

    inputs: Tensor
    params: Tensor
    values: list[Tensor]

    @classmethod
    def of(cls, request: TapeRequest) -> TapeGraph:
        """Compute the results of a tape with their graph."""
        with torch.enable_grad():
            request.inputs.requires_grad_()
            request.params.requires_grad_()
            return cls(request.inputs, request.params, request.values())


class TapeGraphs:
    """Graphs of the tapes whose measurements exist. A copy of a device starts without any."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[weakref.ref, tuple, TapeGraph]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __reduce__(self):
        return TapeGraphs, ()

    def compute(self, request: TapeRequest) -> TapeGraph:
        """Compute the graph of a tape, and keep it while its first measurement exists."""
        first = request.measurements[0]
        kept, key = self._kept, id(first)
        reference = weakref.ref(first, lambda _: kept.pop(key, None))
        graph = TapeGraph.of(request)
        kept[key] = reference, _fixed(request), graph
        return graph

    def of(self, request: TapeRequest) -> TapeGraph:
        """Return the graph of a tape: the kept one, or a new one."""
        first, kept = request.measurements[0], self._kept.get(id(request.measurements[0]))
        if kept is None:
            return self.compute(request)
        reference, fixed, graph = kept
        same = (
            reference() is first
            and fixed == _fixed(request)
            and torch.equal(graph.inputs, request.inputs)
            and torch.equal(graph.params, request.params)
        )
        return graph if same else self.compute(request)


def _fixed(request: TapeRequest) -> tuple:
    """Return a tape without its numbers, and without references to its measurements."""
    return (
        request.circuit,
        request.sources,
        request.is_batched,
        request.wires,
        tuple(map(_plain, request.measurements)),
    )


def _plain(measurement: MeasurementProcess) -> tuple:
    """Return a measurement as numbers and names."""
    sentence = sentence_of(measurement) or {}
    terms = tuple((tuple(word.items()), complex(factor)) for word, factor in sentence.items())
    return type(measurement), tuple(measurement.wires), terms

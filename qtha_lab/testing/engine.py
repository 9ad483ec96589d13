"""Facts of an engine, checked on a few small circuits that it supports."""

import logging

import torch
from torch import Tensor

from qtha_lab.circuits import Angle, Circuit, Gate, Readout
from qtha_lab.circuits.ansatze import build
from qtha_lab.core.errors import Refusal, describe_error
from qtha_lab.simulators import check_engine, expval_z
from qtha_lab.simulators.engine_selection import engine_of
from qtha_lab.simulators.registry import EngineInfo
from qtha_lab.testing.facts import Broken, expect, fact

log = logging.getLogger(__name__)

ONE_ROTATION = Circuit(1, [Gate("RY", 0, Angle.input(0)), Gate("RY", 0, Angle.param(0))])


def _circuits(info: EngineInfo) -> list[Circuit]:
    """Return the small test circuits that the engine supports."""
    circuits = []
    for circuit in (ONE_ROTATION, build("product", 2, 1), build("qtha", 3, 1), build("qtha", 8, 1)):
        try:
            check_engine(info.examples[0], circuit)
        except Refusal as reason:
            log.debug("one circuit of the contract is left out: %s", reason)
            continue
        circuits.append(circuit)
    return circuits


def _numbers(circuit: Circuit) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (3, circuit.n_inputs), (circuit.n_params,)
    inputs, params = (3 * torch.rand(s, generator=generator, dtype=torch.float64) for s in shapes)
    return inputs.requires_grad_(), params.requires_grad_()


@fact("engine", "it runs circuits of one rotation of one qubit")
def takes_something(info: EngineInfo) -> None:
    """Check that the engine supports at least one of the small circuits."""
    expect(bool(_circuits(info)), "it refuses every circuit that was tried")


@fact("engine", "its values are those of engine torch")
def agrees(info: EngineInfo) -> None:
    """Check that ⟨Z⟩ has the shape of engine torch's and is within 10⁻⁵ of it."""
    for circuit in _circuits(info):
        inputs, params = _numbers(circuit)
        try:
            values = expval_z(circuit, inputs, params, info.examples[0])
        except Exception as problem:
            raise Broken(f"{circuit.n_qubits} qubits raise {describe_error(problem)}") from problem
        expected = expval_z(circuit, inputs, params, "torch")
        expect(
            values.shape == expected.shape, f"{tuple(values.shape)}, not {tuple(expected.shape)}"
        )
        far = (values - expected).abs().max().item()
        expect(far < 1e-5, f"⟨Z⟩ differs by {far:.3g} for {circuit.n_qubits} qubits")


@fact("engine", "its gradients are those of engine torch")
def has_gradients(info: EngineInfo) -> None:
    """Check that input and parameter gradients are within 10⁻⁵ of engine torch's."""
    for circuit in _circuits(info):
        numbers = _numbers(circuit)
        of_engine, of_torch = (
            torch.autograd.grad(expval_z(circuit, *numbers, engine).sin().sum(), numbers)
            for engine in (info.examples[0], "torch")
        )
        for name, gradient, expected in zip(("inputs", "params"), of_engine, of_torch, strict=True):
            far = (gradient - expected).abs().max().item()
            expect(far < 1e-5, f"gradients of {name} differ by {far:.3g}")


@fact("engine", "a row alone gives the row's values, twice the same, in the precision of the input")
def engine_repeatable(info: EngineInfo) -> None:
    """Check two runs, single rows and the dtype of the values."""
    for circuit in _circuits(info):
        inputs, params = (t.detach() for t in _numbers(circuit))
        values = expval_z(circuit, inputs, params, info.examples[0])
        again = expval_z(circuit, inputs, params, info.examples[0])
        expect(torch.equal(values, again), f"two runs differ for {circuit.n_qubits} qubits")
        row = expval_z(circuit, inputs[1:2], params, info.examples[0])
        far = (row - values[1:2]).abs().max().item()
        expect(far < 1e-10, f"one row of a batch changes the values of another by {far:.3g}")
        engine, readout = engine_of(info.examples[0]), Readout.z(circuit.n_qubits)
        single = engine.run(circuit, inputs.float(), params.float(), readout, info.examples[0])
        expect(single.dtype == torch.float32, f"for float32 the dtype is {single.dtype}")


@fact("engine", "it states its working memory")
def reports_needs(info: EngineInfo) -> None:
    """Check that `working_bytes` returns a non-negative int."""
    name = info.examples[0]
    running = engine_of(name)
    size = running.working_bytes(ONE_ROTATION, 3, name)
    expect(isinstance(size, int) and size >= 0, f"working_bytes gives {size!r}")
    for circuit in _circuits(info):
        running.check(circuit, Readout.z(circuit.n_qubits), name)
        size = running.working_bytes(circuit, 3, name)
        expect(isinstance(size, int) and size >= 0, f"working_bytes gives {size!r}")

"""Circuits inside torch.compile, torch.export and torch.func.

The same numbers as without, by any engine.
"""

import pytest
import torch
from hypothesis import given, settings
from support.random_circuits import circuits, values_and_gradients
from support.refusals import refused

from qtha_lab.circuits import Angle, Circuit, Gate, Readout, ansatze
from qtha_lab.circuits.json_text import circuit_of, circuit_text, readout_of, readout_text
from qtha_lab.simulators import engine_names, expval, expval_z, probs, state
from qtha_lab.simulators.torch_transforms import gradients_op, values

ENGINES = engine_names()


def _both(circuit, batch=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    shapes = (batch, circuit.n_inputs), (circuit.n_params,)
    return [torch.rand(s, generator=generator, dtype=dtype).requires_grad_() for s in shapes]


# text


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(circuits())
def test_a_circuit_comes_back_from_its_text(circuit):
    assert circuit_of(circuit_text(circuit)) == circuit


def test_text_keeps_amplitudes_matrices_and_every_digit():
    matrix = [[0.6, 0.8j], [0.8j, 0.6]]
    circuit = Circuit(2, [Gate.unitary(matrix, 1), Gate("RY", 0, 0.1 + 0.2)], "amplitudes")
    assert circuit_of(circuit_text(circuit)) == circuit
    for readout in (
        Readout.z(3),
        Readout.probs(),
        Readout.state(),
        Readout("strings", ((), (0, 2))),
    ):
        assert readout_of(readout_text(readout)) == readout


# torch.compile


@pytest.mark.parametrize("engine", ENGINES)
def test_one_graph_holds_any_engine(engine):
    circuit = ansatze.build("qtha", 3, 1)
    operands = _both(circuit)

    def run(x, p):
        return expval_z(circuit, 2 * x, p.sin(), engine).square()

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    for a, b in zip(
        values_and_gradients(compiled, operands), values_and_gradients(run, operands), strict=True
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 0, 3), (2, 4, 3)])
def test_a_graph_takes_any_leading_shape_and_half_precision(shape):
    circuit = ansatze.build("qtha", 3, 1)
    inputs = torch.rand(shape, dtype=torch.bfloat16)
    params = torch.rand(circuit.n_params)
    compiled = torch.compile(expval_z, fullgraph=True, backend="aot_eager", dynamic=True)
    result, expected = (f(circuit, inputs, params) for f in (compiled, expval_z))
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


def test_observables_of_several_runs_keep_their_order_in_a_graph():
    circuit = ansatze.build("qtha", 2, 1)
    words = ["Z0 Z1", "X0", "Z1", "Y0 X1"]

    def run(x, p):
        return torch.cat([expval(circuit, words, x, p), probs(circuit, x, p)], -1)

    operands = _both(circuit)
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    for a, b in zip(
        values_and_gradients(compiled, operands), values_and_gradients(run, operands), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_the_state_goes_through_a_graph():
    circuit = ansatze.build("qtha", 2, 1)
    operands = _both(circuit)
    compiled = torch.compile(lambda x, p: state(circuit, x, p), fullgraph=True, backend="aot_eager")
    eager = values_and_gradients(lambda x, p: state(circuit, x, p), operands)
    for a, b in zip(values_and_gradients(compiled, operands), eager, strict=True):
        torch.testing.assert_close(a, b)


def test_another_circuit_in_the_same_place_makes_another_graph():
    rotations = [Circuit(1, [Gate("RY", 0, Angle.input(0, offset=float(k)))]) for k in range(3)]
    compiled = torch.compile(expval_z, fullgraph=True, backend="aot_eager")
    x, none = torch.zeros(1, 1), torch.empty(0)
    values = [compiled(rotation, x, none).item() for rotation in [*rotations, *rotations]]
    assert values == pytest.approx(2 * [1.0, 0.5403023, -0.4161468])  # cos 0, cos 1, cos 2


def test_amplitudes_go_through_a_graph():
    circuit = ansatze.build("qtha", 2, 1, reupload=False, embedding="amplitude")
    operands = _both(circuit)
    compiled = torch.compile(
        lambda x, p: expval_z(circuit, x, p), fullgraph=True, backend="aot_eager"
    )
    eager = values_and_gradients(lambda x, p: expval_z(circuit, x, p), operands)
    for a, b in zip(values_and_gradients(compiled, operands), eager, strict=True):
        torch.testing.assert_close(a, b)


# the operators themselves


@pytest.mark.parametrize("engine", ["cpu", "torch"])
def test_torchs_own_checks_of_operators_pass(engine):
    circuit = ansatze.build("qtha", 2, 1)
    inputs, params = _both(circuit, batch=3)
    texts = circuit_text(circuit), readout_text(Readout.z(2)), engine
    torch.library.opcheck(values, (inputs, params, *texts))
    plain = inputs.detach(), params.detach(), torch.rand(3, 2).double()
    torch.library.opcheck(gradients_op, (*plain, *texts, True, True))
    # the slopes by finite differences
    torch.autograd.gradcheck(lambda x, p: values(x, p, *texts), (inputs, params))


def test_a_graph_says_that_it_has_first_derivatives_only():
    circuit = ansatze.build("qtha", 2, 1)
    inputs, params = _both(circuit, batch=3)
    read = values(inputs, params, circuit_text(circuit), readout_text(Readout.z(2)), "cpu")
    (first,) = torch.autograd.grad(read.sum(), inputs, create_graph=True)
    with refused("in a graph of torch.compile", "second order"):
        first.sum().backward()


# torch.export


class _Layer(torch.nn.Module):
    def __init__(self, circuit):
        super().__init__()
        self.circuit = circuit
        self.params = torch.nn.Parameter(torch.rand(circuit.n_params))

    def forward(self, inputs):
        return expval_z(self.circuit, inputs, self.params)


@pytest.mark.parametrize("strict", [True, False])
def test_an_exported_layer_is_saved_and_runs_at_any_batch(tmp_path, strict):
    layer = _Layer(ansatze.build("qtha", 3, 2))
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        layer, (torch.rand(4, 3),), dynamic_shapes={"inputs": {0: batch}}, strict=strict
    )
    torch.export.save(program, tmp_path / "layer.pt2")
    loaded = torch.export.load(tmp_path / "layer.pt2").module()
    inputs = torch.rand(9, 3)
    torch.testing.assert_close(loaded(inputs), layer(inputs), rtol=0, atol=0)


def test_operations_can_be_recorded_and_faked():
    layer = _Layer(ansatze.build("qtha", 3, 1))
    inputs = torch.rand(4, 3)
    graph = torch.fx.experimental.proxy_tensor.make_fx(layer)(inputs)
    assert "qtha_lab.values" in graph.code
    torch.testing.assert_close(graph(inputs), layer(inputs))
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True) as fakes:
        assert layer(fakes.from_tensor(inputs)).shape == (4, 3)


# torch.func


@pytest.mark.parametrize("engine", ENGINES)
def test_torch_func_works(engine):
    circuit = ansatze.build("qtha", 3, 1)
    inputs, params = torch.rand(4, 3).double(), torch.rand(circuit.n_params).double()

    def run(x, p):
        return expval_z(circuit, x, p, engine=engine)

    torch.testing.assert_close(torch.func.vmap(run, (0, None))(inputs, params), run(inputs, params))
    jacobian = torch.func.vmap(torch.func.jacrev(run, 1), (0, None))(inputs, params)
    expected = torch.autograd.functional.jacobian(lambda p: run(inputs, p), params)
    torch.testing.assert_close(jacobian, expected)
    several = torch.stack([params, -params])
    by_hand = torch.stack([run(inputs, p) for p in several])
    torch.testing.assert_close(torch.func.vmap(run, (None, 0))(inputs, several), by_hand)
    gradients = torch.func.grad(lambda x: run(x, params).sum())(inputs)
    torch.testing.assert_close(
        gradients, torch.autograd.functional.jacobian(lambda x: run(x, params).sum(), inputs)
    )


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # jvp's
@pytest.mark.parametrize("engine", [name for name in ENGINES if name not in ("auto", "torch")])
def test_torch_func_has_first_derivatives_only_where_an_engine_cannot_be_traced(engine):
    circuit = ansatze.build("qtha", 2, 1)
    params = torch.ones(circuit.n_params)

    def loss(x):
        return expval_z(circuit, x, params, engine).sum()

    with refused(value="second order", remedy="engine='torch'"):
        torch.func.grad(lambda x: torch.func.grad(loss)(x).sum())(torch.rand(3, 2))
    with refused(value="forward ones", remedy="engine='torch'"):
        torch.func.jvp(loss, (torch.rand(3, 2),), (torch.rand(3, 2),))

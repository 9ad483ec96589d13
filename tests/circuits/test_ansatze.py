"""Every registered ansatz keeps its promises; those with a PennyLane template equal it."""

import math

import numpy as np
import pennylane as qml
import pytest
import torch
from support.refusals import refused

from qtha_lab.circuits import ansatze, to_pennylane
from qtha_lab.simulators import expval_z

SIZES = [(2, 1), (3, 2), (5, 3)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("brickwork", {"block": "ry_cz"}),
        ("block_diagonal", {"n_blocks": 1}),
        ("block_diagonal", {"n_blocks": 3, "inner": "strongly_entangling"}),
    ],
)
def test_the_stated_count_follows_the_options(name, options):
    circuit = ansatze.build(name, 5, 2, **options)
    assert circuit.n_params == ansatze.get(name).n_params(5, 2, **options)
    assert circuit != ansatze.build(name, 5, 2)


@pytest.mark.parametrize("name", ansatze.names())
@pytest.mark.parametrize(("n_qubits", "n_layers"), SIZES)
def test_amplitudes_replace_the_encoding_and_nothing_else(name, n_qubits, n_layers):
    angles = ansatze.build(name, n_qubits, n_layers, reupload=False)
    amplitudes = ansatze.build(name, n_qubits, n_layers, reupload=False, embedding="amplitude")
    assert (amplitudes.start, amplitudes.n_inputs) == ("amplitudes", 2**n_qubits)
    assert amplitudes.n_params == angles.n_params
    remaining = [g for g in angles.gates if all(a.source != "input" for a in g.angles)]
    assert list(amplitudes.gates) == remaining
    values = expval_z(amplitudes, torch.eye(2**n_qubits), torch.rand(angles.n_params))
    # over a basis the expectations of a traceless operator sum to nothing
    torch.testing.assert_close(values.sum(0), torch.zeros(n_qubits), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ansatze.names())
def test_without_entanglers_each_output_depends_on_its_own_input_only(name):
    circuit = ansatze.build(name, 4, 2)
    control = ansatze.build(name, 4, 2, entangle=False)
    assert (control.n_inputs, control.n_params) == (4, circuit.n_params)
    assert control.two_qubit_depth() == 0
    read = [a.index for g in control.gates for a in g.angles if a.source == "param"]
    assert sorted(read) == list(range(circuit.n_params))
    params = torch.linspace(-2, 3, circuit.n_params, dtype=torch.float64)
    inputs = torch.rand(4, dtype=torch.float64)
    meets = {}
    for which in (circuit, control):
        jacobian = torch.autograd.functional.jacobian(
            lambda x, which=which: expval_z(which, x, params, engine="torch"), inputs
        )
        meets[which] = (jacobian - jacobian.diagonal().diag()).abs().max() > 1e-9
    assert not meets[control]
    assert meets[circuit] == (name != "product")


@pytest.mark.parametrize(
    ("request_", "setting", "value"),
    [
        (("qhta", 3, 1), "ansatz", "'qhta'"),
        (("qtha", 1, 1), "Ansatz 'qtha'", "1"),
        (("qtha", 3, 0), "Ansatz 'qtha'", "0"),
        (("qtha", 3, 1, True, "amplitude"), "reupload", "True"),
        (("qtha", 3, 1, True, "basis"), "embedding", "'basis'"),
        (("qtha", 3.0, 1), "Ansatz 'qtha'", "3.0"),
    ],
)
def test_wrong_requests_get_a_sentence(request_, setting, value):
    with refused(setting, value):
        ansatze.build(*request_)


def test_unknown_options_get_the_nearest_name():
    with refused("option of ansatz qtha", "'ordr'"):
        ansatze.build("qtha", 3, 1, ordr="RY-CRZ-RY-CRZ")
    with refused("order", "'CRZ-RY'"):
        ansatze.build("qtha", 3, 1, order="CRZ-RY")


@pytest.mark.parametrize(
    ("name", "options", "setting", "value"),
    [
        ("brickwork", {"block": "su4"}, "block", "'su4'"),
        ("block_diagonal", {"n_blocks": 3}, "n_qubits", "5"),
        ("block_diagonal", {"n_blocks": 0}, "n_blocks", "0"),
        ("block_diagonal", {"inner": "qtah"}, "ansatz", "'qtah'"),
        (
            "block_diagonal",
            {"inner": "block_diagonal"},
            "The inner ansatz of 'block_diagonal'",
            "'block_diagonal'",
        ),
    ],
)
def test_wrong_options_get_a_sentence(name, options, setting, value):
    with refused(setting, value):
        ansatze.build(name, 5, 1, **options)


def test_the_qtha_layer_is_the_papers():
    names = [gate.name for gate in ansatze.build("qtha", 3, 1).gates]
    assert names == ["RY"] * 3 + ["CRZ"] * 3 + ["RY"] * 3 + ["CRZ"] * 3 + ["RY"] * 3
    rings = [g.wires for g in ansatze.build("qtha", 3, 1).gates if g.name == "CRZ"]
    assert rings == [(0, 1), (1, 2), (2, 0), (0, 2), (1, 0), (2, 1)]


def test_the_vqnet_benchmark_circuit_has_400_parameters():
    circuit = ansatze.build("qtha", 10, 10, reupload=False, order="RY-CRZ-RY-CRZ")
    assert circuit.n_params == 400  # VQNet's documentation: n = 10, L = 10
    assert [g.name for g in circuit.gates[:30]] == ["RY"] * 20 + ["CRZ"] * 10
    assert sum(a.source == "input" for g in circuit.gates for a in g.angles) == 10


@pytest.mark.parametrize("name", ["qtha", "product"])
def test_without_phases_one_layer_adds_its_angles(name):
    circuit = ansatze.build(name, 3, 1)
    inputs = torch.tensor([[0.3, -1.2, 2.0], [1.0, 0.0, -0.4]], dtype=torch.float64)
    params = torch.zeros(4, 3, dtype=torch.float64)  # ring, RY θ, ring, RY θ'
    params[1], params[3] = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([-0.5, 0.7, 1.1])
    values = expval_z(circuit, inputs, params.reshape(-1), engine="torch")
    torch.testing.assert_close(values, torch.cos(inputs + params[1] + params[3]))


@pytest.mark.parametrize("n_qubits", [1, 2, 4])
@pytest.mark.parametrize(
    ("name", "template", "per_qubit"),
    [
        ("strongly_entangling", qml.StronglyEntanglingLayers, (3,)),
        ("basic_entangler", qml.BasicEntanglerLayers, ()),
    ],
)
def test_layers_equal_pennylanes_template(name, template, per_qubit, n_qubits):
    circuit = ansatze.build(name, n_qubits, 3, reupload=False)
    params = np.linspace(-math.pi, math.pi, circuit.n_params)
    theirs = template(params.reshape(3, n_qubits, *per_qubit), wires=range(n_qubits))
    _assert_same_after_encoding(circuit, params, theirs)


def _assert_same_after_encoding(circuit, params, template):
    wires = range(circuit.n_qubits)
    ours = to_pennylane(circuit, np.zeros(circuit.n_qubits), params)[circuit.n_qubits :]
    matrices = [
        qml.matrix(qml.tape.QuantumScript(ops), wire_order=wires)
        for ops in (ours, template.decomposition())
    ]
    np.testing.assert_allclose(*matrices, atol=1e-12)


@pytest.mark.parametrize("n_qubits", [2, 3, 4, 5])
def test_the_two_design_equals_pennylanes(n_qubits):
    circuit = ansatze.build("simplified_two_design", n_qubits, 3, reupload=False)
    params = np.linspace(-math.pi, math.pi, circuit.n_params)
    first, rest = params[:n_qubits], params[n_qubits:].reshape(3, n_qubits - 1, 2)
    _assert_same_after_encoding(
        circuit, params, qml.SimplifiedTwoDesign(first, rest, wires=range(n_qubits))
    )


@pytest.mark.parametrize("n_qubits", [2, 4, 8])
def test_the_tree_equals_pennylanes(n_qubits):
    def block(weights, wires):
        qml.RY(weights[0], wires[0])
        qml.RY(weights[1], wires[1])
        qml.CNOT(wires)

    circuit = ansatze.build("tree", n_qubits, 1, reupload=False)
    params = np.linspace(-math.pi, math.pi, circuit.n_params)
    template = qml.TTN(
        range(n_qubits), 2, block, n_params_block=2, template_weights=params.reshape(-1, 2)
    )
    _assert_same_after_encoding(circuit, params, template)


def test_a_tree_of_any_size_ends_in_one_qubit():
    for n_qubits in range(2, 10):
        cnots = [g.wires for g in ansatze.build("tree", n_qubits, 1).gates if g.name == "CNOT"]
        # every qubit but the last to stay is a control once, and never used again
        assert sorted(control for control, _ in cnots) == list(range(n_qubits - 1))
        for number, (control, _) in enumerate(cnots):
            assert all(control not in later for later in cnots[number + 1 :])


def test_bricks_lie_on_even_pairs_then_on_odd_ones():
    gates = ansatze.build("brickwork", 5, 1, block="ry_cz").gates
    assert [g.wires for g in gates if g.name == "CZ"] == [(0, 1), (2, 3), (1, 2), (3, 4)]
    general = ansatze.build("brickwork", 5, 1).gates
    assert [g.wires for g in general if g.name == "IsingXX"] == [(0, 1), (2, 3), (1, 2), (3, 4)]


@pytest.mark.parametrize("name", ["simplified_two_design", "hardware_efficient"])
def test_circuits_of_ry_and_cz_stay_real(name):
    circuit = ansatze.build(name, 3, 2)
    params = np.linspace(-math.pi, math.pi, circuit.n_params)
    tape = qml.tape.QuantumScript(to_pennylane(circuit, np.ones(3), params))
    assert np.abs(np.imag(qml.matrix(tape, wire_order=range(3)))).max() < 1e-12


def test_blocks_are_the_inner_circuits_side_by_side():
    circuit = ansatze.build("block_diagonal", 5, 2)
    sizes, first = (3, 2), (0, 3)  # the larger block comes first
    inputs = torch.linspace(-1, 2, 5, dtype=torch.float64)
    params = torch.linspace(-3, 1, circuit.n_params, dtype=torch.float64)
    blocks = [ansatze.build("qtha", size, 2) for size in sizes]
    shares = params.split([block.n_params for block in blocks])
    alone = [
        expval_z(block, inputs[start : start + size], share, engine="torch")
        for block, start, size, share in zip(blocks, first, sizes, shares, strict=True)
    ]
    together = expval_z(circuit, inputs, params, engine="torch")
    torch.testing.assert_close(together, torch.cat(alone))

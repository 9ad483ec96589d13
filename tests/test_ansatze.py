"""Every registered ansatz keeps its promises; those with a PennyLane template equal it."""

import math

import numpy as np
import pennylane as qml
import pytest
import torch

from qtha_lab import ansatze
from qtha_lab.circuits import to_pennylane
from qtha_lab.simulators import expval_z

SIZES = [(2, 1), (3, 2), (5, 3)]


@pytest.mark.parametrize("name", ansatze.names())
@pytest.mark.parametrize(("n_qubits", "n_layers"), SIZES)
def test_an_ansatz_has_the_parameters_and_inputs_it_states(name, n_qubits, n_layers):
    info = ansatze.get(name)
    for reupload in (True, False):
        circuit = ansatze.build(name, n_qubits, n_layers, reupload)
        read = [a.index for g in circuit.gates for a in g.angles if a.source == "param"]
        assert sorted(read) == list(range(info.n_params(n_qubits, n_layers)))
        assert circuit.n_inputs == n_qubits
        uploads = sum(a.source == "input" for g in circuit.gates for a in g.angles)
        assert uploads == n_qubits * (n_layers if reupload else 1)


@pytest.mark.parametrize("name", ansatze.names())
def test_an_ansatz_says_what_it_is_and_where_it_comes_from(name):
    info = ansatze.get(name)
    assert len(info.summary) > 20
    assert len(info.source) > 10
    assert ansatze.build(name, info.min_qubits, 1).n_qubits == info.min_qubits
    assert ansatze.build(name, 3, 2) is ansatze.build(name, n_qubits=3, n_layers=2)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (("qhta", 3, 1), "unknown ansatz 'qhta': did you mean 'qtha'?"),
        (("qtha", 1, 1), "ansatz 'qtha' needs at least 2 qubits, not 1"),
        (("qtha", 3, 0), "ansatz 'qtha' needs at least 1 layer, not 0"),
        (("qtha", 3.0, 1), "ansatz 'qtha' needs at least 2 qubits, not 3.0"),
    ],
)
def test_wrong_requests_get_a_sentence(request_, sentence):
    with pytest.raises(ValueError, match=sentence):
        ansatze.build(*request_)


def test_unknown_options_get_the_nearest_name():
    with pytest.raises(ValueError, match="no option 'ordr': did you mean 'order'"):
        ansatze.build("qtha", 3, 1, ordr="RY-CRZ-RY-CRZ")
    with pytest.raises(ValueError, match="order must be one of enc-CRZ-RY-CRZ-RY, RY-CRZ-RY-CRZ"):
        ansatze.build("qtha", 3, 1, order="CRZ-RY")


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


def test_in_the_product_control_each_output_depends_on_its_own_input_only():
    circuit = ansatze.build("product", 4, 3)
    params = torch.rand(circuit.n_params, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: expval_z(circuit, x, params, engine="torch"), torch.rand(4, dtype=torch.float64)
    )
    assert jacobian.diagonal().abs().min() > 1e-6
    torch.testing.assert_close(jacobian, jacobian.diagonal().diag(), atol=1e-12, rtol=0)


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
    ours = to_pennylane(circuit, np.zeros(n_qubits), params)[n_qubits:]  # after the encoding
    wires = range(n_qubits)
    theirs = template(params.reshape(3, n_qubits, *per_qubit), wires=wires).decomposition()
    matrices = [
        qml.matrix(lambda ops=ops: [qml.apply(op) for op in ops], wire_order=wires)()
        for ops in (ours, theirs)
    ]
    np.testing.assert_allclose(*matrices, atol=1e-12)

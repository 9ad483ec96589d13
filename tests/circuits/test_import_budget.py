"""Short programs that would run for hours are refused: each limit and each hanging input."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hanging_programs import HANGING, HEAD_3
from support.refusals import refused

from qtha_lab.circuits import Circuit
from qtha_lab.circuits.imports import qasm_expression
from qtha_lab.core.errors import Refusal


@pytest.mark.parametrize("text", HANGING.values(), ids=HANGING)
def test_a_program_that_would_hang_is_refused_in_a_sentence(text):
    with pytest.raises(Refusal) as record:
        Circuit.from_qasm(text)
    assert len(str(record.value)) <= 300


def test_a_program_of_the_most_gates_is_still_read():
    text = HEAD_3 + "for int i in [0:49999] { x q[0]; y q[1]; }"
    assert len(Circuit.from_qasm(text).gates) == 100_000


def test_products_keep_their_terms():
    """(a + b)² (a - b) = a³ + a²b - ab² - b³, as sympy expands it."""
    text = HEAD_3 + "input float x0; input float x1; rx((x0 + x1)^2 * (x0 - x1)) q[0];"
    angles = [gate.angles[0] for gate in Circuit.from_qasm(text).gates]
    terms = {(angle.index, *angle.factors): angle.scale for angle in angles}
    assert terms == {(0, 0, 0): 1.0, (0, 0, 1): 1.0, (0, 1, 1): -1.0, (1, 1, 1): -1.0}


def nested(inner):
    """Programs around smaller ones: loops, powers and gate definitions."""
    counts = st.sampled_from([0, 1, 2, 7, 300, 99_999])
    loops = st.builds("for int i in [0:{}] {{ {} }}".format, counts, inner)
    pairs = st.builds("{} {}".format, inner, inner)
    return loops | pairs


LEAVES = st.sampled_from(
    [
        "",
        "barrier q;",
        "id q;",
        "x q;",
        "rx(0.5) q[0];",
        "pow(99999) @ id q[1];",
        "pow(3) @ inv @ s q[1];",
        "measure q -> c;",
        "float a = 2^8;",
    ]
)


@given(st.recursive(LEAVES, nested, max_leaves=12))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.slow
def test_nested_programs_are_read_or_refused_within_the_budget(body):
    """Each step is counted, so that no program takes more than the budget."""
    answer = read_or_refused(HEAD_3 + "bit[2] c;" + body)
    if isinstance(answer, str):
        assert len(answer) <= 300
    else:
        assert len(answer.gates) <= 100_002


def read_or_refused(text: str) -> Circuit | str:
    try:
        return Circuit.from_qasm(text)
    except Refusal as record:
        return str(record)


def test_a_power_of_many_qiskit_parameters_is_refused():
    qiskit = pytest.importorskip("qiskit", reason="needs the extra circuits")
    x = qiskit.circuit.ParameterVector("x", 60)
    source = qiskit.QuantumCircuit(1)
    source.rx(sum(x[1:], x[0]) ** 4, 0)
    with pytest.raises(Refusal, match="at most"):
        Circuit.from_qiskit(source)


def test_qiskit_definitions_that_nest_too_deeply_are_refused():
    qiskit = pytest.importorskip("qiskit", reason="needs the extra circuits")
    inner = qiskit.QuantumCircuit(1, name="g0")
    for n in range(1, qasm_expression.DEEPEST + 3):
        outer = qiskit.QuantumCircuit(1, name=f"g{n}")
        outer.append(inner.to_gate(), [0])
        inner = outer
    with pytest.raises(Refusal, match=f"nest at most {qasm_expression.DEEPEST} deep"):
        Circuit.from_qiskit(inner)


def test_an_angle_of_qiskit_with_nested_functions_is_refused_at_once():
    qiskit = pytest.importorskip("qiskit")
    angle = qiskit.circuit.Parameter("x")
    for number in range(4):  # each derivative of such an angle multiplies its text
        angle = (qiskit.circuit.Parameter(f"z{number}") * angle).sin()
    circuit = qiskit.QuantumCircuit(1)
    circuit.rx(angle, 0)
    with refused("An angle", "sin(z3*sin(z2*sin(z1*sin(x*z0))))"):
        Circuit.from_qiskit(circuit)


@pytest.mark.parametrize("name", ["S", "E", "I", "N", "pi", "lambda", "a b", "β"])
def test_a_parameter_of_qiskit_may_have_any_name(name):
    qiskit = pytest.importorskip("qiskit")
    circuit = qiskit.QuantumCircuit(1)
    circuit.rx(2 * qiskit.circuit.Parameter(name) + 0.5, 0)
    (gate,) = Circuit.from_qiskit(circuit).gates
    assert (gate.angles[0].source, gate.angles[0].scale, gate.angles[0].offset) == ("param", 2, 0.5)

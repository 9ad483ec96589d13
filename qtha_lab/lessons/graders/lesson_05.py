"""Checks of lesson 5: shift rules, gradients of whole circuits, and read-outs of a landscape."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.lessons import grading
from qtha_lab.lessons.circuit_gates import gates_of, z0, zero_state
from qtha_lab.lessons.graders.shared import ENGINE, has_keys

SPREAD = 1e-3  # standard error of an expectation value after a million shots
LOUDEST = 5  # largest error of a gradient, in standard errors of an expectation value
FEW, MANY, SAMPLES = 2, 8, 300
LAW = 2.0 ** (FEW - MANY)
SLACK = 1.5  # of the law, for the error of the variances
NAMES = ("ansatz", "n_qubits", "n_layers", "read_out")


# f(t) = a + b cos t + c sin t + d cos t/2 + e sin t/2; an RY has d = e = 0, a CRZ need not
def _wave(a: float, b: float, c: float, d: float = 0, e: float = 0):
    def wave(t):
        return a + b * np.cos(t) + c * np.sin(t) + d * np.cos(t / 2) + e * np.sin(t / 2)

    wave.gradient = lambda t: (
        -b * math.sin(t) + c * math.cos(t) - d / 2 * math.sin(t / 2) + e / 2 * math.cos(t / 2)
    )
    terms = zip((a, b, c, d, e), ("", " cos t", " sin t", " cos t/2", " sin t/2"), strict=True)
    wave.__name__ = " + ".join(f"{factor:g}{term}" for factor, term in terms if factor)
    return wave


RY = _wave(0.2, 0.7, -0.4), _wave(0, 1, 0)
CRZ = _wave(0.1, 0.3, -0.2, 0.25, 0.4), _wave(0, 0, 0, 0, 1), *RY


def _gradient(waves) -> grading.Function:
    cases = [((wave, t), wave.gradient(t)) for wave in waves for t in (0.0, 0.8, 2.0, 4.0)]
    return grading.Function(lambda: cases, label=lambda f, t: f"({f.__name__}, {t:g})", rtol=1e-6)


_gradient_ry, _gradient_crz = _gradient(RY), _gradient(CRZ)


def _survives_shots(answer) -> bool:
    """Report if a rule does not amplify the shot noise of its measurements."""
    wave, draws = RY[0], np.random.default_rng(0)

    def noisy(t):
        return wave(t) + SPREAD * draws.normal(size=np.shape(t))

    errors = [float(answer(noisy, 0.8)) - wave.gradient(0.8) for _ in range(50)]
    return bool(np.sqrt(np.mean(np.square(errors))) <= LOUDEST * SPREAD)


def _cosine_product(angles):
    return float(np.prod(np.cos(angles)))


def _loops():
    for angles in ([0.3, 0.9], [0.4, -1.1, 2.0]):
        gradients = [
            -math.sin(angles[k]) * _cosine_product(angles[:k] + angles[k + 1 :])
            for k in range(len(angles))
        ]
        yield (_cosine_product, angles), gradients


_all_gradients = grading.Function(
    _loops, label=lambda f, angles: f"the product of the cosines of {angles}"
)


def _leaves_angles(answer) -> bool:
    angles = [0.3, 0.9]
    answer(_cosine_product, angles)
    return np.allclose(angles, [0.3, 0.9], rtol=0, atol=1e-9)


def _are_landscapes(pair: Any) -> bool:
    return len(pair) == 2 and all(has_keys(state, NAMES) for state in pair)


def _is_one_circuit(pair: Any) -> bool:
    return all(pair[0][name] == pair[1][name] for name in NAMES[:3])


def _has_two_read_outs(pair: Any) -> bool:
    return pair[0]["read_out"] != pair[1]["read_out"]


def _first_falls(pair: Any) -> bool:
    return _left(pair[0]) <= SLACK * LAW


def _second_stays(pair: Any) -> bool:
    return _left(pair[1]) > SLACK * LAW


def _left(state: Mapping[str, Any]) -> float:
    """Return the share of the gradient's variance that is left from few to many qubits."""
    from qtha_lab.analysis import gradient_variance_of
    from qtha_lab.analysis.circuits.landscape import observable_of
    from qtha_lab.circuits import ansatze

    few, many = (
        gradient_variance_of(
            ansatze.build(state["ansatz"], n, state["n_layers"]),
            observable_of(state["read_out"], n),
            SAMPLES,
        ).mean
        for n in (FEW, MANY)
    )
    return many / few


def _circuit(n_qubits: int, n_layers: int):
    """Return QTHA's circuit, its data, its angles, and the gradient of ⟨Z0⟩ by autograd."""
    from qtha_lab.circuits import ansatze
    from qtha_lab.simulators import expval_z

    circuit = ansatze.build("qtha", n_qubits, n_layers)
    torch.manual_seed(0)
    x = torch.randn(1, n_qubits, dtype=torch.float64, requires_grad=True)
    p = torch.randn(circuit.n_params, dtype=torch.float64, requires_grad=True)
    mean = expval_z(circuit, x, p, ENGINE)[0, 0]
    gradients = torch.autograd.grad(mean, (x, p))
    return circuit, x.detach(), p.detach(), gradients


def _one_rotation(built):
    got = built(lambda angles: math.sin(angles[0]), [0.8], [False])
    return got, [math.cos(0.8)], "⟨Z⟩ = sin θ of an RY angle, at 0.8"


def _one_controlled(built):
    def run(angles):
        return 0.3 * math.cos(angles[0]) + 0.4 * math.sin(angles[0] / 2)

    right = -0.3 * math.sin(0.8) + 0.2 * math.cos(0.4)
    return built(run, [0.8], [True]), [right], "0.3 cos θ + 0.4 sin θ/2 of a CRZ angle, at 0.8"


def _counted(built):
    runs = []

    def run(angles):
        runs.append(list(angles))
        return math.cos(sum(angles))

    built(run, [0.1, 0.2, 0.3], [False, True, False])
    return len(runs), 8, "two RY angles and one CRZ angle: 2 + 4 + 2 runs"


def _whole_circuit(built):
    from qtha_lab.simulators import expval_z

    circuit, x, p, (_, right) = _circuit(3, 1)
    places = {gate.angles[0].index for gate in circuit.gates if gate.name == "CRZ"}

    def run(angles):
        return float(expval_z(circuit, x, torch.tensor(angles, dtype=torch.float64), ENGINE)[0, 0])

    controlled = [k in places for k in range(circuit.n_params)]
    return built(run, p.tolist(), controlled), right, "QTHA's circuit, 3 qubits"


def _by_adjoint(built, *angles: float):
    rotations = Circuit(1, [Gate("RY", 0, Angle.param(k)) for k in range(len(angles))])
    return built(zero_state(1), gates_of(rotations, [], angles), z0)


def _one_gate(built):
    return _by_adjoint(built, 0.8), [-math.sin(0.8)], "one RY gate by 0.8"


def _two_gates(built):
    return _by_adjoint(built, 0.8, 0.3), [-math.sin(1.1)] * 2, "RY gates by 0.8 and 0.3"


def _in_order(built):
    circuit, x, p, (by_data, _) = _circuit(3, 1)
    got = built(zero_state(3), gates_of(circuit, x[0].tolist(), p.tolist()), z0)
    return got[:3], by_data[0], "the data's gates of QTHA's circuit, 3 qubits"


def _all_gates(built):
    circuit, x, p, (_, right) = _circuit(4, 1)
    got = built(zero_state(4), gates_of(circuit, x[0].tolist(), p.tolist()), z0)
    return got[4:], right, "all trained gates of QTHA's circuit, 4 qubits"

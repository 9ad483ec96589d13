"""Predictions and builds of lesson 4: Meyer-Wallach measure and Fourier coefficients."""

import numpy as np
import torch

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.predictions import prediction
from qtha_lab.lessons.time_limit import ENGINE

prediction(
    "4.a",
    "The ansatz `product` gets more angles with every layer. Will its divergence fall?",
    options=("yes", "no"),
    answer="no",
    misconceptions={"yes": "more rotations of single qubits reach no new states"},
)
prediction(
    "4.b",
    "QTHA with 3 layers and the data in each layer: its highest frequency in one datum?",
    number=True,
)
prediction(
    "4.c",
    "Twenty random target functions, held-out points: which fits best?",
    options=("QTHA", "product", "ring of CNOTs", "cosine layer"),
    misconceptions={
        "ring of CNOTs": "it entangles most, and entanglement is a property of states",
        "QTHA": "its divergence is the smallest, but reachable states are no fitted functions",
        "product": "it has the fewest angles",
    },
)


def _states(n_qubits: int) -> torch.Tensor:
    torch.manual_seed(0)
    states = torch.randn(3, 2**n_qubits, dtype=torch.complex128)
    return states / states.norm(dim=1, keepdim=True)


def _product(function):
    states = torch.zeros(1, 2, 2, 2, dtype=torch.complex128)
    states[0, 0, 1, 0] = 1
    return function(states), [0], "the state |010⟩"


def _bell(function):
    states = torch.tensor([[[1, 0], [0, 1]]], dtype=torch.complex128) / 2**0.5
    return function(states), [1], "(|00⟩ + |11⟩)/√2"


def _random_states(function):
    from qtha_lab.analysis.circuits.entanglement import meyer_wallach

    states = _states(3)
    given = "three random states of 3 wires, of shape (3, 2, 2, 2)"
    return function(states.reshape(3, 2, 2, 2)), meyer_wallach(states), given


build_task(
    "4.mixed",
    "mixedness",
    steps=(
        ("a basis state has 0", _product),
        ("the Bell pair has 1", _bell),
        ("random states have the package's values", _random_states),
    ),
    tolerance=1e-9,
    solution="""
        def mixedness(states):
            purities = []
            for wire in range(states.ndim - 1):
                halves = states.movedim(wire + 1, 1).reshape(len(states), 2, -1)
                purities.append((halves @ halves.mH).abs().square().sum((1, 2)))
            return 2 * (1 - torch.stack(purities).mean(0))
    """,
    setup="import torch",
)


def _wave(function):
    right = [0.5, 0, 0.25 * 1j]
    return (
        _parts(function(lambda x: 0.5 - 0.5 * np.sin(2 * x), 2)),
        _parts(right),
        ("½ - ½ sin 2x, highest frequency 2"),
    )


def _read_out(function):
    from qtha_lab.analysis.circuits.fourier import fourier_spectrum
    from qtha_lab.circuits import ansatze
    from qtha_lab.simulators import expval_z

    circuit = ansatze.build("qtha", 2, 3)
    torch.manual_seed(1)
    angles = torch.randn(circuit.n_params, dtype=torch.float64)

    def z(x):
        data = torch.zeros(np.size(x), 2, dtype=torch.float64)
        data[:, 0] = torch.as_tensor(np.ravel(x))
        return expval_z(circuit, data, angles, ENGINE)[:, 0].numpy().reshape(np.shape(x))

    spectrum = fourier_spectrum(circuit, observables=["Z0"], params=angles, engine=ENGINE)
    right = spectrum.coefficients[0, 0]
    return _parts(function(z, 3)), _parts(right), "⟨Z0⟩ of QTHA in x0, highest frequency 3"


def _parts(values) -> np.ndarray:
    values = np.asarray(values, complex)
    return np.stack([np.real(values), np.imag(values)])


build_task(
    "4.fourier",
    "fourier_coefficients",
    steps=(
        ("a constant and a sine have three coefficients", _wave),
        ("a read-out has the package's coefficients", _read_out),
    ),
    tolerance=1e-9,
    solution="""
        def fourier_coefficients(f, highest):
            n = 2 * highest + 1
            x = 2 * np.pi * np.arange(n) / n
            return np.fft.rfft(f(x)) / n
    """,
    setup="import numpy as np",
)

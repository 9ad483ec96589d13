"""Checks of lesson 4: frequencies of circuits, Fourier coefficients, and the purity of wires."""

import numpy as np
import torch

from qtha_lab.lessons import grading
from qtha_lab.lessons.graders.shared import BELL, ENGINE, normalised_states, real_parts


def _is_pair(answer) -> bool:
    return len(answer) == 2 and all(circuit.n_qubits == 2 for circuit in answer)


def _have_gate_counts(circuits) -> bool:
    return all(circuit.counts() == {"RY": 6, "CNOT": 3} for circuit in circuits)


def _has_frequency(circuits, at: int, highest: int) -> bool:
    from qtha_lab.analysis.circuits.fourier import fourier_spectrum

    spectrum = fourier_spectrum(circuits[at], observables=["Z0"], n_samples=20, engine=ENGINE)
    return spectrum.highest() == highest


def _waves():
    for c in ((0.3, 0.5, -0.2, 0.1, 0.4), (-0.6, 0.0, 0.7, -0.3, 0.2)):

        def wave(x, c=c):
            first = c[1] * np.cos(x) + c[2] * np.sin(x)
            return c[0] + first + c[3] * np.cos(2 * x) + c[4] * np.sin(2 * x)

        yield (wave,), c


_coefficients = grading.Function(_waves, label=lambda f: "a sum of five terms")


def _product(function):
    states = torch.zeros(1, 2, 2, 2, dtype=torch.complex128)
    states[0, 0, 1, 0] = 1
    return function(states), [0], "the state |010⟩"


def _bell(function):
    return function(BELL), [1], "(|00⟩ + |11⟩)/√2"


def _random_states(function):
    from qtha_lab.analysis.circuits.entanglement import meyer_wallach

    states = normalised_states(3, 3)
    given = "three random states of 3 wires, of shape (3, 2, 2, 2)"
    return function(states), meyer_wallach(states.reshape(3, 8)), given


def _wave(function):
    got = function(lambda x: 0.5 + 0.3 * np.cos(x) - 0.5 * np.sin(2 * x), 2)
    given = "0.5 + 0.3 cos x - 0.5 sin 2x, highest frequency 2"
    return real_parts(got), real_parts(np.array([0.5, 0.15, 0.25j])), given


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
    return real_parts(function(z, 3)), real_parts(right), "⟨Z0⟩ of QTHA in x0, highest frequency 3"

"""Statistics of circuits at random angles.

Expressibility, entanglement and gradients of known circuits.
"""

import math

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusals import refused

from qtha_lab.analysis.circuits.entanglement import (
    cut_entropies,
    entangling_capability,
    entropy_bits,
    haar_entropy_bits,
    haar_meyer_wallach,
    meyer_wallach,
    standard_error,
)
from qtha_lab.analysis.circuits.expressibility import (
    divergence,
    expressibility_of,
    expressibility_points,
    haar_noise_floor,
    log_haar_shares,
)
from qtha_lab.analysis.circuits.random_angles import (
    RandomAngles,
    draw_angles,
    states_at,
)
from qtha_lab.analysis.circuits.trainability import (
    gradient_variance_of,
    gradient_variance_points,
    random_gradients,
    two_design_variance,
)
from qtha_lab.circuits import Angle, Circuit, Gate, ansatze
from qtha_lab.figures.expressibility import expressibility
from qtha_lab.figures.gradient_variance import fall, gradient_variance
from qtha_lab.simulators import expval, state

NONE = torch.empty(0, dtype=torch.float64)


def haar_states(n_qubits, n_samples, seed):
    """Haar-random states as normalised complex Gaussians, (samples, amplitudes)."""
    random = torch.Generator().manual_seed(seed)
    normal = torch.randn((n_samples, 2**n_qubits), generator=random, dtype=torch.complex128)
    return normal / normal.norm(dim=-1, keepdim=True)


BELL = Circuit(2, [Gate("H", 0), Gate("CNOT", (0, 1))])
SIGMAS = 4.5  # one false alarm in 100,000; the seeds are fixed besides


def near(value, expected, error):
    return abs(value - expected) < SIGMAS * error


def ghz(n_qubits):
    gates = [Gate("H", 0), *(Gate("CNOT", (i, i + 1)) for i in range(n_qubits - 1))]
    return state(Circuit(n_qubits, gates), NONE, NONE)


def smallest(name, n_qubits=3, n_layers=1):
    return ansatze.build(name, max(n_qubits, ansatze.get(name).min_qubits), n_layers)


# entanglement of states


def test_a_bell_pair_has_one_bit_and_q_one():
    bell = state(BELL, NONE, NONE)
    assert cut_entropies(bell).tolist() == pytest.approx([1.0])
    assert float(meyer_wallach(bell)) == pytest.approx(1.0)


def test_ghz_has_one_bit_over_every_cut_and_q_one():
    assert cut_entropies(ghz(5)).tolist() == pytest.approx([1.0] * 4)
    assert float(meyer_wallach(ghz(5))) == pytest.approx(1.0)


def test_w_state_of_three():
    # one qubit is 0 in two terms of three: p = 2/3, 1/3; purity 5/9, Q = 2(1 - 5/9) = 8/9
    w = torch.tensor([0, 1.0, 1, 0, 1, 0, 0, 0])
    assert float(entropy_bits(w, [1])) == pytest.approx(math.log2(3) - 2 / 3)
    assert float(meyer_wallach(w)) == pytest.approx(8 / 9)


def test_two_bell_pairs_are_entangled_within_not_between():
    pairs = torch.kron(state(BELL, NONE, NONE), state(BELL, NONE, NONE))
    assert cut_entropies(pairs).tolist() == pytest.approx([1, 0, 1], abs=1e-6)
    assert float(entropy_bits(pairs, [0, 2])) == pytest.approx(2)
    assert float(meyer_wallach(pairs)) == pytest.approx(1)


@given(seed=st.integers(0, 999), wires=st.sets(st.integers(0, 3), min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_entropy_is_that_of_pennylane(seed, wires):
    states = haar_states(4, 2, seed)
    theirs = [
        qml.math.vn_entropy(qml.math.dm_from_state_vector(s.numpy()), sorted(wires), base=2)
        for s in states
    ]
    np.testing.assert_allclose(entropy_bits(states, sorted(wires)).numpy(), theirs, atol=1e-9)
    outside = sorted(set(range(4)) - wires)
    np.testing.assert_allclose(entropy_bits(states, outside).numpy(), theirs, atol=1e-9)
    purities = [
        np.trace(rho @ rho).real
        for rho in (qml.math.reduce_statevector(states[0].numpy(), [k]) for k in range(4))
    ]
    assert float(meyer_wallach(states)[0]) == pytest.approx(2 * (1 - np.mean(purities)))


@pytest.mark.parametrize("n_qubits", [2, 4])
def test_random_states_are_as_entangled_as_theory_says(n_qubits):
    states = haar_states(n_qubits, 4000, seed=1)
    q = meyer_wallach(states).numpy()
    assert near(q.mean(), haar_meyer_wallach(n_qubits), standard_error(q))
    entropies = cut_entropies(states).numpy()
    for cut in range(1, n_qubits):
        mean = entropies[:, cut - 1].mean()
        expected = haar_entropy_bits(n_qubits, cut)
        assert near(mean, expected, standard_error(entropies[:, cut - 1]))


# entangling capability


def test_a_product_ansatz_entangles_nothing():
    result = entangling_capability(ansatze.build("product", 4, 2), 50, "uniform")
    assert result.meyer_wallach < 1e-12
    assert result.cut_entropy_bits.max() < 1e-12


def test_one_crz_between_plus_states_by_hand():
    # |+⟩|+⟩ after CRZ(φ): the control's ρ has off-diagonal ½⟨+|RZ(φ)|+⟩ = ½ cos(φ/2), so its purity
    # is
    # ½(1 + cos²(φ/2)), and so is the other's: Q = 1 - cos²(φ/2) = sin²(φ/2). φ uniform in ±π: mean
    # ½.
    circuit = Circuit(2, [Gate("H", 0), Gate("H", 1), Gate("CRZ", (0, 1), Angle.param(0))])
    result = entangling_capability(circuit, 3000)
    assert near(result.meyer_wallach, 0.5, result.error)
    # sin² of a uniform angle has variance 1/8
    assert result.error == pytest.approx(math.sqrt(1 / 8 / 3000), rel=0.05)


def test_a_deep_circuit_entangles_like_random_states():
    result = entangling_capability(ansatze.build("strongly_entangling", 3, 8), 2000)
    assert result.haar == pytest.approx(6 / 9)
    assert near(result.meyer_wallach, result.haar, result.error)


# expressibility


@pytest.mark.parametrize("n_qubits", [1, 2, 4])
def test_the_idle_circuit_has_the_largest_divergence_there_is(n_qubits):
    # all fidelities lie in the last bin, whose Haar share is (1/75)^(2^n - 1)
    result = expressibility_of(Circuit(n_qubits, [Gate("H", 0)]), 20)
    assert result.kl == pytest.approx((2**n_qubits - 1) * math.log(75))
    assert result.error == pytest.approx(0, abs=1e-6)


def test_a_diagonal_circuit_by_quadrature():
    # H then RZ(θ) on one qubit: F = cos²(Δ/2) with Δ uniform, an arcsine law; Haar is uniform on
    # [0, 1]
    circuit = Circuit(1, [Gate("H", 0), Gate("RZ", 0, Angle.param(0))])
    edges = np.linspace(0, 1, 76)
    exact = np.diff(2 / np.pi * np.arcsin(np.sqrt(edges)))
    expected = float((exact * np.log(exact * 75)).sum())
    result = expressibility_of(circuit, 20_000)
    assert near(result.kl - result.floor, expected, result.error)


@pytest.mark.parametrize("n_qubits", [1, 3])
def test_random_states_reach_the_floor(n_qubits):
    states = haar_states(n_qubits, 8000, seed=2)
    fidelities = (states[:4000].conj() * states[4000:]).sum(-1).abs().square().numpy()
    result = divergence(fidelities, n_qubits)
    # 2S·KL is near χ² with 74 degrees of freedom where all bins are full: mean 74, variance 148
    assert abs(result.kl - result.floor) < SIGMAS * math.sqrt(148) / (2 * 4000)
    if n_qubits == 1:
        assert result.floor == pytest.approx(74 / 8000, rel=0.02)


def test_the_floor_by_enumeration_of_one_sample():
    # one sample in bin k gives -ln q_k, with chance q_k: the entropy of q
    shares = np.exp(log_haar_shares(2, 5))
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == pytest.approx(1 - 0.8**3)
    assert haar_noise_floor(2, 1, 5) == pytest.approx(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize("n_qubits", [1, 2, 3])
def test_the_floor_is_the_mean_of_drawn_histograms(n_qubits):
    shares = np.exp(log_haar_shares(n_qubits, 10))
    shares_drawn = np.random.default_rng(0).multinomial(200, shares / shares.sum(), 4000) / 200
    logs = np.log(np.where(shares_drawn > 0, shares_drawn, 1)) - log_haar_shares(n_qubits, 10)
    divergences = (shares_drawn * logs).sum(1)
    assert near(
        divergences.mean(), haar_noise_floor(n_qubits, 200, 10), standard_error(divergences)
    )


def test_a_deep_circuit_is_at_the_floor_and_more_layers_express_more():
    deep = expressibility_of(ansatze.build("strongly_entangling", 3, 8), 3000)
    assert abs(deep.kl - deep.floor) < SIGMAS * math.sqrt(148) / (2 * 3000)
    rows = expressibility_points("qtha", 4, [1, 2], 800)
    kls = [row["kl"] for row in rows]
    assert kls == sorted(kls, reverse=True)
    assert expressibility(rows, n_qubits=4).plotly is not None


# gradients


def test_gradients_of_one_rotation_have_variance_one_half():
    # ∂cos θ = -sin θ, mean 0, mean of sin² = 1/2
    one = gradient_variance_of(Circuit(1, [Gate("RY", 0, Angle.param(0))]), n_samples=5000)
    assert near(one.mean, 0.5, one.error)
    # Z₀Z₁ of two turns: sin²·cos², 1/4
    two = Circuit(2, [Gate("RY", i, Angle.param(i)) for i in (0, 1)])
    both = gradient_variance_of(two, "Z0 Z1", n_samples=5000)
    assert near(both.mean, 0.25, both.error)
    local = gradient_variance_of(two, "Z0", n_samples=10)
    assert local.variances[1] < 1e-24
    assert (local.seen, local.mean) == (1, pytest.approx(local.variances[0]))


def test_the_variance_of_a_deep_circuit_falls_as_that_of_a_two_design():
    sizes, middle = [2, 3, 4, 5, 6], []
    for n_qubits in sizes:
        n_layers = 6 + 4 * n_qubits
        circuit = ansatze.build("strongly_entangling", n_qubits, n_layers, reupload=False)
        result = gradient_variance_of(circuit, n_samples=1000, seed=n_qubits)
        rotation = 3 * n_qubits * (n_layers // 2) + 1  # the RY of wire 0 in the middle
        middle.append((result.variances[rotation], result.errors[rotation]))
    variances, errors = np.array(middle).T
    expected = [two_design_variance(n) for n in sizes]
    for variance, law, error in zip(variances, expected, errors, strict=True):
        assert near(variance, law, error)
    slope = np.polyfit(sizes, np.log2(expected), 1)[0]
    assert slope == pytest.approx(-1, abs=0.06)  # -1 up to terms that vanish as 1/N


def test_a_product_has_no_plateau():
    rows = gradient_variance_points("product", [2, 4, 6], [1], n_samples=400)
    assert fall(rows) == pytest.approx(1, abs=0.15)
    assert gradient_variance(rows).plotly is not None


@pytest.mark.parametrize("name", ansatze.names())
def test_every_ansatz_is_sampled_as_it_runs(name):
    circuit = smallest(name)
    angles = draw_angles(circuit, 3, "uniform", seed=5)
    states = states_at(circuit, angles)
    gradients = random_gradients(circuit, "Z0", 3, "uniform", seed=5)
    for x, p, ours, gradient in zip(angles.inputs, angles.params, states, gradients, strict=True):
        torch.testing.assert_close(ours, state(circuit, x, p))
        p = p.clone().requires_grad_()
        expval(circuit, ["Z0"], x, p, "torch").sum().backward()
        np.testing.assert_allclose(gradient, p.grad.numpy(), atol=1e-12)
    assert 0 <= entangling_capability(circuit, 20).meyer_wallach <= 1
    assert expressibility_of(circuit, 20).kl >= 0


def test_amplitudes_as_data():
    circuit = ansatze.build("qtha", 3, 1, reupload=False, embedding="amplitude")
    angles = draw_angles(circuit, 4, "uniform")
    assert torch.allclose(angles.inputs.norm(dim=-1), torch.ones(4).double())
    states = states_at(circuit, angles)
    torch.testing.assert_close(states[2], state(circuit, angles.inputs[2], angles.params[2]))
    assert gradient_variance_of(circuit, n_samples=20).mean > 0
    fixed = states_at(circuit, draw_angles(circuit, 2))  # zeros: from |000⟩
    first = torch.eye(8).double()[0]
    torch.testing.assert_close(fixed[1], state(circuit, first, draw_angles(circuit, 2).params[1]))


def test_data_are_drawn_as_told_and_a_seed_draws_the_same():
    circuit = ansatze.build("qtha", 3, 1)
    zeros, uniform = (draw_angles(circuit, 4000, how, seed=3) for how in ("zeros", "uniform"))
    assert not zeros.inputs.any()
    assert torch.equal(draw_angles(circuit, 4000, seed=3).params, zeros.params)
    # uniform in ±π: variance π²/3
    assert float(uniform.inputs.var()) == pytest.approx(math.pi**2 / 3, rel=0.03)
    given_ = draw_angles(circuit, 2, [0.1, 0.2, 0.3])
    assert given_.inputs.tolist() == [[0.1, 0.2, 0.3]] * 2
    assert isinstance(given_, RandomAngles)
    assert len(given_) == 2


@pytest.mark.parametrize(
    ("what", "setting", "value"),
    [
        (lambda c: draw_angles(c, 0), "n_samples", "0"),
        (lambda c: expressibility_of(c, 1), "n_samples", "1"),
        (lambda c: draw_angles(c, 1, "ones"), "inputs", "'ones'"),
        (
            lambda c: draw_angles(c, 1, [0.0]),
            "inputs",
            "shape (1,)",
        ),
        (lambda c: expressibility_of(c, 5, n_bins=1), "n_bins", "1"),
        (lambda c: entropy_bits(torch.ones(8), [3]), "wires", "[3]"),
        (lambda c: meyer_wallach(torch.ones(6)), "A state", "6"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(what, setting, value):
    with refused(setting, value):
        what(ansatze.build("qtha", 3, 1))

"""Predictions and builds of lesson 10: the changes of four relatives of QTHA."""

from typing import Any

import torch
from torch import Tensor

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.predictions import prediction

prediction(
    "10.a",
    "QPA trains 106,264 numbers for GPT-2's output layer. How many of them are angles of its "
    "circuit?",
    options=("about half", "about 5,000", "56"),
    answer="56",
    misconceptions={
        "about half": "a circuit of 7 qubits with 8 layers has 8 angles per qubit",
        "about 5,000": "that many angles would need a circuit of 650 layers",
    },
)
prediction(
    "10.b",
    "Which of the four relatives can have a change of a higher rank than r = 4?",
    options=("all", "none", "Quantum-PEFT and QPA", "QuanTA and Quantum-Train"),
    misconceptions={
        "Quantum-PEFT and QPA": "both form a product with r columns",
        "none": "only a product of two thin matrices bounds the rank",
        "all": "two of them form a product of two thin matrices",
    },
)
prediction(
    "10.c",
    "Of twenty reproduced systems, for how many is the first claim shown?",
    number=True,
)
prediction(
    "10.d",
    "A network learns initial angles, which start better than random ones. "
    "Does a table of four learnt constants start as well?",
    options=("yes", "no"),
    misconceptions={"no": "both were learnt on the same graphs, and most of the gain is a scale"},
)


def _random(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def _draw(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=_random(seed), dtype=torch.float64)


DIMS = (2, 2, 3)
PAIRS = ((1, 2), (0, 2), (0, 1))


def _branch(seed: int) -> list[Tensor]:
    return [_draw(s, s, seed=seed + k) for k, s in enumerate((6, 6, 4))]


def _equal_branches(built):
    tensors = _branch(3)
    return built(tensors, tensors, DIMS), torch.zeros(12, 12), "two equal branches"


def _last_pair(built):
    one = [torch.eye(s).double() for s in (6, 6, 4)]
    changed = [*one[:2], _draw(4, 4)]
    right = torch.kron(changed[2], torch.eye(3).double()) - torch.eye(12)
    return built(changed, one, DIMS), right, "one tensor on the axes 0 and 1"


def _package_quanta(built):
    from qtha_lab.adapters.change import Layer
    from qtha_lab.adapters.quanta import QuantaConfig

    change = QuantaConfig(dims=DIMS).change(Layer(12, 12))
    trained, frozen = _branch(5), _branch(9)
    tensors = {}
    for (m, n), one, other in zip(PAIRS, trained, frozen, strict=True):
        tensors |= {f"T_{m}_{n}": one, f"start_{m}_{n}": other}
    return built(trained, frozen, DIMS), change.delta_weight(tensors), "random tensors"


build_task(
    "10.quanta",
    "quanta_change",
    steps=(
        ("equal branches give a change of zero", _equal_branches),
        ("a tensor acts on its two axes, and on no other", _last_pair),
        ("the change equals the package's", _package_quanta),
    ),
    tolerance=1e-9,
    solution="""
        def quanta_change(trained, frozen, dims):
            def whole(tensors):
                x = torch.eye(math.prod(dims)).double().reshape(-1, *dims)
                for tensor, (m, n) in zip(tensors, ((1, 2), (0, 2), (0, 1))):
                    legs = tensor.reshape(dims[m], dims[n], dims[m], dims[n])
                    x = torch.tensordot(x, legs, ([m + 1, n + 1], [2, 3]))
                    x = x.movedim((-2, -1), (m + 1, n + 1))
                return x.reshape(len(x), -1).T

            return whole(trained) - whole(frozen)
    """,
    setup="import math\n\nimport torch",
)


def _no_values(built):
    given = _draw(4), _draw(4), torch.zeros(2).double(), 1.0
    return built(*given), torch.zeros(4, 4), "values of zero"


def _no_angles(built):
    zero, values = torch.zeros(4).double(), torch.tensor([2.0, 3.0]).double()
    right = torch.diag(torch.tensor([4.0, 6.0, 0.0, 0.0]))
    return built(zero, zero, values, 2.0), right, "angles of zero, values 2 and 3, scale 2"


def _package_peft(built):
    from qtha_lab.adapters.change import Layer
    from qtha_lab.adapters.quantum_peft import QuantumPeftConfig

    change = QuantumPeftConfig(r=2, alpha=3.0).change(Layer(4, 4))
    tensors = {"U": _draw(4), "V": _draw(4, seed=1), "values": _draw(2, seed=2)}
    return built(*tensors.values(), 1.5), change.delta_weight(tensors), "random numbers, scale 1.5"


build_task(
    "10.peft",
    "quantum_peft_change",
    steps=(
        ("values of zero give a change of zero", _no_values),
        ("without angles the bases are those of the first axes", _no_angles),
        ("the change equals the package's", _package_peft),
    ),
    tolerance=1e-9,
    solution="""
        def quantum_peft_change(u, v, values, scale):
            def columns(angles):
                c, s = torch.cos(angles / 2), torch.sin(angles / 2)
                ry = torch.stack([c, -s, s, c], -1).reshape(-1, 2, 2)
                cz = torch.diag(torch.tensor([1.0, 1.0, 1.0, -1.0]).double())
                whole = torch.kron(ry[2], ry[3]) @ cz @ torch.kron(ry[0], ry[1])
                return whole[:, : len(values)]

            return scale * columns(u) * values @ columns(v).T
    """,
    setup="import torch",
)


def _seen(features):
    """Return the features themselves, so that a step shows the network's input."""
    return features


def _features(built):
    values = torch.tensor([0.1, 0.2, 0.3, 0.6]).double()
    bits = [[-1, -1, 0.1], [-1, 1, 0.2], [1, -1, 0.3], [1, 1, 0.6]]
    right = torch.tensor(bits).double()
    given = "four values, and a network that returns its features"
    return built(values, _seen, 4, 3), right - right.mean(), given


def _cropped(built):
    values = _draw(3)
    got = built(values, lambda x: x @ _draw(3, 4), 2, 5)
    return (tuple(got.shape), abs(float(got.mean())) < 1e-9), ((2, 5), True), "3 chunks of 4"


def _package_train(built):
    from qtha_lab.adapters import basis_states, weight_mappings
    from qtha_lab.adapters.change import Layer
    from qtha_lab.adapters.quantum_train import QuantumTrainConfig

    torch.manual_seed(0)
    config = QuantumTrainConfig(chunk=7)
    config.init_weights = False
    change: Any = config.change(Layer(6, 5))
    tensors = change.start(torch.float64)
    size = change.generator.n_qubits, change.generator.n_chunks
    values = basis_states.generated_values(tensors["params"], *size, config)

    def network(features):
        last = weight_mappings.hidden_values(tensors, features, "none")
        return torch.nn.functional.linear(last, *weight_mappings.last_layer(tensors))

    return built(values, network, 5, 6), change.delta_weight(tensors), "a layer of 6 inputs"


build_task(
    "10.train",
    "quantum_train_change",
    steps=(
        ("the network reads the bits as -1 and +1, then the value", _features),
        ("surplus numbers are dropped, and the mean is removed", _cropped),
        ("the change equals the package's", _package_train),
    ),
    tolerance=1e-6,
    solution="""
        def quantum_train_change(values, network, n_out, n_in):
            n_qubits = max(1, (len(values) - 1).bit_length())
            places = torch.arange(n_qubits - 1, -1, -1)
            bits = 2 * (torch.arange(len(values))[:, None] >> places & 1) - 1
            features = torch.cat([bits.double(), values[:, None]], 1)
            numbers = network(features).flatten()[: n_out * n_in]
            return (numbers - numbers.mean()).reshape(n_out, n_in)
    """,
    setup="import torch",
)


def _start_is_zero(built):
    numbers = _draw(22)
    start = numbers[10:].reshape(2, 6)
    return built(numbers, start, 2, 5, 2.0), torch.zeros(5, 6), "the start equals the second part"


def _package_qpa(built):
    from qtha_lab.adapters.change import Layer
    from qtha_lab.adapters.qpa import QpaConfig

    torch.manual_seed(0)
    config = QpaConfig(r=2, chunk=7, hidden=(8,))
    config.init_weights = False
    change: Any = config.change(Layer(6, 5))
    tensors = change.start(torch.float64)
    numbers = change.generator.weights(tensors)
    got = built(numbers, tensors["start"], 2, 5, config.scale)
    return got, change.delta_weight(tensors), "22 generated numbers, 5 outputs, r = 2"


build_task(
    "10.qpa",
    "qpa_change",
    steps=(
        ("at the start the change is zero", _start_is_zero),
        ("the change equals the package's", _package_qpa),
    ),
    tolerance=1e-6,
    solution="""
        def qpa_change(numbers, start, r, n_out, scale):
            left = numbers[: n_out * r].reshape(n_out, r)
            right = numbers[n_out * r :].reshape(r, -1)
            return scale * left @ (right - start)
    """,
    setup="import torch",
)

"""Checks of lesson 10: four relatives of QTHA, and a reader's own method."""

import functools
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_json, scratch_folder, write_atomically
from qtha_lab.lessons.time_limit import AnswerTimeout, uncounted

log = logging.getLogger(__name__)
FILE = "own_method.py"
CPU_SECONDS = 60  # of a contract check, imports included
MOST_CHARACTERS = 20_000
DIMS = (2, 2, 3)
PAIRS = ((1, 2), (0, 2), (0, 1))


CHECK = f"""
import contextlib, runpy
with contextlib.suppress(ImportError):  # Windows has no such limit
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, ({CPU_SECONDS}, {CPU_SECONDS}))
runpy.run_module("qtha_lab", run_name="__main__")
"""


@functools.lru_cache(maxsize=64)
@uncounted
def _broken_facts(text: str) -> tuple[str, ...] | None:
    """Return the broken facts of a method's contract; None without a method.

    A process of its own runs the check, so the file leaves nothing behind in this one. It has its
    own limit, since it imports the libraries anew.

    Raises:
        AnswerTimeout: If the check takes more processor time than `CPU_SECONDS`.
    """
    with scratch_folder(prefix="qtha-lab-method-") as folder:
        write_atomically(Path(folder) / FILE, text)
        command = [sys.executable, "-c", CHECK, "check-plugin", FILE, "--json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode < 0:
        raise AnswerTimeout
    try:
        results = parse_json(done.stdout)
    except Refusal as refused:
        log.debug("no contract was checked: %s", refused)
        return None
    if {result["kind"] for result in results} != {"method"}:
        return None
    return tuple(result["fact"] for result in results if not result["holds"])


def _is_method(text: str) -> bool:
    return 0 < len(text) < MOST_CHARACTERS and _broken_facts(text) is not None


def _keeps(text: str, facts: list[str]) -> bool:
    return not {*facts} & set(_broken_facts(text) or ())


def _keeps_all(text: str) -> bool:
    return not _broken_facts(text)


def _draw(*size: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*size, generator=random, dtype=torch.float64)


def _package_change(config: Any, seed: int = 0) -> tuple[Any, dict[str, Tensor]]:
    """Return the package's change of a 5 × 6 layer, and its tensors."""
    from qtha_lab.adapters.change import Layer

    torch.manual_seed(seed)
    config.init_weights = False
    change: Any = config.change(Layer(6, 5))
    return change, change.start(torch.float64)


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


def _features(built):
    values = torch.tensor([0.1, 0.2, 0.3, 0.6]).double()
    bits = [[-1, -1, 0.1], [-1, 1, 0.2], [1, -1, 0.3], [1, 1, 0.6]]
    right = torch.tensor(bits).double()
    given = "four values, and a network that returns its features"
    return built(values, lambda features: features, 4, 3), right - right.mean(), given


def _cropped(built):
    values = _draw(3)
    signs = torch.tensor([[-1, -1], [-1, 1], [1, -1]]).double()
    right = (torch.cat([signs, values[:, None]], 1) @ _draw(3, 4)).flatten()[:10]
    given = "three values, 3 chunks of 4 numbers, 2 × 5 of them are used"
    got = built(values, lambda x: x @ _draw(3, 4), 2, 5)
    return got, (right - right.mean()).reshape(2, 5), given


def _package_train(built):
    from qtha_lab.adapters import basis_states, generated_weights
    from qtha_lab.adapters.quantum_train import QuantumTrainConfig

    config = QuantumTrainConfig(chunk=7)
    change, tensors = _package_change(config)
    size = change.generator.n_qubits, change.generator.n_chunks
    values = basis_states.generated_values(tensors["params"], *size, config)

    def network(features):
        last = generated_weights.hidden_values(tensors, features, "none")
        return torch.nn.functional.linear(last, *generated_weights.last_layer(tensors))

    return built(values, network, 5, 6), change.delta_weight(tensors), "a layer of 6 inputs"


def _start_is_zero(built):
    numbers = _draw(22)
    start = numbers[10:].reshape(2, 6)
    return built(numbers, start, 2, 5, 2.0), torch.zeros(5, 6), "the start equals the second part"


def _package_qpa(built):
    from qtha_lab.adapters.qpa import QpaConfig

    config = QpaConfig(r=2, chunk=7, hidden=(8,))
    change, tensors = _package_change(config)
    got = built(change.generator.weights(tensors), tensors["start"], 2, 5, config.scale)
    return got, change.delta_weight(tensors), "22 generated numbers, 5 outputs, r = 2"

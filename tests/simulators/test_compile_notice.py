"""The first use of engine `cpu` says that it compiles; `doctor --compile` does it beforehand."""

import os
import subprocess
import sys

import pytest

NODE = """
import numpy as np, pennylane as qml, torch
from qtha_lab.simulators.cpu import compiled
from qtha_lab.simulators.pennylane_device.device import QthaCpu

@qml.qnode(QthaCpu(wires=3))
def circuit(x, weights):
    qml.AngleEmbedding(x, wires=range(3))
    qml.StronglyEntanglingLayers(weights, wires=range(3))
    return qml.expval(qml.Z(0) @ qml.Z(1)), qml.probs(wires=[2])

x = torch.ones(64, 3, dtype=torch.float64, requires_grad=True)
mean, chances = circuit(x, torch.ones(1, 3, 3, dtype=torch.float64, requires_grad=True))
(mean.sum() + chances[:, 0].sum()).backward()
print(compiled._compiled)
"""


def done(*words: str, home, **options) -> subprocess.CompletedProcess:
    folders = {"HOME": str(home), "QTHA_LAB_CACHE": str(home / "cache")}
    env = os.environ | folders | {"QTHA_LAB_STATE": str(home / "state")}
    return subprocess.run(
        [sys.executable, *words], env=env, capture_output=True, text=True, check=True, **options
    )


@pytest.mark.slow
def test_a_cold_first_call_writes_one_line_before_it_compiles(tmp_path):
    cold = done("-c", NODE, home=tmp_path)
    assert cold.stderr.count("compiles its kernels once") == 1
    assert cold.stderr.count("doctor --compile") == 1
    warm = done("-c", NODE, home=tmp_path)
    assert (warm.stdout.strip(), "compiles its kernels" in warm.stderr) == ("[]", False)


@pytest.mark.slow
def test_the_doctor_compiles_everything_that_a_first_call_needs(tmp_path):
    shown = done("-m", "qtha_lab", "doctor", "--compile", "--json", home=tmp_path)
    assert "run_blocks" in shown.stderr or "kernels" in shown.stderr
    assert "compiles its kernels once" not in shown.stderr
    assert done("-c", NODE, home=tmp_path).stdout.strip() == "[]"

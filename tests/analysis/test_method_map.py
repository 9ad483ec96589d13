"""Methods on one layer: counts by formula, merging, and bounds of rank that random changes meet."""

import pytest
from peft import LoraConfig
from torch import nn

from qtha_lab.adapters import count_trainable
from qtha_lab.analysis.method_map import RELATIVES, SMALL, method_map, random_rank


def test_lora_is_counted_as_peft_counts_it():
    net = nn.Sequential(nn.Linear(64, 64, bias=False))
    trained = count_trainable(net, LoraConfig(r=4, target_modules=["0"]))
    assert method_map(64, r=4)[0].parameters == trained == 512


def test_counts_follow_the_published_formulas():
    of = {method.name: method.parameters for method in method_map(4096, r=4)}
    assert of["quanta"] == 6 * (8 * 8) ** 2  # four axes of 8, six pairs
    assert of["quantum_peft"] == 2 * (3 * 12 - 2) + 4  # 12 qubits, one layer, four values
    n, m = 4, 4 * 2 * 4096
    assert of["qpa"] == 8 * n + 32 * (n + 1) + 38_368 + 33 * (m // 16)


def test_only_the_method_whose_circuit_reads_tokens_does_not_merge():
    assert [method.name for method in method_map(256) if not method.merges] == ["qtha"]


@pytest.mark.parametrize("r", [2, 4])
def test_a_random_change_keeps_the_bound_that_the_map_states(r):
    bounded = {method.name: method.bounded for method in method_map(64, r)}
    for name in RELATIVES:
        rank = random_rank(name, r)
        assert rank <= SMALL
        assert (rank <= r) == bounded[name], name
    assert [name for name in RELATIVES if not bounded[name]] == ["quanta", "quantum_train"]

"""Peak memory is that of weights and of what comes beside them, from where it is begun."""

import torch
from torch import nn

from qtha_lab.training.memory import PeakMemory, stored_bytes

MIB = 2**20


def test_weights_count_in_full_and_what_was_there_before_not_at_all():
    before = torch.ones(64 * MIB // 4)
    model = nn.Linear(1024, 4 * 1024, bias=False)
    peak = PeakMemory(model).bytes()
    assert model.weight.nbytes == 16 * MIB <= peak < 32 * MIB < before.nbytes


def test_what_came_and_went_is_in_the_peak_and_no_longer_in_what_is_taken_now():
    model = nn.Linear(2, 2)
    memory = PeakMemory(model)
    block = torch.ones(200 * MIB // 4)
    assert 190 * MIB < memory.now() < 260 * MIB
    del block
    assert memory.now() < 60 * MIB
    assert 190 * MIB < memory.bytes() < 260 * MIB


def test_a_quantised_weight_takes_what_its_parts_take():
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    model = nn.Linear(1024, 1024, bias=False)
    assert stored_bytes(model.weight) == 4 * MIB
    quantize_(model, Int8WeightOnlyConfig())
    assert MIB <= stored_bytes(model.weight) < 1.1 * MIB


def test_what_a_paused_block_adds_is_not_in_the_peak():
    memory = PeakMemory(nn.Linear(2, 2))
    with memory.paused():
        library = torch.ones(200 * MIB // 4)
    assert memory.bytes() < 60 * MIB
    block = torch.ones(100 * MIB // 4)
    assert 90 * MIB < memory.bytes() < 160 * MIB < library.nbytes + block.nbytes

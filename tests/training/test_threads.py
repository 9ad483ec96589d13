"""Previews in several threads at once.

What a person makes by typing while an earlier one still works.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from qtha_lab import models
from qtha_lab.experiment import Comparison, Experiment, Training
from qtha_lab.experiment.cost.preview import preview

TRAINING = Training(threads=1)
METHODS = ["lora", "qtha(r=2,waist=8)", "vera"]


@pytest.mark.slow
def test_previews_and_checks_in_four_threads_all_succeed_and_leave_the_process_as_it_was():
    dtype, default = torch.get_default_dtype(), nn.Module.register_parameter
    comparison = Comparison(methods=METHODS, training=TRAINING)

    def previews(thread: int) -> list[int]:
        turned = METHODS[thread:] + METHODS[:thread]
        costs = [preview(Experiment(method=m, training=TRAINING)) for m in turned]
        return sorted(cost.trainable_parameters for cost in costs)

    with ThreadPoolExecutor(4) as pool:
        threads = [pool.submit(previews, thread) for thread in range(3)]
        checks = pool.submit(lambda: [comparison.check() for _ in range(6)])
        counts = [thread.result() for thread in threads]
        checks.result()
    assert counts[0] == counts[1] == counts[2]
    assert nn.Linear(1, 1).weight.device.type == "cpu"
    assert nn.Module.register_parameter is default
    assert torch.get_default_dtype() == dtype
    assert next(models.load_model("tiny").model.parameters()).device.type == "cpu"

"""Started by torchrun.

An adapter on the bundled model, all parameters sharded by FSDP2, held against the same unsharded.
"""

import copy
import sys

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn import functional
from transformers import set_seed

from qtha_lab import adapters, models, tasks
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.plan import Plan
from qtha_lab.training.processes import ProcessGroup

STEPS, ROWS, TOKENS = 5, 6, 48
ROUNDING = 5e-5


def losses(model, rows, collate, group):
    """The loss of each of some steps, over the rows of all processes."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer, values = torch.optim.AdamW(trained, lr=0.01), []
    for step in range(STEPS):
        batch = collate(rows[ROWS * step : ROWS * (step + 1)])
        n_labels = batch["labels"][:, 1:].ne(-100).sum()
        labels = (share := group.share(batch)).pop("labels")
        logits = model(**share).logits[:, :-1].flatten(0, 1)
        total = functional.cross_entropy(logits, labels[:, 1:].flatten(), reduction="sum")
        (total / n_labels * group.size).backward()
        optimizer.step()
        optimizer.zero_grad()
        loss = total.detach() / n_labels
        if group.size > 1:
            distributed.all_reduce(loss)
        values.append(loss)
    return torch.stack(values)


def main(method):
    torch.set_num_threads(1)
    training = {"train_rows": STEPS * ROWS, "eval_rows": 2, "test_rows": 2}
    plan = Plan(Experiment(method=method, training=training))

    def adapted():
        base = models.load_model("tiny", head=plan.head, n_labels=plan.n_labels)
        set_seed(0)
        return adapters.add_adapter(base.model, copy.deepcopy(plan.config)), base.tokenizer

    model, tokenizer = adapted()
    rows, collate = plan.task.encode(plan.task.train, tokenizer, TOKENS), tasks.collate(tokenizer)
    whole = losses(model, rows, collate, ProcessGroup())
    model, _ = adapted()
    group = ProcessGroup.join(plan.experiment.training)
    mesh = init_device_mesh("cpu", (group.size,))
    for block in model.get_base_model().model.layers:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    count = sum(parameter.numel() for parameter in model.parameters())
    here = sum(parameter.to_local().numel() for parameter in model.parameters())
    assert here < 0.51 * count, (here, count)
    sharded = losses(model, rows, collate, group)
    assert (sharded - whole).abs().max() < ROUNDING, (whole, sharded)
    assert (whole[0] - whole[-1]).abs() > 0.1, "nothing was trained"


if __name__ == "__main__":
    main(sys.argv[1])

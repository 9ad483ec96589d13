"""Builds of lesson 7: a training loop, and its evaluation on held-out rows.

The reference is a run of the package with a constant learning rate and no warm-up. Its four
steps see each training row once.
"""

import copy
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qtha_lab.core.io import scratch_folder
from qtha_lab.lessons.builds import build_task

RATE, BATCH, STEPS = 0.01, 8, 4


@dataclass(frozen=True)
class LoopStart:
    """A model with a new LoRA adapter, and the batches of the run.

    Attributes:
        model: Toy model; only the adapter is trained.
        batches: Training batches in the order of the run.
        held_out: Batches of evaluation rows, of unequal numbers of tokens.
    """

    model: Any
    batches: list[dict[str, torch.Tensor]]
    held_out: list[dict[str, torch.Tensor]]


def _experiment():
    from qtha_lab import Experiment, Training

    training = Training(
        steps=STEPS,
        batch_size=BATCH,
        train_rows=BATCH * STEPS,
        eval_rows=2 * BATCH,
        eval_every=STEPS,
        test_rows=BATCH,
        generate_rows=0,
        schedule="constant",
        warmup_fraction=0,
    )
    return Experiment(
        model="tiny", task="qa", method=f"lora(r=2,learning_rate={RATE})", training=training
    )


def loop_start() -> LoopStart:
    """Return model and batches of the run before its first step."""
    from transformers import set_seed

    from qtha_lab import load_model
    from qtha_lab.adapters import add_adapter
    from qtha_lab.experiment.plan import Plan
    from qtha_lab.tasks import collate

    plan = Plan(_experiment())
    base = load_model("tiny")
    length = plan.experiment.training.max_length
    train, held_out = (
        plan.task.encode(rows, base.tokenizer, length) for rows in (plan.task.train, plan.task.eval)
    )
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).tolist()
    shuffled = [train[place] for place in order]
    set_seed(0)
    model = add_adapter(base.model, copy.deepcopy(plan.config))
    parts = [
        [collate(base.tokenizer)(rows[k : k + BATCH]) for k in range(0, len(rows), BATCH)]
        for rows in (shuffled, held_out)
    ]
    return LoopStart(model, *parts)


@functools.cache
def package_losses() -> tuple[tuple[float, ...], tuple[float, float]]:
    """Train the run with the package; return its training losses, and held-out losses around it."""
    from qtha_lab.experiment.run_directory import RunDir
    from qtha_lab.experiment.run_directory.events import EventLog, history, read_events
    from qtha_lab.training.finetune import fine_tune

    with scratch_folder() as folder:
        files = RunDir.create(_experiment(), Path(folder))
        log, threads = EventLog(files.events), torch.get_num_threads()
        try:
            fine_tune(files, log, lambda: False, threads=1)
        finally:
            log.close()
            torch.set_num_threads(threads)
        events = history(read_events(files.events)[0])
    training = tuple(event["loss"] for event in events if event["kind"] == "train")
    first, last = (event["loss"] for event in events if event["kind"] == "eval")
    return training, (first, last)


def _one_batch(function):
    start = loop_start()
    with torch.no_grad():
        right = start.model.eval()(**start.held_out[0]).loss.item()
    return function(start.model, start.held_out[:1]), right, "one batch of eight rows"


def _all_batches(function):
    start = loop_start()
    right = package_losses()[1][0]
    return (
        function(start.model, start.held_out),
        right,
        "two batches with unequal numbers of labels",
    )


LOSS = """
    def held_out_loss(model, batches):
        total = count = 0
        model.eval()
        with torch.no_grad():
            for batch in batches:
                n = (batch["labels"][:, 1:] != -100).sum().item()
                total += n * model(**batch).loss.item()
                count += n
        return total / count
"""
build_task(
    "7.loss",
    "held_out_loss",
    steps=(
        ("one batch has the loss that the model returns", _one_batch),
        ("batches count by their labels, as in the package", _all_batches),
    ),
    tolerance=1e-5,
    solution=LOSS,
    setup="import torch",
)


def _count(function):
    start = loop_start()
    return len(function(start.model, start.batches[:2], RATE)), 2, "two batches"


def _first(function):
    start = loop_start()
    right = package_losses()[0][0]
    return function(start.model, start.batches[:1], RATE), [right], "one batch"


def _frozen(function):
    start = loop_start()
    frozen = [p for p in start.model.parameters() if not p.requires_grad]
    before = [p.clone() for p in frozen]
    function(start.model, start.batches[:1], RATE)
    n_moved = sum(not torch.equal(p, old) for p, old in zip(frozen, before, strict=True))
    return n_moved, 0, "the number of frozen tensors that changed"


def _losses(function):
    start = loop_start()
    return function(start.model, start.batches, RATE), list(package_losses()[0]), "four batches"


build_task(
    "7.loop",
    "train",
    steps=(
        ("it returns one loss for each batch", _count),
        ("the first loss is that of the unchanged model", _first),
        ("no frozen tensor changes", _frozen),
        ("all losses equal the package's", _losses),
    ),
    tolerance=1e-5,
    solution="""
        def train(model, batches, rate):
            trained = [p for p in model.parameters() if p.requires_grad]
            optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0)
            losses = []
            model.train()
            for batch in batches:
                loss = model(**batch).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(trained, 1.0)
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss.item())
            return losses
    """,
    setup="import torch",
)

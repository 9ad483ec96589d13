"""Checks of lesson 7: first losses, training loop, search over rates, resumed run.

The reference of the loop is a run of the package with a constant learning rate and no warm-up.
Its four steps see each training row once.
"""

import copy
import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from qtha_lab.core.io import scratch_folder
from qtha_lab.lessons import grading
from qtha_lab.lessons.interrupted_runs import interruptions, training_losses

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run

FIRST, LAST = 20, 40  # steps between which the run is killed
POOL = [4.3, 4.1, 4.6, 4.2, 5.0]
RATES = [0.001, 0.003, 0.01, 0.03]
RATE, BATCH, STEPS = 0.01, 8, 4
INPUTS = torch.linspace(-1, 1, 256).reshape(32, 8)
TARGETS = INPUTS[:, :1].square()


def _pair(answer: Any) -> "tuple[Run, Run]":
    from qtha_lab.runs.run import Run

    first, second = (run if isinstance(run, Run) else Run(Path(run)) for run in answer)
    return first, second


def _have_ended(answer: Any) -> bool:
    return all(run.state == "finished" and training_losses(run) for run in _pair(answer))


def _are_two_folders(answer: Any) -> bool:
    first, second = _pair(answer)
    return first.path.resolve() != second.path.resolve()


def _is_one_experiment(answer: Any) -> bool:
    first, second = _pair(answer)
    return first.experiment == second.experiment


def _is_whole(answer: Any) -> bool:
    return not interruptions(_pair(answer)[0])


def _is_killed(answer: Any) -> bool:
    steps = interruptions(_pair(answer)[1])
    return len(steps) > 0 and all(FIRST <= step <= LAST for step in steps)


def _agree(answer: Any) -> bool:
    first, second = map(training_losses, _pair(answer))
    return first == second


class _Noted(torch.nn.Linear):
    """Linear layer with the mode of its last forward pass."""

    def forward(self, x):
        """Return the output."""
        self.mode = self.training
        return super().forward(x)


def _first_loss(answer: Any, seed: int) -> tuple[float, Any]:
    """Return the loss of a call, and the model that it made."""
    models: list[_Noted] = []

    def make_model() -> _Noted:
        models.append(_Noted(8, 1))
        return models[-1]

    torch.seed()  # whatever is drawn before the answer sets a seed differs
    loss = grading.as_number(answer(make_model, INPUTS.clone(), TARGETS.clone(), seed))
    (model,) = models
    return loss, model


def _is_loss(answer: Any) -> bool:
    loss, model = _first_loss(answer, 3)
    return np.isclose(loss, (model(INPUTS) - TARGETS).square().mean().item())


def _repeats(answer: Any) -> bool:
    return _first_loss(answer, 3)[0] == _first_loss(answer, 3)[0]


def _evaluates(answer: Any) -> bool:
    return not _first_loss(answer, 3)[1].mode


def _follows_seed(answer: Any) -> bool:
    return _first_loss(answer, 3)[0] != _first_loss(answer, 4)[0]


def _one(function):
    return function(POOL, 1), float(np.mean(POOL)), "five losses, k = 1"


def _two(function):
    return function([1.0, 3.0], 2), 1.5, "the losses 1 and 3, k = 2"


def _all(function):
    from qtha_lab.studies.comparison.trial_statistics import budget

    right = budget(POOL)
    assert right is not None
    return [function(POOL, k) for k in range(1, 6)], right.expected, "five losses, k = 1 to 5"


class _Trials:
    """Loss of a rate after some steps, with a record of all calls."""

    def __init__(self):
        self.calls: list[tuple[float, int]] = []

    def __call__(self, rate: float, steps: int) -> float:
        self.calls.append((rate, steps))
        return abs(np.log10(rate / 0.003)) + 1 / steps


def _winner(function):
    return function(_Trials(), RATES, 10), 0.003, "four rates, 10 steps in the first round"


def _rounds(function):
    trials = _Trials()
    function(trials, RATES, 10)
    counts = Counter(steps for _, steps in trials.calls)
    given = "four rates, 10 steps: (steps, number of evaluations)"
    return tuple(sorted(counts.items())), ((10, 4), (20, 2)), given


def _odd(function):
    return function(_Trials(), [*RATES, 0.1], 5), 0.003, "five rates"


@dataclass(frozen=True)
class _LoopStart:
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


def _loop_start() -> _LoopStart:
    """Return a copy of model and batches of the run before its first step."""
    return copy.deepcopy(_first_loop_start())


@functools.cache
def _first_loop_start() -> _LoopStart:
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
    return _LoopStart(model, *parts)


@functools.cache
def _package_losses() -> tuple[tuple[float, ...], tuple[float, float]]:
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
    start = _loop_start()
    with torch.no_grad():
        right = start.model.eval()(**start.held_out[0]).loss.item()
    return function(start.model, start.held_out[:1]), right, "one batch of eight rows"


def _all_batches(function):
    start, right = _loop_start(), _package_losses()[1][0]
    given = "two batches with unequal numbers of labels"
    return function(start.model, start.held_out), right, given


class _Mode(torch.nn.Module):
    """Model with the loss of a batch's numbers, and 1 more in training mode."""

    def forward(self, input_ids, labels):
        """Return an object with the loss."""
        return SimpleNamespace(loss=input_ids.double().mean() + float(self.training))


def _rows(loss: float, labels: list[list[int]]) -> dict[str, torch.Tensor]:
    found = torch.tensor(labels)
    return {"input_ids": torch.full_like(found, int(loss)), "labels": found}


def _evaluated(function):
    given = "a model with the loss 2, and with dropout 3"
    return function(_Mode().train(), [_rows(2, [[-100, 5, 6]])]), 2.0, given


def _first_token(function):
    batches = [_rows(2, [[4, 5, 6, 7]]), _rows(4, [[4, 5], [4, -100]])]
    given = "loss 2 with labels [[4, 5, 6, 7]], loss 4 with labels [[4, 5], [4, -100]]"
    return function(_Mode().eval(), batches), (3 * 2 + 1 * 4) / 4, given


def _count(function):
    start = _loop_start()
    return len(function(start.model, start.batches[:2], RATE)), 2, "two batches"


def _first(function):
    start, right = _loop_start(), _package_losses()[0][0]
    return function(start.model, start.batches[:1], RATE), [right], "one batch"


def _frozen(function):
    start = _loop_start()
    frozen = [p for p in start.model.parameters() if not p.requires_grad]
    before = [p.clone() for p in frozen]
    function(start.model, start.batches[:1], RATE)
    n_moved = sum(not torch.equal(p, old) for p, old in zip(frozen, before, strict=True))
    return n_moved, 0, "the number of frozen tensors that changed"


def _losses(function):
    start = _loop_start()
    return function(start.model, start.batches, RATE), list(_package_losses()[0]), "four batches"


class _Weight(torch.nn.Module):
    """Model of one weight, whose loss is a multiple of it."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(3.0))

    def forward(self, factor):
        """Return an object with the loss."""
        return SimpleNamespace(loss=factor * self.weight)


def _weight_after(function, factors: list[float]) -> float:
    model = _Weight()
    function(model, [{"factor": torch.tensor(factor)} for factor in factors], 0.1)
    return model.weight.item()


def _clipped(function):
    weights = [3.0]
    first = second = 0.0
    for k, gradient in enumerate((1.0, 0.1), start=1):  # 100 is clipped to 1
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        step = first / (1 - 0.9**k) / (np.sqrt(second / (1 - 0.999**k)) + 1e-8)
        weights.append(weights[-1] - 0.1 * step)
    given = "one weight of 3, gradients of 100 and 0.1, rate 0.1: the weight after two steps"
    return _weight_after(function, [100.0, 0.1]), weights[-1], given


def _not_decayed(function):
    given = "one weight of 3, a gradient of 1, rate 0.1: the weight after a step of Adam"
    return _weight_after(function, [1.0]), 3 - 0.1, given

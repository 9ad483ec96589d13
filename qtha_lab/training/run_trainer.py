"""One fine-tune on transformers' `Trainer`; steps, evaluations and checkpoints become events.

Builds the Trainer arguments and the monitoring callback; loads no model and handles no process or
lock.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.training_args import OptimizerNames

from qtha_lab import adapters
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import checkpoints
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.training.early_stopping import EarlyStop
from qtha_lab.training.evaluation import Interrupted, evaluating
from qtha_lab.training.processes import ProcessGroup

log = logging.getLogger(__name__)

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def training_arguments(
    experiment: Experiment, learning_rate: float, folder: Path
) -> TrainingArguments:
    """Translate an experiment to transformers' arguments; `TrainingMonitor` controls evaluation."""
    training = experiment.training
    arguments = TrainingArguments(
        output_dir=str(folder),
        run_name=folder.parent.name,
        max_steps=training.steps,
        per_device_train_batch_size=training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=learning_rate,
        lr_scheduler_type=SCHEDULES[training.schedule],
        warmup_steps=round(training.warmup_fraction * training.steps),
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        bf16=training.precision == "bfloat16",
        use_cpu=not torch.accelerator.is_available(),  # otherwise a CPU refuses bf16
        seed=experiment.seed,
        data_seed=experiment.seed,
        average_tokens_across_devices=False,  # `FineTuner` counts labels in all processes
        ddp_find_unused_parameters=False,
        logging_steps=1,
        include_num_input_tokens_seen="non_padding",
        logging_nan_inf_filter=False,  # otherwise a NaN is replaced by the mean of earlier losses
        save_steps=training.checkpoint_every,
        save_total_limit=None,  # `TrainingMonitor` deletes older checkpoints
        report_to="none",  # `trackers` creates the selected tracker
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=False,
        disable_tqdm=True,
        log_level="warning",
    )
    if training.optimizer != "auto":
        arguments.optim = OptimizerNames(training.optimizer)
    return arguments


class TrainingMonitor(TrainerCallback):
    """Callback that records events, evaluates when due, and ends training on a stop or NaN.

    Args:
        trainer: Monitored Trainer; add this object to its callbacks.
        model: Model that the Trainer trains.
        log: Event log.
        evaluate: Returns the model's current scores; may raise `Interrupted`.
        stop_requested: Polled at every step.
        adjust: Called before every step with its number, to set the number of threads.
        memory: Returns the memory that training takes now, in bytes.
        early: Early-stopping state; receives every evaluation.
        eval_every: Steps between evaluations.
        evaluated: Steps that an earlier session of the run evaluated.
        group: Processes that follow the decisions of this process.
    """

    def __init__(
        self,
        trainer: Trainer,
        model: nn.Module,
        log: EventLog,
        evaluate: Callable[[], dict[str, float]],
        stop_requested: Callable[[], bool],
        adjust: Callable[[int], None],
        memory: Callable[[], int],
        early: EarlyStop,
        *,
        eval_every: int,
        evaluated: set[int],
        group: ProcessGroup = ProcessGroup(),  # noqa: B008  frozen
    ) -> None:
        self.trainer, self.model = trainer, model
        self.log, self.evaluate, self.stop_requested = log, evaluate, stop_requested
        self.adjust, self.memory, self.early, self.group = adjust, memory, early, group
        self.eval_every, self.evaluated = eval_every, set(evaluated)
        self.stopping = False
        self.diverged: str | None = None
        # step whose weights gave a non-finite loss or gradient
        self.ruined: int | None = None
        self._began, self._seconds = 0.0, 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        """Evaluate the current step if due.

        A stop raises an exception, because the Trainer cannot be stopped here.

        Raises:
            Interrupted: If a stop is requested, or the evaluation is stopped, diverges or ends
                training.
        """
        if not self.stop_requested():
            self._evaluate_if_due(state, control)
            if self.group.agree(not (self.stopping or self.diverged or self.early.is_over)):
                return
        else:
            self.group.agree(False)
        raise Interrupted

    def on_step_begin(self, args, state, control, **kwargs):
        """Set the number of threads and start the timer of the step."""
        self.adjust(state.global_step)
        self._began = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        """Stop the step's timer, and end training after a stop request."""
        self._seconds = time.perf_counter() - self._began
        if self.stop_requested():
            self._stop(state, control)

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Record loss, gradient norm, seconds and memory of a step.

        Then evaluate if due, or stop a diverged run.
        """
        if logs is None or "loss" not in logs:
            return
        step, loss, norm = state.global_step, logs["loss"], logs.get("grad_norm")
        self.log.append(
            "train",
            step=step,
            loss=loss,
            learning_rate=logs["learning_rate"],
            grad_norm=norm,
            seconds=self._seconds,
            tokens=logs.get("num_input_tokens_seen"),
            memory_mib=round(self.memory() / 2**20, 1),
        )
        if self.diverged:
            self._diverge(self.diverged, control)
        elif not math.isfinite(loss):
            self.ruined = step - 1
            self._diverge(f"the loss is {loss} at step {step}", control)
        elif norm is not None and not math.isfinite(norm):
            self.ruined = step - 1
            self._diverge(f"the gradient norm is {norm} at step {step}", control)
        elif not self.stopping:
            self._evaluate_if_due(state, control)
        self.group.agree((control.should_training_stop, control.should_save))

    def on_save(self, args, state, control, **kwargs):
        """Write the manifest of the new checkpoint, record it and delete older checkpoints."""
        self.group.wait()
        folder, step = Path(args.output_dir or ""), state.global_step
        adapters.save_initialisation(self.model, checkpoints.place(folder, step))
        checkpoints.write_manifest(checkpoints.place(folder, step))
        self.log.append("checkpoint", step=step)
        checkpoints.keep_newest(folder)
        log.info("checkpoint %d is whole in %s", step, folder)

    def measure(self, step: int) -> dict[str, float]:
        """Evaluate the model now and record the scores; may raise `Interrupted`."""
        with evaluating(self.model), self.trainer.accelerator.autocast():
            scores = self.evaluate()
        self.evaluated.add(step)
        if math.isfinite(scores["loss"]):
            self.early.add(step, scores["loss"])
        log.info("evaluated step %d: %s", step, scores)
        self.log.append("eval", step=step, **scores)
        self.trainer.log({f"eval_{name}": value for name, value in scores.items()})
        return scores

    def _evaluate_if_due(self, state, control) -> None:
        step = state.global_step
        due = step % self.eval_every == 0 or step >= state.max_steps
        if not due or step in self.evaluated:
            return
        try:
            loss = self.measure(step)["loss"]
        except Interrupted:
            self._stop(state, control)
            return
        if not math.isfinite(loss):
            self._diverge(f"the evaluation loss is {loss} at step {step}", control)
        elif self.early.is_over:
            control.should_training_stop = control.should_save = True

    def _stop(self, state, control) -> None:
        if not self.stopping:
            self.stopping = True
            self.log.append(
                "status", state="stopping", step=state.global_step, message="after this step"
            )
        control.should_training_stop = True
        control.should_save = state.global_step > 0

    def _diverge(self, reason: str, control) -> None:
        self.diverged = reason
        log.warning("diverged: %s", reason)
        control.should_training_stop = True
        control.should_save = False

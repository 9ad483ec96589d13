"""One fine-tune from an experiment to an adapter and a summary, in this process.

The same seed gives the same adapter start and the same row order, whatever the method; a resumed run
repeats an uninterrupted one bit for bit on CPU. Base weights are never written.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from typing import NamedTuple

import torch
from transformers import PrinterCallback, set_seed

from qtha_lab import adapters, measures, models, tasks
from qtha_lab.experiment.plan import Plan
from qtha_lab.rundir import RunDir, checkpoints, read_mapping, write_json
from qtha_lab.rundir.events import EventLog, history, read_events
from qtha_lab.rundir.files import check_room, sync, sync_tree
from qtha_lab.rundir.plugins import bring_plugins
from qtha_lab.sharing import write_card
from qtha_lab.training import environment, evaluation, metrics
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.rates import HEAD, GroupedTrainer
from qtha_lab.training.resuming import find_start, newest_whole
from qtha_lab.training.spectra import RecordSpectra
from qtha_lab.training.summary import summarise
from qtha_lab.training.trainer import Watch, training_arguments


class Outcome(NamedTuple):
    """How a fine-tune ended."""

    state: str
    step: int
    message: str = ""


def fine_tune(
    run: RunDir, log: EventLog, stop_requested: Callable[[], bool], threads: int
) -> Outcome:
    """Work on a run from where it is until it ends or is asked to stop."""
    torch.set_num_threads(threads)
    job = _Job(run, log, stop_requested, threads)
    try:
        return job.work()
    except Interrupted:
        return Outcome("stopped", job.step, f"stopped at step {job.step} of {job.steps}")
    except (
        Exception
    ):  # torch tells a full disk by the positions in its file, safetensors by a number
        if run.path.exists():
            check_room(run.path, checkpoints.room_needed(run.checkpoints))
        raise


class _Job:
    """The pieces of one fine-tune, put together step by step."""

    def __init__(self, run: RunDir, log: EventLog, stop_requested, threads: int) -> None:
        self.run, self.log, self.stop_requested, self.threads = run, log, stop_requested, threads
        self.experiment = run.experiment
        self.training = self.experiment.training
        self.steps = self.training.steps
        self.checkpoint, self.step, self.note = find_start(run, log)
        self.past = history(read_events(run.events)[0])

    def work(self) -> Outcome:
        self.load()
        self.write_environment()
        watch = self.train()
        if watch.diverged:
            return self.diverged(watch)
        if self.step < self.steps:
            raise Interrupted
        if not self.done("eval", self.steps):
            watch.measure(self.steps)
        self.answer()
        self.save_adapter()
        self.write_summary("finished")
        self.write_card()
        sync_tree(self.run.adapter)
        return Outcome("finished", self.step, "; ".join(self.notes()))

    # ---- load ----

    def load(self) -> None:
        bring_plugins(self.run)
        self.tell("loading", f"task {self.experiment.task}")
        self.plan = Plan(self.experiment)
        self.task = self.plan.task
        self.poll()
        self.tell("loading", f"model {self.experiment.model}")
        set_seed(self.experiment.seed)
        if self.experiment.quantization != "none" and not self.done("whole_base", 0):
            self.measure_whole_base()
        self.base = self.load_base(self.experiment.quantization)
        self.read_rows(self.base.tokenizer)
        self.train_rows = self.encode(self.task.train)
        # transformers refuses to train over torchao's 4 bits; only the adapters on top are trained
        self.base.model.is_quantized = False
        self.base_parameters = self.base.model.num_parameters()
        self.poll()
        self.tell("loading", f"adapter {self.experiment.method.label}")
        if self.training.gradient_checkpointing:
            recompute(self.base.model)
        set_seed(self.experiment.seed)
        self.config = copy.deepcopy(self.plan.config)
        self.model = adapters.add_adapter(self.base.model, self.config)
        for parameter in self.model.parameters():
            if parameter.requires_grad:  # PEFT leaves a new head in the base's bfloat16
                parameter.data = parameter.data.float()
        if warning := adapters.first_step_warning(self.model, self.config, self.learning_rate):
            self.tell("loading", warning)
        self.poll()

    def load_base(self, quantization: str) -> models.LoadedModel:
        return models.load_model(
            self.experiment.model,
            head=self.plan.head,
            n_labels=self.plan.n_labels,
            dtype=self.training.precision,
            quantization=quantization,
            head_seed=self.experiment.seed,
        )

    def measure_whole_base(self) -> None:
        """The score of the base before it is quantised, so that the loss by that can be told."""
        base = self.load_base("none")
        self.read_rows(base.tokenizer)
        self.model = base.model
        self.log.append("whole_base", step=0, **self.evaluate())

    def read_rows(self, tokenizer) -> None:
        self.tokenizer = tokenizer
        self.collate = tasks.collate(tokenizer)
        self.eval_rows = self.encode(self.task.eval)

    def encode(self, rows: list) -> list[dict]:
        return self.task.encode(rows, self.tokenizer, self.training.max_length)

    def write_environment(self) -> None:
        described = environment.describe()
        base, task = self.base, self.task
        described |= {
            "threads": self.threads,
            "device": str(next(self.model.parameters()).device),
            "model": {"name": base.name, "source": base.source, "fingerprint": base.fingerprint},
            "task": {"name": task.name, "source": task.source, "fingerprint": task.fingerprint},
        }
        write_json(self.run.environment, described)

    # ---- train ----

    @property
    def usual_rate(self) -> float:
        chosen = self.experiment.method
        return adapters.get_method(chosen.name).learning_rate_of(chosen.options)

    @property
    def learning_rate(self) -> float:
        return self.experiment.method.peak_learning_rate

    def train(self) -> Watch:
        """Take the steps that are left."""
        evaluated = {event["step"] for event in self.past if event["kind"] == "eval"}
        watch = Watch(
            self.log,
            self.evaluate,
            self.stop_requested,
            eval_every=self.training.eval_every,
            evaluated={step for step in evaluated if step <= self.step},
        )
        trainer = GroupedTrainer(
            head_learning_rate=self.training.head_learning_rate,
            model=self.model,
            args=training_arguments(self.experiment, self.learning_rate, self.run.checkpoints),
            train_dataset=self.train_rows,
            data_collator=self.collate,
            callbacks=[watch, self.record_spectra()],
        )
        trainer.remove_callback(PrinterCallback)
        watch.trainer = trainer
        self.tell("running", self.note)
        if self.step < self.steps:
            try:
                trainer.train(resume_from_checkpoint=self.checkpoint and str(self.checkpoint))
            except Interrupted:  # before the first step
                if not watch.diverged:
                    raise
            self.step = trainer.state.global_step
        else:
            load_weights(self.model, self.checkpoint)
        return watch

    def record_spectra(self) -> RecordSpectra:
        recorded = {e["step"] for e in self.past if e["kind"] == "spectrum"}
        recorded = {step for step in recorded if step <= self.step}
        return RecordSpectra(self.log, self.training.spectrum_every, recorded)

    def evaluate(self) -> dict[str, float]:
        lm = self.task.kind == "lm"
        score = evaluation.evaluate_lm if lm else evaluation.evaluate_classification
        size = self.training.batch_size
        return score(self.model, self.eval_rows, self.collate, size, self.poll)

    def diverged(self, watch: Watch) -> Outcome:
        if watch.ruined is not None:
            ruined = checkpoints.place(self.run.checkpoints, watch.ruined)
            shutil.rmtree(ruined, ignore_errors=True)
        self.write_summary("diverged")
        _, good, _ = newest_whole(self.run.checkpoints)
        self.log.append("checkpoint", step=good)
        kept = (
            f"checkpoint {good} is the last good one" if good else "no checkpoint was made before"
        )
        return Outcome(
            "diverged",
            self.step,
            f"{watch.diverged}; {kept}; {advice(self.learning_rate, self.usual_rate)}",
        )

    # ---- finish ----

    def answer(self) -> None:
        """Answer some evaluation rows in full and score the answers."""
        rows = self.task.eval[: self.training.generate_rows]
        if self.task.kind != "lm" or not rows or self.done("generation", self.steps):
            return
        self.tell("running", f"answering {len(rows)} evaluation rows")
        prompts, references = zip(*self.task.prompts(rows, self.tokenizer), strict=True)
        with evaluation.evaluating(self.model):
            outputs = evaluation.generate(
                self.model,
                self.tokenizer,
                list(prompts),
                max_new_tokens=self.training.max_new_tokens,
                size=self.training.batch_size,
                poll=self.poll,
            )
        samples = [
            {"prompt": p, "reference": r, "output": o}
            for p, r, o in zip(prompts, references, outputs, strict=True)
        ]
        scores = metrics.generation_scores(outputs, references)
        self.log.append("generation", step=self.steps, **scores, samples=samples)

    def save_adapter(self) -> None:
        made = self.run.path / "adapter.new"
        shutil.rmtree(made, ignore_errors=True)
        self.model.save_pretrained(str(made))
        described = made / "adapter_config.json"
        base = {"base_model_name_or_path": models.public_base(self.experiment.model)}
        write_json(described, (read_mapping(described) or {}) | base)
        sync_tree(made)
        shutil.rmtree(self.run.adapter, ignore_errors=True)
        made.rename(self.run.adapter)
        sync(self.run.path)

    def write_summary(self, state: str) -> None:
        counted = count_trained(self.model)
        counted["base_parameters"] = self.base_parameters
        rates = {
            "learning_rate": self.learning_rate,
            "head_learning_rate": self.training.head_learning_rate,
        }
        facts = counted | rates | {"state": state}
        write_json(self.run.summary, summarise(self.run, facts))

    def write_card(self) -> None:
        """The model card of the adapter, from the summary."""
        found = read_mapping(self.run.summary)
        made = (
            "quantization",
            "steps",
            "seed",
            "learning_rate",
            "head_learning_rate",
            "trainable_parameters",
            "head_parameters",
        )
        measured = (
            "train_loss",
            "eval_loss_whole_base",
            "eval_loss_start",
            "eval_loss",
            *measures.scores(),
            *measures.recorded("generation"),
        )
        write_card(
            self.run.adapter,
            self.config,
            base_model=self.experiment.model,
            n_labels=len(self.task.labels) or None,
            task=self.experiment.task,
            facts={name: found[name] for name in made if found.get(name) is not None},
            metrics={name: found[name] for name in measured if found.get(name) is not None},
            notes="Losses are in nats a token, of evaluation rows the adapter was not trained on; "
            "`train_loss` is the mean of the last ten steps.",
        )

    # ---- small things ----

    def tell(self, state: str, message: str = "") -> None:
        self.log.append("status", state=state, step=self.step, message=message)

    def notes(self) -> list[str]:
        """What a person should know of the run, from all its lives."""
        events = read_events(self.run.events)[0]
        return [event["message"] for event in events if event["kind"] == "note"]

    def done(self, kind: str, step: int) -> bool:
        """Whether an earlier life, or this one, has measured this already."""
        events = history(read_events(self.run.events)[0])
        return any(event["kind"] == kind and event["step"] == step for event in events)

    def poll(self) -> None:
        if self.stop_requested():
            raise Interrupted


def count_trained(model: torch.nn.Module) -> dict[str, int]:
    """How many numbers the adapter trains, and how many a new classification head does."""
    trained = [(name, p.numel()) for name, p in model.named_parameters() if p.requires_grad]
    head = sum(count for name, count in trained if HEAD in name)
    return {
        "trainable_parameters": sum(count for _, count in trained) - head,
        "head_parameters": head,
    }


def recompute(model: torch.nn.Module) -> None:
    """Recompute activations in the backward pass, by the name this transformers has for it."""
    new = getattr(model, "activation_checkpointing_enable", None)
    (new or model.gradient_checkpointing_enable)({"use_reentrant": False})


def load_weights(model: torch.nn.Module, checkpoint) -> None:
    """Put the adapter of a checkpoint into a model that has an adapter of the same kind."""
    from peft import load_peft_weights, set_peft_model_state_dict

    set_peft_model_state_dict(model, load_peft_weights(str(checkpoint), device="cpu"))


def advice(rate: float, usual: float) -> str:
    """Which learning rate to try after one that diverged: the method's default, or less than that.

    Example:
        >>> advice(100_000.0, usual=0.003)
        "try a learning rate of 0.003, the method's default"
        >>> advice(0.003, usual=0.003)
        'a learning rate below 0.003 may help'
    """
    if rate > usual:
        return f"try a learning rate of {usual:g}, the method's default"
    return f"a learning rate below {rate:g} may help"

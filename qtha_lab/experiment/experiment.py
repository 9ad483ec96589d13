"""Description of a run, `Experiment`, and base class of descriptions with several methods.

Describes, refuses invalid settings, and converts to YAML, Python and a shell command. Runs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import (
    editions,
    notebook,
    plan,
)
from qtha_lab.experiment import (
    method_groups as families,
)
from qtha_lab.experiment import (
    phases as stages,
)
from qtha_lab.experiment import (
    serialisation as equivalents,
)
from qtha_lab.experiment import (
    validation as refusals,
)
from qtha_lab.experiment.method_choice import MethodChoice, Option
from qtha_lab.experiment.model_task_pairs import Cell
from qtha_lab.experiment.scaling import Rule, scaled
from qtha_lab.experiment.search import COMMON
from qtha_lab.experiment.validated_model import Declared

Tracker = Literal["none", "tensorboard", "wandb", "mlflow"]


class Training(Declared):
    """Training settings: steps, batches, optimiser, evaluation, checkpoints and objective."""

    steps: int = Field(default=100, ge=1, description="Optimiser steps.", json_schema_extra=COMMON)
    epochs: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="Passes over the training rows, in place of steps; empty takes steps.",
    )
    batch_size: int = Field(
        default=8, ge=1, description="Rows in one forward pass.", json_schema_extra=COMMON
    )
    gradient_accumulation: int = Field(default=1, ge=1, description="Forward passes in one step.")
    max_length: int = Field(
        default=128,
        ge=8,
        description="Longest row; the rest is cut off.",
        json_schema_extra={"unit": "tokens", **COMMON},
    )
    schedule: Literal["linear", "cosine", "constant"] = Field(
        default="linear", description="Course of the learning rate after the warm-up."
    )
    warmup_fraction: float = Field(
        default=0.1, ge=0, le=1, description="Share of the steps that warm up."
    )
    head_learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Peak learning rate of a new classification head; empty takes the adapter's.",
    )
    rate_ratios: dict[str, Option] = Field(
        default_factory=dict,
        description="Rates of groups of tensors over the learning rate, such as B=16 (LoRA+) or angles=3; groups are A, B, "
        "cores, angles, and other tensors by their names.",
    )
    optimizer: Literal[
        "auto", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "rmsprop", "adagrad"
    ] = Field(default="auto", description="Optimiser of the Trainer; auto is its own, AdamW.")
    weight_decay: float = Field(default=0.0, ge=0, description="Weight decay of AdamW.")
    max_grad_norm: float = Field(
        default=1.0, ge=0, description="Gradients are scaled down to this norm; 0 leaves them."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Number format of the frozen model and of the matrix products.",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Recompute activations in the backward pass: less memory, more time.",
    )
    train_rows: int | None = Field(
        default=None,
        ge=1,
        description="Training rows; empty takes all.",
        json_schema_extra=COMMON,
    )
    eval_rows: int | None = Field(
        default=128,
        ge=1,
        description="Evaluation rows, on which rates and steps may be chosen; empty takes all.",
    )
    test_rows: int | None = Field(
        default=128,
        ge=1,
        description="Test rows, the same for every seed, looked at once at the end; empty takes all.",
    )
    eval_every: int = Field(
        default=25,
        ge=1,
        description="Steps between evaluations.",
        json_schema_extra={"unit": "steps"},
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="Evaluations in a row without an improvement after which training ends early; the adapter of the lowest "
        "evaluation loss is kept. 0 takes all steps and keeps the last.",
    )
    min_improvement: float = Field(
        default=0.0,
        ge=0,
        description="What patience takes for an improvement of the evaluation loss.",
        json_schema_extra={"unit": "nats"},
    )
    checkpoint_every: int = Field(
        default=25,
        ge=1,
        description="Steps between checkpoints.",
        json_schema_extra={"unit": "steps"},
    )
    spectrum_every: int = Field(
        default=10,
        ge=0,
        description="Steps between records of the update's singular values; 0 records none.",
        json_schema_extra={"unit": "steps"},
    )
    generate_rows: int = Field(
        default=16, ge=0, description="Evaluation rows answered in full at the end; 0 skips it."
    )
    max_new_tokens: int = Field(
        default=32,
        ge=1,
        description="Longest generated answer.",
        json_schema_extra={"unit": "tokens"},
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="CPU threads of the run; empty takes its share of the cores, and those that are free beside it where results "
        "are the same bits for any number: on Intel's processors, in float32 with no quantised base. On others, AMD's too, "
        "nobody promises that.",
    )
    processes: int = Field(
        default=1,
        ge=1,
        description="Processes that share the rows of every batch and the threads; losses are those of one, up to rounding.",
    )

    @field_validator("rate_ratios")
    @classmethod
    def _ratios_above_zero(cls, ratios: dict[str, Any]) -> dict[str, Any]:
        for name, ratio in ratios.items():
            if isinstance(ratio, bool) or not isinstance(ratio, int | float) or ratio <= 0:
                raise Refusal(
                    f"a ratio of rates must be a number above 0, not {name}={ratio!r:.40}"
                )
        return ratios

    objective: Literal["likelihood", "reward"] = Field(
        default="likelihood",
        description="What is raised: the likelihood of the reference answers, or the mean reward of answers that the model "
        "samples (REINFORCE).",
    )
    reward: Literal["rouge1", "rouge2", "rougeL"] = Field(
        default="rougeL",
        description="What a sampled answer earns, held against its reference, from 0 to 1.",
    )
    reward_samples: int = Field(
        default=4,
        ge=2,
        description="Answers sampled to every prompt; each is held against the mean reward of the others.",
        json_schema_extra={"unit": "answers"},
    )
    teacher: str = Field(
        default="",
        description="Run that this one learns from, by its id or folder: finished, of the same model and task; empty is "
        "none.",
    )
    distil: Literal["logits", "delta"] = Field(
        default="logits",
        description="What is learnt of the teacher: its logits beside the labels, or the change that it makes at each "
        "adapted layer.",
    )
    distil_weight: float = Field(
        default=0.5, ge=0, le=1, description="Share of the loss that follows the teacher's logits."
    )
    distil_temperature: float = Field(
        default=2.0, gt=0, description="Both logits are divided by it before they are compared."
    )
    stages: str = Field(
        default="",
        description="Stages one after the other, each with its steps, the groups of tensors that it trains and parts of "
        "the method that it leaves out, such as linear(steps=50,use_circuit=false),all(steps=50,train=[W_q,angles,B]); "
        "empty is one stage.",
    )

    @field_validator("stages", mode="before")
    @classmethod
    def _stages_in_one_text(cls, value: Any) -> Any:
        """Convert a list of mappings, as a YAML file may hold, to the text form."""
        listed = isinstance(value, list) and all(isinstance(part, dict) for part in value)
        return stages.written(value) if listed or isinstance(value, str) else value

    @model_validator(mode="after")
    def _stages_add_up(self) -> Self:
        stages.check_steps(self.stages, self.steps)
        return self

    @property
    def asked(self) -> Training:
        """Copy of the settings without the steps that were computed from epochs."""
        steps = Training.model_fields["steps"].default
        return self if self.epochs is None else self.replace(steps=steps)

    @property
    def rows_at_once(self) -> int:
        """Number of rows in one forward and backward pass.

        The rows of a batch, or the answers sampled for them with objective "reward".
        """
        return self.batch_size * (self.reward_samples if self.objective == "reward" else 1)

    nudge: int = Field(
        default=0,
        ge=0,
        description="Number of a repeat whose start is moved by one unit in the last place, so that what rounding makes "
        "of a result is known; 0 moves nothing.",
    )
    share: str = Field(
        default="",
        description="Part of the training rows, as one client of a federation has it: 3/8, or 3/8 dirichlet(0.3); empty takes "
        "all.",
    )

    @field_validator("share")
    @classmethod
    def _share_of_rows(cls, share: str) -> str:
        if share:
            from qtha_lab.tasks.client_shards import ClientShare

            ClientShare.parse(share)
        return share

    report_to: Tracker = Field(
        default="none",
        description="Also write the curves for this program; tensorboard's lie in the run's folder.",
    )


class _Description(Declared):
    """Common fields of experiments and of descriptions with several methods."""

    model: str = Field(
        default="tiny",
        min_length=1,
        description="Base model: a name, a folder or a hub id.",
        json_schema_extra=COMMON,
    )
    quantization: str = Field(
        default="none",
        min_length=1,
        description="Bits of the frozen base, adapters on top: none, int8 or int4 are stored so; "
        "round(w=3,g=64), learned(w=3), outliers(w=4), rotated(w=4,a=4,kv=4) are fake-quantised, no memory is saved.",
    )
    head: str = Field(
        default="",
        description="What reads the model where a task has classes: linear, mlp(hidden=32), circuit(n=4), fidelity(n=4), "
        "lstm(hidden=16), qlstm(n=4), all at the same loss at the start; empty is the model's own linear layer, drawn.",
    )
    task: str = Field(
        default="qa",
        min_length=1,
        description="Task: a name, a .jsonl file or a data set id.",
        json_schema_extra=COMMON,
    )
    task_options: dict[str, Option] = Field(
        default_factory=dict, description="Settings of the task that differ from its defaults."
    )
    plugins: list[str] = Field(
        default_factory=list,
        description="Python files or modules with methods, ansätze or tasks of your own; they run with your rights.",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_the_present_edition(cls, fields: Any) -> Any:
        """Accept an `edition` beside the fields and convert older defaults."""
        if not isinstance(fields, dict) or "edition" not in fields:
            return fields
        fields = dict(fields)
        edition = editions.checked(fields.pop("edition"))
        return fields if edition == editions.EDITION else cls._older(fields, edition)

    @classmethod
    def _older(cls, fields: dict, edition: int) -> dict:
        (name,) = {"method", "methods"} & cls.model_fields.keys()
        value = fields.get(name) or cls.model_fields[name].get_default(call_default_factory=True)

        def present(value: Any) -> Any:
            choice = MethodChoice.of(value)
            known = isinstance(choice, MethodChoice)  # the field's validation refuses the rest
            return editions.as_meant(choice, edition) if known else value

        if name == "method":
            return fields | {name: present(value)}
        methods = calls.split_list(value) if isinstance(value, str) else value
        if edition < editions.SCALED:
            fields = {"scaling": "as_given"} | fields
        listed = isinstance(methods, list | tuple)
        return fields | {name: [present(method) for method in methods] if listed else methods}

    def to_yaml(self) -> str:
        """Convert the description to YAML without default values; `from_yaml` reads it."""
        return equivalents.to_yaml(self)

    @classmethod
    def from_yaml(cls, source: str | Path) -> Self:
        """Read YAML text, or the file at a path.

        Raises:
            Refusal: If the text is not a mapping or a field is wrong; names the file and line.
        """
        return equivalents.read_yaml(cls, source)

    def to_python(self) -> str:
        """Generate the Python code that creates this description and starts it."""
        return equivalents.to_python(self)

    def to_notebook(self) -> str:
        """Generate a notebook that runs it and shows the results, as .ipynb text."""
        return notebook.to_notebook(self)

    def to_command(self) -> str:
        """Generate the shell command that runs this description.

        `qtha-lab` parses the command to the same description.
        """
        return equivalents.to_command(self)


class Experiment(_Description):
    """One fine-tune: a model, a task, a method and a seed.

    Example:
        >>> Experiment(method="lora(r=4)", training={"steps": 20}).to_command()
        "qtha-lab run --method 'lora(r=4)' --steps 20"
    """

    method: MethodChoice = Field(default_factory=MethodChoice, description="Fine-tuning method.")
    training: Training = Field(default_factory=Training, description="The course of the training.")
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="Seed of the adapter's start and of the row order.",
    )
    name: str = Field(default="", description="A name of your own, shown beside the run.")

    if TYPE_CHECKING:  # accepted types; the fields above give the stored types

        def __init__(
            self,
            *,
            model: str = ...,
            quantization: str = ...,
            head: str = ...,
            task: str = ...,
            task_options: dict[str, Any] = ...,
            plugins: list[str] = ...,
            method: MethodChoice | dict[str, Any] | str = ...,
            training: Training | dict[str, Any] = ...,
            seed: int = ...,
            name: str = ...,
            edition: int = ...,
        ) -> None: ...

    @property
    def cell(self) -> Cell:
        """Pair of model and task, on which methods are compared."""
        return Cell(self.model, self.task, calls.write_options(self.task_options))

    @field_validator("method", mode="before")
    @classmethod
    def _method_from_text(cls, value: Any) -> Any:
        return MethodChoice.parse(value) if isinstance(value, str) else value

    def as_recorded(self) -> Experiment:
        """Return the experiment as a run records it.

        The steps of its epochs and the size of its method are stored as numbers.
        """
        return plan.resolve(self).as_recorded()

    def check(self, runs_dir: Path | None = None) -> None:
        """Refuse everything that can be refused before a weight is loaded.

        Raises:
            Refusal: With the rule and the value.
        """
        refusals.check(plan.resolve(self), runs_dir)


class MethodsAndSeeds(_Description):
    """Common fields of comparisons, sweeps and federations: several methods and seeds."""

    methods: list[MethodChoice] = Field(
        default_factory=lambda: [MethodChoice(name="lora"), MethodChoice(name="qtha")],
        min_length=1,
        description=(
            "Fine-tuning methods; 'all' is every one, 'qtha(r=4)+controls' one with its controls."
        ),
    )
    seeds: list[int] = Field(
        default_factory=lambda: [0],
        min_length=1,
        description="Every method is trained once with each seed, such as 0, 1, 2.",
        json_schema_extra=COMMON,
    )
    training: Training = Field(default_factory=Training, description="The course of the training.")
    scaling: Rule = Field(
        default="2r",
        description="Scale of every method whose options leave alpha open: alpha = 2 r for all, or each method's default.",
    )

    @model_validator(mode="before")
    @classmethod
    def _methods_from_text(cls, fields: Any) -> Any:
        methods = fields.get("methods") if isinstance(fields, dict) else None
        values = calls.split_list(methods) if isinstance(methods, str) else methods
        if not isinstance(values, list | tuple):
            return fields
        model = fields.get("model", cls.model_fields["model"].default)
        if not isinstance(model, str):
            return fields
        if any(isinstance(v, str) and families.is_family(v) for v in values):
            values = families.write_out(list(values), model)
        parsed = [MethodChoice.parse(v) if isinstance(v, str) else v for v in values]
        return {**fields, "methods": parsed}

    def scaled_methods(self) -> list[MethodChoice]:
        """Return the methods with the scale of the rule; imports their plugins."""
        from qtha_lab.core.plugin_loading import load_plugins

        load_plugins(self.plugins)
        return [scaled(method, self.scaling) for method in self.methods]

    @field_validator("methods", "seeds")
    @classmethod
    def _no_repetition(cls, value: list) -> list:
        names: dict[Any, Any] = {}
        for choice in value:
            meaning, name = (
                (choice.meaning, choice.label)
                if isinstance(choice, MethodChoice)
                else (choice, choice)
            )
            if meaning in names:
                same = f": it is the same as {names[meaning]}" if name != names[meaning] else ""
                raise Refusal(f"{name} is given twice{same}")
            names[meaning] = name
        titles = [c.title for c in value if isinstance(c, MethodChoice) and c.title]
        for number, title in enumerate(titles):
            if title in titles[:number]:
                raise Refusal(f"title {title!r} is given to two methods: each needs its own")
        return value

"""Fields that several descriptions share: model, task, training, methods and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import method_choice, serialisation
from qtha_lab.experiment.axes import COMMON
from qtha_lab.experiment.method_choice import MethodChoice, Option, Scaling, scaled
from qtha_lab.experiment.method_list import options_of
from qtha_lab.experiment.training import Training
from qtha_lab.experiment.validated_model import Declared, FieldError


@dataclass(frozen=True)
class ModelTask:
    """Pair of base model and task.

    Attributes:
        model: Name, folder or hub id of the base model.
        task: Name, file or id of the task.
        options: Options of the task, as a call writes them.

    Example:
        >>> ModelTask.read("tiny", "chat(turns=2)").task_options
        {'turns': 2}
        >>> str(ModelTask("tiny", "qa"))
        'tiny, qa'
    """

    model: str
    task: str
    options: str = ""

    def __str__(self) -> str:
        return f"{self.model}, {self.task_with_options}"

    @property
    def task_with_options(self) -> str:
        """Task with its options, in a form that `read` can parse."""
        return f"{self.task}({self.options})" if self.options else self.task

    @classmethod
    def read(cls, model: str, task: str) -> ModelTask:
        """Create the pair of a model and a task, whose options may follow its name."""
        if not task.endswith(")"):
            return cls(model, task)
        name, _, options = task.removesuffix(")").partition("(")
        return cls(model, name, call_syntax.write_options(call_syntax.parse_options(options)))

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> ModelTask:
        """Create the pair of a run, contender or claim in a summary."""
        options = call_syntax.write_options(fields.get("task_options") or {})
        return cls(fields.get("model", ""), fields.get("task", ""), options)

    @property
    def task_options(self) -> dict[str, Any]:
        """Options of the task by name."""
        return call_syntax.parse_options(self.options)

    @property
    def fields(self) -> dict[str, Any]:
        """Experiment fields of this pair."""
        return {"model": self.model, "task": self.task, "task_options": self.task_options}


Record = dict[str, Any]


def by_model_task(records: Iterable[Record]) -> dict[ModelTask, list[Record]]:
    """Group contenders or claims by pair, in order of first occurrence."""
    model_tasks: dict[ModelTask, list[Record]] = {}
    for record in records:
        model_tasks.setdefault(ModelTask.of(record), []).append(record)
    return model_tasks


def name_in(words: str, model_task: ModelTask, model_tasks: int) -> str:
    """Append the name of a pair to a text if there are several pairs.

    Example:
        >>> name_in("lora(r=2)", ModelTask("tiny", "qa"), model_tasks=2)
        'lora(r=2) on tiny, qa'
    """
    return f"{words} on {model_task}" if model_tasks > 1 else words


class StoredDescription(Declared, init=False):
    """Description of a run or study, stored as YAML."""

    def run(self, folder: Path | str | None = None, *, check: bool = True) -> Any:
        """Start the described run or study and return at once; see `qtha_lab.launch`."""
        import qtha_lab

        described: Any = self  # of a kind that can be launched
        return qtha_lab.launch(described, folder, check=check)

    def to_yaml(self) -> str:
        """Convert the description to YAML without default values; `from_yaml` reads it."""
        return serialisation.to_yaml(self)

    @classmethod
    def from_yaml(cls, source: str | Path, *, links: bool = True) -> Self:
        """Read YAML text, or the file at a path.

        A path must not be a link if `links` is false, as in folders of runs.

        Raises:
            Refusal: If the text is not a mapping or a field is wrong; names the file and line.
        """
        return serialisation.read_yaml(cls, source, links=links)


class Description(StoredDescription, init=False):
    """Common fields of experiments and of descriptions with several methods."""

    model: str = Field(default="tiny", min_length=1, json_schema_extra=COMMON)
    """Base model: a name, a folder or a hub id."""
    quantization: str = Field(default="none", min_length=1)
    """Weight quantisation of the frozen base: none, stored int8 or int4, or simulated, such as
    round(w=3,g=64), learned(w=3), outliers(w=4) or rotated(w=4,a=4,kv=4), which saves no memory."""
    head: str = ""
    """Classification head: linear, mlp(hidden=32), circuit(n=4), fidelity(n=4), lstm(hidden=16) or
    qlstm(n=4), all with the same initial loss. Empty is the model's linear layer with random
    weights."""
    task: str = Field(default="qa", min_length=1, json_schema_extra=COMMON)
    """Task: a name, a file, a folder or a data set id."""
    task_options: dict[str, Option] = Field(default_factory=dict)
    """Settings of the task that differ from its defaults."""
    plugins: list[str] = Field(default_factory=list)
    """Python files or modules with your own methods, ansätze or tasks; they run with your
    rights."""

    @model_validator(mode="before")
    @classmethod
    def _training_by_flat_names(cls, fields: Any) -> Any:
        """Accept the settings of the training, such as `steps=5`, beside the own fields."""
        if not isinstance(fields, dict):
            return fields
        names = Training.known_names() - cls.model_fields.keys()
        flat = {name: value for name, value in fields.items() if name in names}
        if not flat:
            return fields
        fields = {name: value for name, value in fields.items() if name not in flat}
        stated = fields.get("training", {})
        if isinstance(stated, Training):
            stated = {name: getattr(stated, name) for name in stated.model_fields_set}
        if isinstance(stated, dict):
            for name in flat.keys() & stated.keys():
                if flat[name] != stated[name]:
                    raise FieldError(
                        f"{name} must be given once, got {flat[name]!r:.60} and "
                        f"training.{name}={stated[name]!r:.60}.",
                        name,
                    )
            fields["training"] = stated | flat
        return fields

    @property
    def shared_fields(self) -> dict[str, Any]:
        """Model, head, task and plugins of every kind of description."""
        return {name: getattr(self, name) for name in Description.model_fields}

    @classmethod
    def known_names(cls) -> set[str]:
        """Return the names of the fields and of the settings of the training."""
        return super().known_names() | Training.known_names()

    def to_python(self) -> str:
        """Generate the Python code that creates this description and starts it."""
        return serialisation.to_python(self)

    def to_notebook(self) -> str:
        """Generate a notebook that runs it and shows the results, as .ipynb text."""
        return serialisation.to_notebook(self)

    def to_command(self) -> str:
        """Generate the shell command that runs this description.

        `qtha-lab` parses the command to the same description.
        """
        return serialisation.to_command(self)


class RunDescription(Description, init=False):
    """Fields of a run; `qtha_lab.experiment.Experiment` also checks and records them."""

    method: MethodChoice = Field(default_factory=MethodChoice)
    """Fine-tuning method."""
    training: Training = Field(default_factory=Training)
    """Training settings."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seed of the adapter's initialisation and of the row order."""
    name: str = ""
    """Display name of the run."""

    @property
    def model_task(self) -> ModelTask:
        """Pair of model and task, on which methods are compared."""
        return ModelTask(self.model, self.task, call_syntax.write_options(self.task_options))

    @model_validator(mode="before")
    @classmethod
    def _settings_of_the_method(cls, fields: Any) -> Any:
        """Accept `learning_rate` and `target_modules` of the method beside the own fields."""
        if not isinstance(fields, dict):
            return fields
        placed = {n: fields[n] for n in ("learning_rate", "target_modules") if n in fields}
        fields = {name: value for name, value in fields.items() if name not in placed}
        stated = fields.get("method", MethodChoice())
        others = fields.keys() - cls.known_names()
        if not (placed or others) or not isinstance(stated, str | dict | MethodChoice):
            return fields
        method = MethodChoice.of(stated)
        for name in others:
            if name in options_of(method.name):
                value = call_syntax.write_value(fields[name])
                raise FieldError(
                    f"{name} must be among the options of the method, got it beside them. "
                    f"Write method='{method.name}({name}={value})'.",
                    name,
                )
        return fields | ({"method": method.replace(**placed)} if placed else {})

    @field_validator("method", mode="before")
    @classmethod
    def _method_from_text(cls, value: Any) -> Any:
        return MethodChoice.parse(value) if isinstance(value, str) else value


class MethodsAndSeeds(Description, init=False):
    """Common fields of comparisons, sweeps and federations: several methods and seeds."""

    methods: list[MethodChoice] = Field(
        default_factory=lambda: [MethodChoice(name="lora"), MethodChoice(name="qtha")], min_length=1
    )
    """Fine-tuning methods; 'all' is every one, 'qtha(r=4)+controls' one with its controls."""
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1, json_schema_extra=COMMON)
    """Every method is trained once with each seed, such as 0, 1, 2."""
    training: Training = Field(default_factory=Training)
    """Training settings."""
    scaling: Scaling = "2r"
    """Scale of every method without a chosen alpha: alpha = 2 r, or the method's default."""

    @model_validator(mode="before")
    @classmethod
    def _methods_from_text(cls, fields: Any) -> Any:
        methods = fields.get("methods") if isinstance(fields, dict) else None
        values = call_syntax.split_list(methods) if isinstance(methods, str) else methods
        if not isinstance(values, list | tuple):
            return fields
        model = fields.get("model", cls.model_fields["model"].default)
        if not isinstance(model, str):
            return fields
        if any(isinstance(v, str) and method_choice.is_family(v) for v in values):
            values = method_choice.write_out(list(values), model)
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
                same = f" (the same as {names[meaning]})" if name != names[meaning] else ""
                raise Refusal(f"Entries must differ, got {name} twice{same}. Remove one.")
            names[meaning] = name
        titles = [c.title for c in value if isinstance(c, MethodChoice) and c.title]
        for number, title in enumerate(titles):
            if title in titles[:number]:
                raise Refusal(f"Methods must have different titles, got {title!r} twice.")
        return value

"""Training objectives, the flat names of their settings, and the teacher of a distillation.

Reads and writes their text form; `qtha_lab.training.schedules` executes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import AliasChoices, AliasGenerator, ConfigDict, Field

from qtha_lab.core import call_syntax, paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting, setting_of_field, unknown
from qtha_lab.experiment.method_choice import Option
from qtha_lab.experiment.serialisation import is_arm
from qtha_lab.experiment.validated_model import Declared, FieldError

if TYPE_CHECKING:
    from qtha_lab.experiment.description import RunDescription


FLAT_NAMES = {
    "target": "distil",
    "weight": "distil_weight",
    "temperature": "distil_temperature",
    "samples": "reward_samples",
    "beta": "preference_beta",
}


def _flat_name(name: str) -> str:
    return FLAT_NAMES.get(name, name)


class ObjectiveSettings(Declared):
    """Settings of an objective, accepted under their own names and their flat names."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(
            validation_alias=lambda name: AliasChoices(name, _flat_name(name)),
            serialization_alias=_flat_name,
        )
    )
    kind: ClassVar[str]

    @classmethod
    def flat_settings(cls) -> dict[str, Setting]:
        """Return the declared settings by their flat names."""
        fields = {_flat_name(name): field for name, field in cls.model_fields.items()}
        return {name: setting_of_field(name, field) for name, field in fields.items()}

    def flat_values(self) -> dict[str, Any]:
        """Return the values of the settings by their flat names."""
        return self.model_dump(by_alias=True)


class Supervised(ObjectiveSettings):
    """Likelihood of the reference answers or labels."""

    kind: ClassVar[str] = "supervised"


class Distillation(ObjectiveSettings):
    """Loss that follows a frozen teacher, the run of an earlier training.

    Example:
        >>> Distillation(teacher="20261124-153012-tiny-qa-lora-s0-1a2b").target
        'logits'
    """

    kind: ClassVar[str] = "distillation"

    teacher: str = Field(min_length=1)
    """Teacher of a distillation: id or folder of a finished run with the same model and task."""
    target: Literal["logits", "delta"] = "logits"
    """Target of the distillation: the teacher's logits beside the labels, or its output change at
    each adapted layer."""
    weight: float = Field(default=0.5, ge=0, le=1)
    """Share of the loss that follows the teacher's logits."""
    temperature: float = Field(default=2.0, gt=0)
    """Divisor of both logits before they are compared."""


class Reinforce(ObjectiveSettings):
    """Mean reward of sampled answers, raised by REINFORCE."""

    kind: ClassVar[str] = "reinforce"

    reward: Literal["rouge1", "rouge2", "rougeL"] = "rougeL"
    """Reward of a sampled answer against its reference, from 0 to 1."""
    samples: int = Field(default=4, ge=2, json_schema_extra={"unit": "answers"})
    """Answers sampled per prompt. The baseline of each is the mean reward of the others."""


class Preference(ObjectiveSettings):
    """Preferred answers made more likely than rejected ones, relative to the base model (DPO)."""

    kind: ClassVar[str] = "preference"

    beta: float = Field(default=0.1, gt=0)
    """Factor of the log-likelihood ratio between chosen and rejected answers; small values allow a
    larger distance from the base model."""


Objective = Supervised | Distillation | Reinforce | Preference
OBJECTIVES: dict[str, type[ObjectiveSettings]] = {
    kind.kind: kind for kind in (Supervised, Distillation, Reinforce, Preference)
}
OF_OBJECTIVES: dict[str, type[ObjectiveSettings]] = {
    name: kind for kind in OBJECTIVES.values() for name in kind.flat_settings()
}


def objective_of(stated: Any, flat: Mapping[str, Any]) -> Any:
    """Return the objective of a stated one and of settings with flat names.

    Raises:
        Refusal: If a setting is given twice, or belongs to another objective.

    Example:
        >>> objective_of("reinforce(samples=8)", {"reward": "rouge1"})
        Reinforce(reward='rouge1', samples=8)
    """
    if stated is None:
        stated = Distillation.kind if flat.get("teacher") else Supervised.kind
    if isinstance(stated, str):
        name, options = call_syntax.parse_call(stated, "objective")
        if name not in OBJECTIVES:
            raise unknown("objective", name, OBJECTIVES)
        kind, settings = OBJECTIVES[name], options
    elif isinstance(stated, ObjectiveSettings):
        kind = type(stated)
        settings = {name: getattr(stated, name) for name in stated.model_fields_set}
    else:
        return stated  # refused by the type of the field
    settings = {_flat_name(name): value for name, value in settings.items()}
    for name, value in flat.items():
        if OF_OBJECTIVES[name] is kind:
            if settings.setdefault(name, value) != value:
                raise FieldError(
                    f"{name} must be given once, got {settings[name]!r:.60} and {value!r:.60}.",
                    name,
                )
        elif value != default_of(name):
            raise FieldError(
                f"{name} must be set with objective={OF_OBJECTIVES[name].kind}, got "
                f"objective={kind.kind}.",
                name,
            )
    return kind(**settings)


def default_of(name: str) -> Any:
    """Return the default of an objective's setting; "" for the required teacher."""
    default = OF_OBJECTIVES[name].flat_settings()[name].default
    return "" if default is None else default


SAME = ("model", "quantization", "task", "task_options")


def teacher_folder(teacher: str) -> Path:
    """Return the directory of a run from its id or path.

    Raises:
        Refusal: If there is no such run.

    Example:
        >>> teacher_folder("missing")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: teacher must be a run in ..., got 'missing'.
    """
    for folder in (paths.as_path(teacher), paths.runs_dir() / teacher):
        if (folder / "experiment.yaml").is_file():
            return folder.resolve()
    raise Refusal(
        f"teacher must be a run in {paths.runs_dir()} or the folder of a run, got {teacher!r:.80}."
    )


def check_teacher(experiment: RunDescription) -> None:
    """Refuse a teacher that does not fit the experiment.

    Raises:
        Refusal: If there is no such run, it has no adapter, or its model, task or layers differ.
    """
    objective = experiment.training.objective
    if not isinstance(objective, Distillation):
        return
    folder = teacher_folder(objective.teacher)
    if is_arm(folder / "experiment.yaml"):
        raise Refusal(
            f"teacher must adapt a language model, got {folder.name}, an arm of a reproduction."
        )
    described = type(experiment).from_yaml(folder / "experiment.yaml", links=False)
    for name in SAME:
        theirs, ours = getattr(described, name), getattr(experiment, name)
        if theirs != ours:
            raise Refusal(
                f"teacher must have {name}={ours!r:.60}, got {theirs!r:.60} in {folder.name}."
            )
    if not (folder / "adapter" / "adapter_config.json").is_file():
        raise Refusal(
            f"teacher must have an adapter, got {folder.name} without. Let it finish first."
        )
    layers = described.method.target_modules, experiment.method.target_modules
    if objective.target == "delta" and layers[0] != layers[1]:
        raise Refusal(
            f"distil=delta must have the teacher's layers, {_listed(layers[0])}, "
            f"got {_listed(layers[1])}."
        )


def _listed(layers: list[str] | None) -> str:
    return ", ".join(layers) if layers else "the model's usual ones"


class Phase(Declared):
    """One training phase.

    Example:
        >>> Phase(name="linear", steps=50, options={"use_circuit": False}).text
        'linear(steps=50,use_circuit=false)'
    """

    name: str = ""
    """Name in the log; empty is phase1, phase2, …"""
    steps: int = Field(ge=1)
    """Optimiser steps."""
    train: list[str] | None = Field(default=None, min_length=1)
    """Trained groups of tensors; empty trains all."""
    options: dict[str, Option] = Field(default_factory=dict)
    """Method settings of this phase, such as use_circuit."""

    @property
    def text(self) -> str:
        """Text form that `parse_phases` reads."""
        trained = {} if self.train is None else {"train": self.train}
        return call_syntax.call(self.name, {"steps": self.steps, **trained, **self.options})


def parse_phases(text: str) -> list[Phase]:
    """Parse phases such as `linear(steps=50,use_circuit=false),all(steps=50,train=[W_q,B])`.

    Raises:
        Refusal: If a phase has no steps or trains nothing.
    """
    return [_parse_phase(part) for part in call_syntax.split_list(text)]


def _parse_phase(text: str) -> Phase:
    name, options = call_syntax.parse_call(text, "phase")
    stated = {key: options.pop(key) for key in ("steps", "train") if key in options}
    if "train" in stated and not isinstance(stated["train"], list):
        stated["train"] = [stated["train"]]
    if "train" in stated:
        stated["train"] = list(map(str, stated["train"]))
    try:
        return Phase(name=name, options=options, **stated)
    except FieldError as refused:
        raise refused.inside(name) from None


def phases_text(phases: Sequence[Phase]) -> str:
    """Return the text form of phases."""
    return ",".join(phase.text for phase in phases)


def named_phases(phases: str | Sequence[Phase | Mapping[str, Any]]) -> list[Phase]:
    """Return phases with names, from their text form or a list.

    Raises:
        Refusal: If two phases have the same name.

    Example:
        >>> phases_text(named_phases([{"steps": 5}, Phase(steps=5, train=["B"])]))
        'phase1(steps=5),phase2(steps=5,train=[B])'
    """
    if isinstance(phases, str):
        phases = parse_phases(phases)
    listed: list[Phase] = []
    for number, phase in enumerate(phases, 1):
        phase = phase if isinstance(phase, Phase) else Phase(**phase)
        listed.append(phase if phase.name else phase.replace(name=f"phase{number}"))
    names = [phase.name for phase in listed]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise Refusal(f"phases must have different names, got {name} twice.")
    return listed

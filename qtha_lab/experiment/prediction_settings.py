"""Settings of predictions with an adapter: kind of output, names, unit and encoding.

Saved as `prediction.json` beside the weights, so that a folder predicts without its training data.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_json, write_json
from qtha_lab.experiment.validated_model import Declared

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from qtha_lab.experiment.plan import Plan

FILE = "prediction.json"
NUMBER = "number"  # name of a regression's output where no column names it


class PredictionSettings(Declared):
    """Settings of predictions with a trained adapter or a merged model."""

    kind: Literal["lm", "text", "classification", "regression", "preference"]
    head: Literal["causal-lm", "seq2seq", "classification"]
    model: str
    labels: list[str] = Field(default_factory=list)
    scale: list[float] = Field(default_factory=lambda: [0.0, 1.0], min_length=2, max_length=2)
    shape: str = ""
    columns: dict[str, str] = Field(default_factory=dict)
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    quantization: str = "none"
    max_length: int = Field(default=256, ge=1)
    max_new_tokens: int = Field(default=32, ge=1)

    @classmethod
    def of(cls, plan: Plan) -> PredictionSettings:
        """Return the settings of an experiment, without the path of its base."""
        from qtha_lab.models import public_name

        experiment, task = plan.experiment, plan.task
        return cls(
            kind=task.kind,
            head=plan.head,
            model=public_name(experiment.model),
            labels=list(map(str, task.labels)),
            scale=list(task.scale),
            shape=task.shape,
            columns=dict(task.columns),
            seed=experiment.seed,
            precision=experiment.training.precision,
            quantization=experiment.quantization,
            max_length=experiment.training.max_length,
            max_new_tokens=experiment.training.evaluation.max_new_tokens,
        )

    @classmethod
    def read(cls, folder: Path) -> PredictionSettings:
        """Read the settings in a folder of an adapter or a merged model.

        Raises:
            FileNotFoundError: If there are none.
            Refusal: If the file is damaged or has unknown settings.
        """
        from qtha_lab.tasks.unlabelled import UnlabelledReader

        try:
            value = read_json(folder / FILE)
            if not isinstance(value, dict):
                raise Refusal("It must hold a JSON object, got another value.")
            settings = cls(**value)
            if settings.kind == "regression":
                _ = [*map(float, settings.labels)]
            UnlabelledReader(settings.kind, settings.shape, settings.columns)
            return settings
        except FileNotFoundError:
            raise
        except ValueError as problem:  # a Refusal, or a label that is no number
            raise Refusal(f"{FILE} cannot be read: {problem} Export the run again.") from None

    @property
    def n_labels(self) -> int | None:
        """Outputs of the classification head; None for a model that generates text."""
        if self.head != "classification":
            return None
        return 1 if self.kind == "regression" else len(self.labels)

    @property
    def output_names(self) -> list[str]:
        """Names of the head's outputs: the classes, or the column of the numbers."""
        if self.kind == "regression":
            return [self.columns.get("label", NUMBER)]
        return self.labels

    def name_outputs(self, config: PreTrainedConfig) -> None:
        """Set the class names of a model's config, which `transformers.pipeline` returns."""
        if self.head == "classification":
            config.id2label = dict(enumerate(self.output_names))
            config.label2id = {name: place for place, name in config.id2label.items()}

    def save(
        self, folder: Path, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        """Write the settings, the named outputs of the model's config, and its tokenizer.

        Args:
            folder: Folder of the adapter.
            config: Config of the base model, with its head.
            tokenizer: Tokenizer of the base model.
        """
        write_json(folder / FILE, self.model_dump())
        tokenizer.save_pretrained(str(folder))
        if self.head == "classification":
            named = copy.deepcopy(config)
            self.name_outputs(named)
            vars(named).pop("quantization_config", None)  # of the loaded weights alone
            named.save_pretrained(str(folder))

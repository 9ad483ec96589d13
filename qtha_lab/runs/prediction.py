"""Predictions of a trained adapter or a merged model: labels, numbers or answers.

Requires the folder and the base model only, neither the run nor its data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.experiment.prediction_settings import FILE, PredictionSettings
from qtha_lab.runs.trained_model import adapter_of, load_base, plan_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from qtha_lab.experiment.run_directory import RunDir
    from qtha_lab.tasks.unlabelled import UnlabelledReader

BATCH = 16
Row = str | Sequence[str] | Mapping[str, Any]
Prediction = dict[str, Any]


@dataclass(frozen=True)
class Predictor:
    """A model in evaluation mode with the settings of its predictions.

    Attributes:
        settings: Kind of output, names, unit and encoding.
        model: The base with the adapter, or the merged model.
        tokenizer: Its tokenizer.
    """

    settings: PredictionSettings
    model: Any
    tokenizer: PreTrainedTokenizerBase

    @property
    def reader(self) -> UnlabelledReader:
        """Reader of rows in the shape of the training rows."""
        from qtha_lab.tasks.unlabelled import UnlabelledReader

        settings = self.settings
        return UnlabelledReader(settings.kind, settings.shape, settings.columns)

    def predict(self, rows: Sequence[Row]) -> list[Prediction]:
        """Predict rows, each by itself.

        Args:
            rows: Texts, pairs of texts, or records by the columns of the training rows.

        Returns:
            One mapping per row: "label", "probability" and "probabilities" of classes, "number" of
            a regression with "label" where labels are ordered, or "answer".

        Raises:
            Refusal: If a row lacks a text, or the model was trained on plain text.
        """
        if isinstance(rows, str):
            raise Refusal(f"rows must be a list of texts, got the text {shortened(rows, 60)!r}.")
        if self.settings.kind == "text":
            raise Refusal(
                "A predicted task must have labels, numbers or answers, got plain text. Use "
                "`qtha-lab chat`."
            )
        read = [self.reader.row(row) for row in rows]
        if not read:
            return []
        if self.settings.head != "classification":
            return [{"answer": answer} for answer in self._answers(read)]
        named = self._number if self.settings.kind == "regression" else self._label
        return [named(logits) for logits in self._logits(read)]

    def _answers(self, rows: list[dict]) -> list[str]:
        from qtha_lab.tasks.messages import render
        from qtha_lab.tasks.task import asked_and_answer
        from qtha_lab.training.evaluation import evaluating, generate

        messages = [asked_and_answer(row)[0] for row in rows]
        prompts = [render(asked, self.tokenizer, generate=True) for asked in messages]
        longest = self.settings.max_new_tokens
        with evaluating(self.model):
            return generate(self.model, self.tokenizer, prompts, max_new_tokens=longest, size=BATCH)

    def _logits(self, rows: list[dict]) -> list[list[float]]:
        """Compute the head's outputs, (rows, outputs)."""
        from qtha_lab.tasks import collate
        from qtha_lab.tasks.task import encode_inputs
        from qtha_lab.training.evaluation import by_length, evaluating

        decodes = bool(getattr(self.model.config, "is_encoder_decoder", False))
        encoded = encode_inputs(rows, self.tokenizer, self.settings.max_length, decodes)
        join, logits = collate(self.tokenizer), [[0.0]] * len(rows)
        with evaluating(self.model):
            for places in by_length([len(row["input_ids"]) for row in encoded], BATCH):
                batch = join([encoded[place] | {"labels": 0} for place in places])
                del batch["labels"]
                device = next(self.model.parameters()).device
                outputs = self.model(**{name: t.to(device) for name, t in batch.items()}).logits
                for place, row in zip(places, outputs.float().tolist(), strict=True):
                    logits[place] = row
        return logits

    def _label(self, logits: list[float]) -> Prediction:
        import torch

        shares = torch.tensor(logits, dtype=torch.float64).softmax(0).tolist()
        probabilities = dict(zip(self.settings.labels, shares, strict=True))
        label = max(probabilities, key=probabilities.__getitem__)
        return {
            "label": label,
            "probability": probabilities[label],
            "probabilities": probabilities,
        }

    def _number(self, logits: list[float]) -> Prediction:
        """Return the number in the user's unit, with the nearest of ordered labels."""
        mean, deviation = self.settings.scale
        number = mean + deviation * logits[0]
        labels = self.settings.labels
        if not labels:
            return {"number": number}
        return {"label": min(labels, key=lambda text: abs(float(text) - number)), "number": number}


def load_predictor(folder: Path | str, base: str = "") -> Predictor:
    """Load the adapter or merged model of an export, with its base model, for predictions.

    Args:
        folder: Folder of an exported adapter, LoRA or merged model.
        base: Name or folder of the base model; default the name that the folder records.

    Raises:
        FileNotFoundError: If the folder has no `prediction.json`.
        Refusal: If a file is damaged, or the base model is not on this machine.

    Example:
        >>> load_predictor("exported").predict(["A text."])  # doctest: +SKIP
        [{'label': 'good', 'probability': 0.93, 'probabilities': {…}}]
    """
    from qtha_lab.models.catalogue import is_available

    folder = Path(folder)
    settings = PredictionSettings.read(folder)
    if not (folder / "adapter_config.json").is_file():
        loaded = load_base(settings, str(folder))
        return Predictor(settings, loaded.model.eval(), loaded.tokenizer)
    if not base and not is_available(settings.model):
        raise Refusal(
            f"The base model {shortened(settings.model, 60)} of {shortened(folder, 60)} is not "
            f"on this machine. Download it with `qtha-lab fetch`, or name its folder as base."
        )
    return _adapted(settings, base or settings.model, folder)


def predictor_of(files: RunDir) -> Predictor:
    """Load the predictor of a run, from its adapter or its newest checkpoint.

    Raises:
        Refusal: If the run is unreadable, has no adapter yet, or requires missing code or files.
    """
    plan = plan_of(files)
    folder, _ = adapter_of(files)
    saved = (folder / FILE).is_file()
    settings = PredictionSettings.read(folder) if saved else PredictionSettings.of(plan)
    return _adapted(settings, files.experiment.model, folder)


def _adapted(settings: PredictionSettings, base: str, folder: Path) -> Predictor:
    from qtha_lab import adapters

    loaded = load_base(settings, base)
    model = adapters.load_adapter(loaded.model, folder).eval()
    return Predictor(settings, model, loaded.tokenizer)

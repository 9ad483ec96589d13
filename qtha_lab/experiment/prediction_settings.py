"""Settings of predictions with an adapter, and the usage section of its model card.

Saved as `prediction.json` beside the weights, so that a folder predicts without its training data.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read, read_json, write_atomically, write_json
from qtha_lab.experiment.validated_model import Declared

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from qtha_lab.experiment.plan import Plan
    from qtha_lab.models import LoadedModel

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
            max_new_tokens=experiment.training.max_new_tokens,
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


Form = Literal["qtha-lab", "peft", "merged"]
TEXT, PAIR, QUESTION = "A text.", "Another text.", "A question?"
HEADING = "## Predictions"


def add_usage(
    card: Path, settings: PredictionSettings, tokenizer: PreTrainedTokenizerBase, form: Form
) -> None:
    """Add the usage section to a model card."""
    write_atomically(card, f"{read(card).rstrip()}\n\n{usage(settings, tokenizer, form)}\n")


def form_of(plan: Plan, base: LoadedModel, *, is_lora: bool = False) -> Form:
    """Return "peft" if PEFT and transformers alone predict with an adapter, else "qtha-lab".

    They cannot repeat random weights that the folder lacks, such as the pooler of some encoders.
    """
    from qtha_lab.adapters.registry import method_of

    method = method_of(plan.config)
    is_ours = (method is None or method.ours) and not is_lora
    prefix = f"{base.model.base_model_prefix}."
    is_partly_new = any(name.startswith(prefix) for name in base.new_weights)
    other = is_ours or is_partly_new or plan.reader or plan.task.is_seq2seq
    return "qtha-lab" if other else "peft"


def usage(settings: PredictionSettings, tokenizer: PreTrainedTokenizerBase, form: Form) -> str:
    """Return the usage section in Markdown."""
    from qtha_lab.models.model_card import INSTALL

    is_ours = form == "qtha-lab" or not _has_pipeline(settings, tokenizer, form)
    lines = _our_lines(settings, form) if is_ours else _pipeline_lines(settings, tokenizer, form)
    first = [f"Run `{INSTALL}` first.", ""] if is_ours else []
    outputs = [_outputs(settings), ""] if settings.head == "classification" else []
    return "\n".join([HEADING, "", *outputs, *first, "```python", *lines, "```"])


def _outputs(settings: PredictionSettings) -> str:
    """Return a sentence on the names and the unit of the outputs."""
    from qtha_lab.models.model_card import code_span

    labels = ", ".join(map(code_span, settings.labels))
    if settings.kind == "classification":
        return f"Classes: {labels}."
    mean, deviation = settings.scale
    name = code_span(settings.output_names[0])
    unit = f"{name} is {mean:.9g} + {deviation:.9g} × the output of the model."
    return f"{unit} Ordered labels: {labels}; the nearest counts." if labels else unit


def _has_pipeline(
    settings: PredictionSettings, tokenizer: PreTrainedTokenizerBase, form: Form
) -> bool:
    """Return True if a pipeline of transformers encodes rows as the training did."""
    from qtha_lab.models.catalogue import KNOWN

    is_toy = settings.model in KNOWN and KNOWN[settings.model].hub_id is None
    writes = settings.head == "causal-lm" and bool(tokenizer.chat_template)
    return (writes or settings.head == "classification") and not (is_toy and form == "peft")


def _our_lines(settings: PredictionSettings, form: Form) -> list[str]:
    base = "" if form == "merged" or _is_named(settings.model) else ", base=BASE"
    has_pair = "pair" in settings.columns
    row = (TEXT, PAIR) if has_pair else QUESTION if settings.head != "classification" else TEXT
    shown = f"({json.dumps(TEXT)}, {json.dumps(PAIR)})" if has_pair else json.dumps(row)
    return [
        "from qtha_lab import load_predictor",
        "",
        f"print(load_predictor(FOLDER{base}).predict([{shown}]))",
    ]


def _pipeline_lines(
    settings: PredictionSettings, tokenizer: PreTrainedTokenizerBase, form: Form
) -> list[str]:
    is_classifier = settings.head == "classification"
    task = "text-classification" if is_classifier else "text-generation"
    limit = (
        f", truncation=True, max_length={settings.max_length}"
        if is_classifier
        else f", do_sample=False, max_new_tokens={settings.max_new_tokens}"
    )
    loaded = "FOLDER" if form == "merged" else "model=model, tokenizer=tokenizer"
    lines = [f'answer = pipeline("{task}", {loaded}{limit})']
    if form == "peft":
        lines = [*_peft_lines(settings, is_classifier), *lines]
    else:
        lines = ["from transformers import pipeline", "", *lines]
    if not is_classifier:
        return [*lines, f'print(answer([{{"role": "user", "content": "{QUESTION}"}}]))']
    text = json.dumps(_example(settings, tokenizer))
    if settings.kind == "classification":
        return [*lines, f"print(answer({text}))"]
    mean, deviation = settings.scale
    return [*lines, f'print({mean!r} + {deviation!r} * answer({text})[0]["score"])']


def _peft_lines(settings: PredictionSettings, is_classifier: bool) -> list[str]:
    from qtha_lab.models import public_base

    auto = "AutoModelForSequenceClassification" if is_classifier else "AutoModelForCausalLM"
    names = ["AutoTokenizer", auto, "pipeline", *(["AutoConfig"] if is_classifier else [])]
    base = json.dumps(public_base(settings.model)) if _is_named(settings.model) else "BASE"
    config = ", config=AutoConfig.from_pretrained(FOLDER)" if is_classifier else ""
    return [
        "from peft import PeftModel",
        f"from transformers import {', '.join(sorted(names))}",
        "",
        f"base = {auto}.from_pretrained({base}{config})",
        "model = PeftModel.from_pretrained(base, FOLDER)",
        "tokenizer = AutoTokenizer.from_pretrained(FOLDER)",
    ]


def _example(settings: PredictionSettings, tokenizer: PreTrainedTokenizerBase) -> str:
    from qtha_lab.tasks.task import whole_text

    pair = {"pair": PAIR} if "pair" in settings.columns else {}
    return whole_text({"text": TEXT, **pair}, tokenizer)


def _is_named(model: str) -> bool:
    """Return True for a short name or a hub id; a folder is not recorded."""
    from qtha_lab.models.catalogue import KNOWN

    return model in KNOWN or "/" in model

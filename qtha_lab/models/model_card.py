"""Model card of an adapter: training settings, measurements and loading instructions.

Writes `README.md` with the metadata that model hubs read. Names models and tasks by hub ids and
file names, never by local paths. Measures nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from peft import PeftConfig

from qtha_lab.adapters import get_method
from qtha_lab.adapters.registry import method_of
from qtha_lab.core.io import read, write_atomically
from qtha_lab.models.catalogue import is_path, model_name, public_base, public_name

PIPELINES = {
    "CAUSAL_LM": "text-generation",
    "SEQ_2_SEQ_LM": "text2text-generation",
    "SEQ_CLS": "text-classification",
}
HEAD_TYPES = {"causal-lm": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM", "classification": "SEQ_CLS"}
TEMPLATE = "[More Information Needed]"  # in a card of PEFT that nobody has filled in
# in cards of transformers and of TRL; PEFT removes their tag
GENERATED = ("has been generated automatically", "has been trained using [TRL]")
TRAINING_HEADING = "## Training procedure"  # our card keeps the text of trainers from there on
INSTALL = "pip install qtha-lab"
AUTO = {"SEQ_CLS": "SequenceClassification", "SEQ_2_SEQ_LM": "Seq2SeqLM"}


def write_card(
    folder: Path,
    config: PeftConfig,
    *,
    base_model: str,
    n_labels: int | None = None,
    head: str = "",
    task: str = "",
    facts: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    notes: str = "",
) -> Path:
    """Write the model card of the adapter in a folder.

    The card contains no local paths; of a folder or a file it contains only the name.

    Args:
        folder: Folder in which `save_pretrained` wrote the adapter.
        config: PEFT config of the adapter.
        base_model: Base model: a hub id, a folder, or a name that `qtha_lab.load_model` knows.
        n_labels: Number of classes of a classification head.
        head: Name of a head that is not the model's own kind, such as "circuit(n=4)".
        task: Task of the training.
        facts: Rows of the table of training settings.
        metrics: Rows of the table of measurements.
        notes: Sentences below the tables.

    Returns:
        Path of the card, `README.md` in the folder.
    """
    kind = getattr(config.task_type, "value", config.task_type)
    method, base_model = method_of(config), model_name(base_model)
    data = ModelCardData(
        base_model=None if is_nameless(base_model) else public_base(base_model),
        library_name="peft",
        tags=sorted({"peft", "qtha-lab", method.name if method else "adapter"}),
        pipeline_tag=PIPELINES.get(str(kind)),
    )
    is_ours = method is not None and method.ours
    parts = [
        f"# {method.name if method else 'Adapter'} adapter for "
        f"{escape_markdown(public_name(base_model)) or 'a model'}",
        _what(method, public_name(task) if task else ""),
        _loading(is_ours, kind, base_model, n_labels, head),
        _table("How it was made", {"settings": _settings(config, method), **(facts or {})}),
        _table("What was measured", metrics or {}),
        notes,
    ]
    return _save(folder, data, parts)


def merged_card(folder: Path, base_model: str, method: str, task: str, head: str) -> Path:
    """Write the model card of a base model that was merged with an adapter."""
    base_model = model_name(base_model)
    data = ModelCardData(
        base_model=None if is_nameless(base_model) else public_base(base_model),
        library_name="transformers",
        tags=sorted({"qtha-lab", method}),
        pipeline_tag=PIPELINES[HEAD_TYPES[head]],
    )
    name = escape_markdown(public_name(base_model))
    title = f"# {name} merged with a {method} adapter"
    return _save(folder, data, [title, f"Trained for the task {code_span(public_name(task))}."])


def _save(folder: Path, data: ModelCardData, parts: Sequence[str]) -> Path:
    text = "\n\n".join(part for part in parts if part)
    path = Path(folder) / "README.md"
    write_atomically(path, str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n")))
    return path


def replace_template(folder: Path, config: PeftConfig) -> None:
    """Write the model card of an adapter, unless somebody wrote one.

    A card that a trainer generated keeps its tags and its training procedure.
    """
    file = folder / "README.md"
    text = read(file) if file.is_file() else TEMPLATE
    is_generated = any(mark in text for mark in GENERATED) and INSTALL not in text
    if not is_generated and TEMPLATE not in text:
        return
    _, heading, training = text.partition(TRAINING_HEADING) if is_generated else ("", "", "")
    base = str(config.base_model_name_or_path or "")
    write_card(folder, config, base_model=base, notes=(heading + training).strip())
    if is_generated:
        _merge_metadata(file, ModelCard(text).data.to_dict())


def _merge_metadata(file: Path, earlier: dict[str, Any]) -> None:
    """Add the metadata of an earlier card, without its base model, perhaps a path."""
    card = ModelCard.load(file)
    ours = card.data.to_dict()
    tags = {tag for tag in earlier.get("tags") or () if not tag.startswith("base_model:")}
    earlier.pop("base_model", None)
    merged: dict[str, Any] = earlier | ours | {"tags": sorted(tags | {*ours["tags"]})}
    card.data = ModelCardData(**merged)
    write_atomically(file, str(card))


def _what(method, task: str) -> str:
    sentence = f"{method.summary} Source of the method: {method.source}." if method else ""
    return f"{sentence} Trained for the task {code_span(task)}.".strip() if task else sentence


def _loading(
    is_ours: bool, kind: str | None, base_model: str, n_labels: int | None, reader: str
) -> str:
    """Write the loading instructions.

    A base model in a local folder is written as BASE, for the reader to fill in.
    """
    is_ours = is_ours or bool(reader)  # PEFT alone loads neither
    name = public_name(base_model) if is_ours else public_base(base_model)
    base = "BASE" if is_nameless(base_model) else json.dumps(name)
    first = []
    if is_nameless(base_model):
        first = [f"`BASE` is the folder of {escape_markdown(name) or 'the base model'}.", ""]
    if is_ours:
        heads = {
            "SEQ_CLS": f', head="classification", n_labels={n_labels or "N_LABELS"}',
            "SEQ_2_SEQ_LM": ', head="seq2seq"',
        }
        head = heads.get(str(kind), "")
        lines = [
            "from qtha_lab import load_adapter, load_model",
            "",
            f"model = load_adapter(load_model({base}{head}).model, FOLDER)",
        ]
        first = [
            f"PEFT alone cannot load this {'head' if reader else 'method'}: run `{INSTALL}` first.",
            "",
            *first,
        ]
    else:
        auto = f"AutoModelFor{AUTO.get(str(kind), 'CausalLM')}"
        outputs = f", num_labels={n_labels}" if n_labels else ""
        lines = [
            "from peft import PeftModel",
            f"from transformers import {auto}",
            "",
            f"base = {auto}.from_pretrained({base}{outputs})",
            "model = PeftModel.from_pretrained(base, FOLDER)",
        ]
    return "\n".join(["## Loading it", "", *first, "```python", *lines, "```"])


def is_nameless(name: str) -> bool:
    """Return True if a base model is a local folder, or has no name."""
    return not name or is_path(name)


def _settings(config: PeftConfig, method) -> str:
    """List the settings that differ from the method's defaults."""
    if method is None:
        return type(config).__name__
    settings = method.settings()
    options = {
        k: v for k, s in settings.items() if (v := getattr(config, k, s.default)) != s.default
    }
    pairs = ", ".join(f"{name} = {value}" for name, value in options.items())
    return f"{get_method(method.name).name} ({pairs or 'defaults'})"


def _table(title: str, rows: Mapping[str, Any]) -> str:
    if not rows:
        return ""
    texts = {name: _cell(value) for name, value in rows.items() if value is not None}
    lines = [
        f"| {escape_markdown(name.replace('_', ' '))} | {value} |" for name, value in texts.items()
    ]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *lines])


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape_markdown(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def escape_markdown(text: str) -> str:
    """Escape Markdown and HTML characters in a text and join it to one line.

    Example:
        >>> escape_markdown("a <b>|\\n# c")
        'a \\\\<b\\\\>\\\\| \\\\# c'
    """
    return re.sub(r"([\\`*\[\]<>|#&~$])", r"\\\1", " ".join(text.split()))


def code_span(text: str) -> str:
    """Format a text as one code span, fenced longer than any backtick run inside."""
    line = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if "`" in line else ""
    return f"{fence}{pad}{line}{pad}{fence}"

"""Read the config.json of a model folder; refuse what cannot be loaded."""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_json, shortened

OWN_ERRORS = (Refusal, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)
OUT_OF_MEMORY = "OutOfMemoryError"


@contextmanager
def refusing(rule: str, remedy: str) -> Iterator[None]:
    """Refuse a file on which the block raises an error.

    `tokenizers` raises `BaseException` on a panic, so `BaseException` is caught.

    Example:
        >>> with refusing("config.json must describe a model", "Correct the file."):
        ...     1 // 0
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: config.json must describe a model, got ZeroDivisionError: ...
    """
    try:
        yield
    except OWN_ERRORS:
        raise
    except BaseException as problem:
        if type(problem).__name__ == OUT_OF_MEMORY:
            raise
        line = next(iter(str(problem).strip().splitlines()), "")
        reason = shortened(f"{type(problem).__name__}: {line}".rstrip(": ."), 110)
        raise Refusal(f"{rule}, got {reason}. {remedy}") from problem


PACKAGES = {
    "aqlm": "aqlm",
    "awq": "gptqmodel",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed_tensors",
    "gptq": "gptqmodel",
    "hqq": "hqq",
    "torchao": "torchao",
}
OTHER = "Choose a folder of unquantised weights; the setting quantization=int4 quantises them."


def stored_format(config: Mapping[str, Any]) -> str:
    """Return the quantisation of the stored weights; empty for plain ones.

    Example:
        >>> stored_format({"quantization_config": {"load_in_4bit": True}}), stored_format({})
        ('bitsandbytes', '')
    """
    settings = config.get("quantization_config")
    if not isinstance(settings, Mapping):
        return ""
    named = settings.get("quant_method")
    return shortened(named, 40) if isinstance(named, str) else "bitsandbytes"


def check_stored_format(config: Mapping[str, Any], folder: Path) -> None:
    """Refuse quantised weights whose package is not installed."""
    name = stored_format(config)
    package = PACKAGES.get(name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise Refusal(
            f"The weights of {shortened(folder, 60)} are quantised by {name} and cannot be read "
            f"without {package}. Run pip install {package.replace('_', '-')}. {OTHER}"
        )


COUNTS = re.compile(r"(_?num|n)_\w*(layers?|blocks|labels|experts|heads)|n_(layer|head)")
MOST = 10_000
"""Layers, heads, experts or labels of the largest model that is read."""
COPY = "Download the model again, or correct the file."


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json as plain values."""
    try:
        config = read_json(folder / "config.json")
    except FileNotFoundError:
        raise Refusal(f"{_named(folder)} has no config.json. {COPY}") from None
    except Refusal as problem:
        raise Refusal(f"{_named(folder)} cannot be loaded: {problem} {COPY}") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise Refusal(f"config.json of {_named(folder)} has no model_type. {COPY}")
    for name, value in config.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if COUNTS.fullmatch(name) and whole and not 0 <= value <= MOST:
            rule = f"{shortened(name, 40)} in config.json of {_named(folder)}"
            raise Refusal(f"{rule} must be between 0 and {MOST:,}, got {shortened(value, 30)}.")
    return config


def load_config(folder: Path, n_labels: int | None) -> Any:
    """Load the transformers config of a model folder."""
    from transformers import AutoConfig

    stored = read_config(folder)
    check_type(stored, folder)
    check_stored_format(stored, folder)
    labels = {} if n_labels is None else _outputs(n_labels)
    with refusing(f"{_named(folder)} cannot be loaded: config.json must describe a model", COPY):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, **labels)


def most_positions(config: Any) -> int | None:
    """Return the most tokens of one text; None for models without a limit."""
    positions = getattr(config, "max_position_embeddings", None)
    return positions if positions and positions > 0 else None


def _outputs(n_labels: int) -> dict[str, Any]:
    """Return the settings of a head; a fine-tuned model may record other ones."""
    kind = "regression" if n_labels == 1 else "single_label_classification"
    names = {place: f"LABEL_{place}" for place in range(n_labels)}
    label2id = {name: place for place, name in names.items()}
    return {"id2label": names, "label2id": label2id, "problem_type": kind}


def check_type(config: dict[str, Any], folder: Path) -> None:
    """Refuse a model type that the installed transformers lacks."""
    from transformers import __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = config["model_type"]
    if kind in CONFIG_MAPPING:
        return
    if "auto_map" in config:
        code, remedy = (" with code of its own, which is never run", "Choose another model.")
    else:
        code, remedy = "", "Install a newer transformers, or correct the name."
    raise Refusal(
        f"The model_type of {_named(folder)} must be known to transformers {__version__}, got "
        f"{shortened(kind, 40)!r}{code}. {remedy}"
    )


def check_head(config: Any, head: str, folder: Path) -> None:
    """Refuse an architecture without the head that a task needs.

    Args:
        config: Config of the model, from transformers.
        head: "causal-lm", "seq2seq" or "classification".
        folder: Folder of the model.
    """
    from transformers.models.auto import modeling_auto as auto

    kind, name = config.model_type, f"{_named(folder)}, a model of type {config.model_type}"
    classifies = kind in auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    if head == "classification":
        if not classifies:
            raise Refusal(
                f"A task with classes must have a model with a classification head, got {name}. "
                "Choose a text model that has one, or a task that generates text."
            )
        return
    if head == "seq2seq":
        if kind not in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
            raise Refusal(
                f"head must be causal-lm for {name}, got seq2seq. Choose an encoder with a "
                "decoder, such as T5 or BART, for seq2seq."
            )
        if getattr(config, "decoder_start_token_id", None) is None:
            raise Refusal(
                f"config.json of {_named(folder)} has no decoder_start_token_id. Add the token "
                "with which answers begin, such as the padding token of T5."
            )
        return
    is_decoder = getattr(config, "is_decoder", False) or getattr(config, "causal", False)
    if getattr(config, "is_encoder_decoder", False):
        fault = "which is an encoder with a decoder"
    elif kind not in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        fault = "which has no causal-lm head"
    elif kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not is_decoder:
        fault = "which is an encoder without a causal-lm head"
    else:
        return
    other = ", or a task with classes" if classifies else ""
    raise Refusal(
        f"A task that generates text must have a causal language model, got {name}, {fault}. "
        f"Choose a causal language model{other}."
    )


def _named(folder: Path) -> str:
    return shortened(folder, 80)

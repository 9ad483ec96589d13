"""Load a base model with its tokenizer, or its modules without weights."""

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import digest, open_file, read_mapping, shortened
from qtha_lab.core.libraries import ONE_THREAD
from qtha_lab.core.settings import unknown
from qtha_lab.models.catalogue import KNOWN, Head, folder_of, is_hub_id, locate
from qtha_lab.models.config_files import (
    OTHER,
    check_head,
    load_config,
    most_positions,
    read_config,
    refusing,
    stored_format,
)
from qtha_lab.models.quantisation.formats import (
    check_quantization,
    quantization_config,
    rounding_of,
)
from qtha_lab.models.tokenizers import check_vocabulary, load_tokenizer
from qtha_lab.models.weights import (
    check_finite,
    check_shape,
    check_weights,
    head_modules,
    shapes_in,
    weight_files,
)

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from qtha_lab.models.quantisation.schemes import Rounding

DTYPES = ("float32", "bfloat16")
Files = tuple[tuple[Path, int, int], ...]
log = logging.getLogger(__name__)
AGAIN = "Copy the files of the model again."
OTHER_TARGETS: dict[str, list[str] | str] = {
    "mamba": ["in_proj", "x_proj"],
    "falcon_mamba": ["in_proj", "x_proj"],
    "mamba2": ["in_proj"],
    # PEFT takes `pre_classifier` for the head, so it must not be adapted
    "distilbert": ["q_lin", "v_lin"],
    # their routers are linear layers that return tuples, which PEFT cannot adapt
    "llama4": ["q_proj", "v_proj"],
    "llama4_text": ["q_proj", "v_proj"],
    "phimoe": ["q_proj", "v_proj"],
}
HASHED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


@dataclass(frozen=True)
class LoadedModel:
    """Base model ready for adapters, with its right-padding tokenizer, source and fingerprint.

    Attributes:
        new_weights: Names of tensors drawn at random, because the folder has none that fit.
        note: Sentence about a stored classification head, kept or replaced; empty without one.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    name: str
    source: str
    fingerprint: str
    new_weights: tuple[str, ...] = ()
    note: str = ""

    def __iter__(self) -> Iterator["PreTrainedModel | PreTrainedTokenizerBase"]:
        """Unpack into model and tokenizer."""
        yield self.model
        yield self.tokenizer


def load_model(
    name: str,
    *,
    head: Head = "causal-lm",
    n_labels: int | None = None,
    dtype: str = "float32",
    quantization: str = "none",
    head_seed: int = 0,
    reader: str = "",
) -> LoadedModel:
    """Load a base model and its tokenizer from this machine.

    Args:
        name: A short name, a folder, or a hub id that was fetched (code from the hub is never run).
        head: "causal-lm", "seq2seq" (T5, BART) or "classification".
        n_labels: Number of classes of a classification head; 1 for a regression.
        dtype: "float32" or "bfloat16".
        quantization: "none", weights stored in "int8" or "int4", or a quantisation scheme such as
            "round(w=3,g=64)" (see `qtha_lab.models.quantisation`). Its calibration result is stored
            in the cache folder.
        head_seed: Seed of a new classification head; the global random state stays unchanged.
        reader: Classification head by name, such as "circuit(n=4)" (see `qtha_lab.adapters.heads`).
            Empty selects the model's own head with random weights.

    Raises:
        Refusal: If the model is not on this machine or has no such head, or a value is unknown.

    Example:
        >>> load_model("tiny").model.num_parameters()
        3148224
    """
    import torch

    folder = folder_of(name, head)
    _check_labels(head, n_labels, reader)
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    quantized = quantization_config(quantization)
    config = load_config(folder, n_labels)
    check_head(config, head, folder)
    tokenizer = load_tokenizer(folder)
    config.pad_token_id = tokenizer.pad_token_id
    with ONE_THREAD, torch.random.fork_rng(devices=[]), _quietly():
        torch.manual_seed(head_seed)
        remedy = OTHER if stored_format(read_config(folder)) else AGAIN
        with refusing(f"The model of {shortened(folder, 80)} must load", remedy):
            model, report = _auto(head).from_pretrained(
                folder,
                config=config,
                output_loading_info=True,
                dtype=getattr(torch, dtype),
                quantization_config=quantized,
                trust_remote_code=False,
                use_safetensors=True,
                ignore_mismatched_sizes=head == "classification",
            )
        note = _replaced_head(folder, model, report["mismatched_keys"])
        if head == "classification" and not (note or reader):
            note = _kept_head(folder, model, report["missing_keys"])
        check_finite(folder, model)
        _put(reader, model)
    if head != "classification" and (missing := sorted(report["missing_keys"])):
        raise Refusal(
            f"The weights of {shortened(folder, 80)} have no tensor {shortened(missing[0], 60)} of "
            f"config.json, and {len(missing) - 1:,} more are missing. {AGAIN}."
        )
    check_vocabulary(tokenizer, model, name)
    log.info("loaded %s from %s as %s", name, folder, dtype)
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    print_of_model = model_fingerprint(folder)
    if rounding := rounding_of(quantization):
        check_quantization(quantization, model)
        _round(model, rounding, tokenizer, print_of_model)
    new = tuple(sorted(report["missing_keys"]))
    return LoadedModel(model, tokenizer, name, _source(name, folder), print_of_model, new, note)


def _replaced_head(folder: Path, model: "PreTrainedModel", mismatched: Iterable[tuple]) -> str:
    """Return a note on a replaced head; refuse other tensors that do not fit."""
    replaced = sorted((name, tuple(stored), tuple(shape)) for name, stored, shape in mismatched)
    for name, stored, shape in replaced:
        check_shape(folder, model, name, stored, shape)
    if not replaced:
        return ""
    name, stored, shape = replaced[-1]
    head = name.rpartition(".")[0]
    return f"head {head} of {stored[0]} outputs is replaced by a new one of {shape[0]} outputs"


def _kept_head(folder: Path, model: "PreTrainedModel", missing: Iterable[str]) -> str:
    """Return a note on a stored head, whose classes may be others."""
    heads = {*head_modules(model)} - {name.partition(".")[0] for name in missing}
    names = read_config(folder).get("id2label")
    classes = ", ".join(map(str, names.values())) if isinstance(names, dict) else ""
    if not heads:
        return ""
    classes = f"the classes {shortened(classes, 100)}" if classes else "classes without names"
    return f"head {min(heads)} is kept from the model, trained on {classes}"


def _round(
    model: "PreTrainedModel",
    rounding: "Rounding",
    tokenizer: "PreTrainedTokenizerBase",
    print_of_model: str,
) -> None:
    """Round all weights of a model in place, with calibration if the scheme requires it."""
    from qtha_lab.models.quantisation import calibration, layers

    learnt = {}
    if rounding.calibrates:
        texts = calibration.calibration_texts(tokenizer)
        parts = {
            "model": print_of_model,
            "bits": rounding.text,
            "rows": texts,
            "dtype": str(model.dtype),
        }
        learnt = calibration.cached_calibration(
            parts, lambda: _learnt(model, rounding, tokenizer, texts)
        )
    rounding.apply(model, learnt)
    layers.record_scheme(model, rounding.text)
    log.info("rounded by %s", rounding.text)


def _learnt(
    model: "PreTrainedModel",
    rounding: "Rounding",
    tokenizer: "PreTrainedTokenizerBase",
    texts: list[str],
) -> "dict[str, Tensor]":
    """Run a scheme's calibration on texts and return its tensors."""
    from qtha_lab.models.quantisation import calibration

    longest = most_positions(model.config) or calibration.LENGTH
    log.info("%s calibrates on %d rows, once", rounding.text, len(texts))
    return rounding.learn(model.eval(), calibration.batches_of(texts, tokenizer, longest))


def empty_model(
    name: str, *, head: Head = "causal-lm", n_labels: int | None = None, reader: str = ""
) -> "PreTrainedModel":
    """Build the model's modules on the meta device, without weights.

    The result suffices to count parameters and to name target modules.

    Args:
        name: Same as for `load_model`.
        head: "causal-lm", "seq2seq" or "classification".
        n_labels: Number of classes of a classification head.
        reader: Classification head by name, same as for `load_model`.

    Raises:
        Refusal: If the model is not on this machine or has no such head.
    """
    import torch

    folder = folder_of(name, head)
    _check_labels(head, n_labels, reader)
    config = load_config(folder, n_labels)
    check_head(config, head, folder)
    shapes = shapes_in(weight_files(folder))
    if getattr(config, "num_hidden_layers", 0) > len(shapes):
        layers, tensors = config.num_hidden_layers, len(shapes)
        raise Refusal(
            f"The weights of {shortened(folder, 80)} must have the {layers:,} layers of its "
            f"config.json, got {tensors:,} tensors. {AGAIN}."
        )
    with (
        ONE_THREAD,
        torch.device("meta"),
        refusing(f"config.json of {shortened(folder, 80)} must describe a model", AGAIN),
    ):
        model = _auto(head).from_config(config, trust_remote_code=False)
    check_weights(folder, model, shapes, generates=head != "classification")
    _put(reader, model)
    return model


def _put(reader: str, model: "PreTrainedModel") -> None:
    from qtha_lab.adapters import heads

    if reader:
        heads.put_head(model, heads.head_named(reader))


def default_target_modules(name: str) -> list[str] | str:
    """Return PEFT's default LoRA target modules for a model's architecture, or "all-linear".

    Mamba reads the weights of some layers without the layer, so these would receive no gradient.

    Example:
        >>> default_target_modules("tiny")
        ['q_proj', 'v_proj']
    """
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as BY_TYPE

    kind = read_config(folder_of(name))["model_type"]
    return list(BY_TYPE[kind]) if kind in BY_TYPE else OTHER_TARGETS.get(kind, "all-linear")


def is_encoder_decoder(name: str) -> bool:
    """Return True if a local model is an encoder with a decoder (T5, BART)."""
    try:
        folder = locate(name)
        return folder is not None and read_config(folder).get("is_encoder_decoder") is True
    except Refusal as reason:  # `check_model` reports the error
        log.debug("%s has no readable config: %s", name, reason)
        return False


def model_fingerprint(folder: Path) -> str:
    """Compute the sha256 over a model folder's weights, configuration and tokenizer."""
    return _fingerprint(files_of(folder))


def files_of(folder: Path) -> Files:
    """Return path, size in bytes and modification time of the files of a model."""
    paths = sorted({path for pattern in HASHED for path in folder.glob(pattern)})
    stats = []
    for path in paths:
        with open_file(path) as file:  # refuses a link to itself, a FIFO and a folder
            stats.append((path, os.fstat(file.fileno())))
    return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


@lru_cache
def _fingerprint(files: Files) -> str:
    whole = hashlib.sha256()
    for file, _, _ in files:
        whole.update(f"{file.name}\0{digest(file)}\n".encode())
    return whole.hexdigest()


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress transformers' progress bars and its report of new classification weights."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _auto(head: Head) -> type:
    import transformers

    return {
        "causal-lm": transformers.AutoModelForCausalLM,
        "seq2seq": cast("Any", transformers).AutoModelForSeq2SeqLM,
        "classification": transformers.AutoModelForSequenceClassification,
    }[head]


def _check_labels(head: Head, n_labels: int | None, reader: str) -> None:
    if head == "classification" and (n_labels is None or n_labels < 1):
        raise Refusal(f"n_labels must be at least 1 for a classification head, got {n_labels}.")
    if head != "classification" and n_labels is not None:
        raise Refusal(f"n_labels must be empty for {head}, got {n_labels}.")
    if head != "classification" and reader:
        raise Refusal(f"reader must be empty for {head}, got {reader}.")


def _source(name: str, folder: Path) -> str:
    note = read_mapping(folder / "fetched.json")
    if note is not None and "source" in note:
        return str(note["source"])
    if name in KNOWN:
        return "bundled with qtha-lab"
    return f"https://huggingface.co/{name}" if is_hub_id(name) else str(folder)

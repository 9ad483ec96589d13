"""Loads a base model with its tokenizer, or its empty shape; nothing is trained or adapted here."""

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.errors import Refusal
from qtha_lab.models.catalogue import KNOWN, Head, folder_of, is_hub_id
from qtha_lab.models.quantized import check_quantization, quantization_config, rounding_of
from qtha_lab.one_thread import ONE_THREAD
from qtha_lab.settings import unknown

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from qtha_lab.models.bits import Rounding

DTYPES = ("float32", "bfloat16")
Files = tuple[tuple[Path, int, int], ...]
log = logging.getLogger(__name__)
HASHED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


@dataclass(frozen=True)
class LoadedModel:
    """A base model ready for adapters: its tokenizer pads on the right and its source is known."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    name: str
    source: str
    fingerprint: str


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
        head: What the model ends in.
        n_labels: How many classes a classification head tells apart.
        dtype: "float32" or "bfloat16".
        quantization: "none", weights stored in "int8" or "int4" (see `quantized`), or a way to round such as
            "round(w=3,g=64)" (see `bits`), whose calibration is kept in the cache folder.
        head_seed: Start of a new classification head; the global random state is left as it was.
        reader: The classification head by name, such as "circuit(n=4)" (see `qtha_lab.heads`); empty is the model's own,
            drawn at random.

    Raises:
        Refusal: If the model is not on this machine or has no such head, or a value is unknown.

    Example:
        >>> load_model("tiny").model.num_parameters()
        3148224
    """
    import torch
    from transformers import AutoTokenizer

    folder = folder_of(name, head)
    _check_labels(head, n_labels, reader)
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    quantized = quantization_config(quantization)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    _set_padding(tokenizer)
    config = _config(folder, n_labels)
    config.pad_token_id = tokenizer.pad_token_id
    with ONE_THREAD, torch.random.fork_rng(devices=[]), _quietly():
        torch.manual_seed(head_seed)
        model = _auto(head).from_pretrained(
            folder,
            config=config,
            dtype=getattr(torch, dtype),
            quantization_config=quantized,
            trust_remote_code=False,
            use_safetensors=True,
        )
        _put(reader, model)
    log.info("loaded %s from %s as %s", name, folder, dtype)
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    print_of_model = fingerprint(folder)
    if rounding := rounding_of(quantization):
        check_quantization(quantization, model)
        _round(model, rounding, tokenizer, print_of_model)
    return LoadedModel(model, tokenizer, name, _source(name, folder), print_of_model)


def _round(
    model: "PreTrainedModel",
    rounding: "Rounding",
    tokenizer: "PreTrainedTokenizerBase",
    print_of_model: str,
) -> None:
    """Round a whole model in place, as its calibration rows say if the way asks for them."""
    from qtha_lab.models.rounding import calibration, layers

    learnt = {}
    if rounding.calibrates:
        texts = calibration.calibration_texts(tokenizer)
        parts = {
            "model": print_of_model,
            "bits": rounding.text,
            "rows": texts,
            "dtype": str(model.dtype),
        }
        learnt = calibration.remembered(parts, lambda: _learnt(model, rounding, tokenizer, texts))
    rounding.apply(model, learnt)
    layers.mark(model, rounding.text)
    log.info("rounded by %s", rounding.text)


def _learnt(
    model: "PreTrainedModel",
    rounding: "Rounding",
    tokenizer: "PreTrainedTokenizerBase",
    texts: list[str],
) -> "dict[str, Tensor]":
    """What a whole model learns from texts, with its head left alone and its gradients off."""
    from qtha_lab.models.rounding import calibration

    longest = getattr(model.config, "max_position_embeddings", None) or calibration.LENGTH
    log.info("%s looks at %d calibration rows, once", rounding.text, len(texts))
    return rounding.learn(model.eval(), calibration.batches_of(texts, tokenizer, longest))


def empty_model(
    name: str, *, head: Head = "causal-lm", n_labels: int | None = None, reader: str = ""
) -> "PreTrainedModel":
    """The model's modules without weights (on the meta device): enough to count and to name targets.

    Args:
        name: As for `load_model`.
        head: What the model ends in.
        n_labels: Classes of a classification head.
        reader: The classification head by name, as for `load_model`.

    Raises:
        Refusal: If the model is not on this machine or has no such head.
    """
    import torch

    folder = folder_of(name, head)
    _check_labels(head, n_labels, reader)
    with ONE_THREAD, torch.device("meta"):
        model = _auto(head).from_config(_config(folder, n_labels), trust_remote_code=False)
    _put(reader, model)
    return model


def _put(reader: str, model: "PreTrainedModel") -> None:
    from qtha_lab import heads

    if reader:
        heads.put_head(model, heads.head_named(reader))


def default_target_modules(name: str) -> list[str]:
    """Where adapters go unless named: PEFT's own choice for LoRA on this architecture.

    Raises:
        Refusal: If PEFT has none for it.

    Example:
        >>> default_target_modules("tiny")
        ['q_proj', 'v_proj']
    """
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as BY_TYPE

    kind = json.loads((folder_of(name) / "config.json").read_text())["model_type"]
    if kind not in BY_TYPE:
        raise Refusal(
            f"no default target modules are known for a {kind} model: name target_modules"
        )
    return list(BY_TYPE[kind])


def fingerprint(folder: Path) -> str:
    """sha256 over a model folder's weights, configuration and tokenizer."""
    return _fingerprint(files_of(folder))


def files_of(folder: Path) -> Files:
    """Path, bytes and time of change of the files that make up a model: other where one was touched."""
    paths = sorted({path for pattern in HASHED for path in folder.glob(pattern)})
    stats = [(path, path.stat()) for path in paths]
    return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


@lru_cache
def _fingerprint(files: Files) -> str:
    whole = hashlib.sha256()
    for file, _, _ in files:
        with file.open("rb") as opened:
            whole.update(
                f"{file.name}\0{hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode()
            )
    return whole.hexdigest()


@contextmanager
def _quietly() -> Iterator[None]:
    """No progress bar for a file on this disk, no report that a new classification head is not in it."""
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
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    return AutoModelForCausalLM if head == "causal-lm" else AutoModelForSequenceClassification


def _config(folder: Path, n_labels: int | None):
    from transformers import AutoConfig

    labels = {} if n_labels is None else {"num_labels": n_labels}
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, **labels)
    except (ValueError, OSError) as error:
        raise Refusal(f"{folder} cannot be loaded: {str(error).splitlines()[0]}") from error


def _check_labels(head: Head, n_labels: int | None, reader: str) -> None:
    if head == "classification" and (n_labels is None or n_labels < 2):
        raise Refusal(f"a classification head needs n_labels of at least 2, not {n_labels}")
    if head == "causal-lm" and n_labels is not None:
        raise Refusal(f"n_labels={n_labels} is for a classification head, not for causal-lm")
    if head == "causal-lm" and reader:
        raise Refusal(f"reader={reader} is a classification head, not for causal-lm")


def _set_padding(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Right padding, with a token that no answer is made of where there is one."""
    tokenizer.padding_side = "right"
    if (
        tokenizer.pad_token in (None, tokenizer.eos_token)
        and "<|endoftext|>" in tokenizer.get_vocab()
    ):
        tokenizer.pad_token = "<|endoftext|>"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token


def _source(name: str, folder: Path) -> str:
    note = folder / "fetched.json"
    if note.is_file():
        return json.loads(note.read_text())["source"]
    if name in KNOWN:
        return "bundled with qtha-lab"
    return f"https://huggingface.co/{name}" if is_hub_id(name) else str(folder)

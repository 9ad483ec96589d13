"""Methods, engines and heads with their declared settings, and the canonical form of options.

Loads no method while the disk cache is valid. Once the packages are loaded, the registries are read
directly, so plugins appear at once. An unknown method or option is not refused here.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core import paths
from qtha_lab.core.declaration_cache import cached_declarations, declared_by_packages, is_loaded
from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import cached_method_styles
from qtha_lab.core.settings import Setting, unknown

log = logging.getLogger(__name__)
PACKAGES = ("adapters", "circuits/ansatze", "simulators")
_TYPES = {kind.__name__: kind for kind in (int, float, bool, str, list, tuple, dict, object, set)}


@dataclass(frozen=True)
class MethodEntry:
    """Properties of a method that a form or a label needs.

    Attributes:
        name: Name of the method.
        summary: Description in a sentence.
        default_learning_rate: Learning rate if none is chosen.
        settings: Declared settings.
        n_controls: Number of classical controls.
    """

    name: str
    summary: str
    default_learning_rate: float
    settings: Mapping[str, Setting]
    n_controls: int


def method_entries() -> dict[str, MethodEntry]:
    """Return all methods by name: of this package, of peft, then "none"."""
    if not is_loaded("qtha_lab.adapters"):
        return _cached_entries()
    _keep(paths.cache_dir())
    return _live_entries()


def method_entry(name: str) -> MethodEntry:
    """Return the entry of a method.

    Raises:
        Refusal: If the name is unknown; the message suggests the nearest name.
    """
    if is_loaded("qtha_lab.adapters"):
        from qtha_lab.adapters import get_method

        return _entry(get_method(name))
    if name not in (entries := method_entries()):
        raise unknown("method", str(name), entries)
    return entries[name]


def leaves_open(method: str, options: Mapping[str, Any]) -> bool:
    """Return True if options leave a setting, such as QTHA's waist, to the model.

    False for an unknown method.
    """
    try:
        settings = method_entry(method).settings.values()
    except Refusal as reason:
        log.debug("nothing is chosen for it: %s", reason)
        return False
    return any(s.auto and options.get(s.name) in (None, "auto") for s in settings)


def engine_names() -> list[str]:
    """Return the engine names, as `simulators.engine_names` does."""
    if is_loaded("qtha_lab.simulators"):
        return _live_engines()
    return cached_declarations("engines", PACKAGES, _live_engines)


def head_calls() -> list[str]:
    """Return an example call of every classification head."""
    if is_loaded("qtha_lab.adapters.heads"):
        return _live_heads()
    return cached_declarations("heads", ("adapters/heads",), _live_heads)


def quantizations() -> list[str]:
    """Return the stored formats and an example call of every quantisation scheme."""
    from qtha_lab.models.quantisation.formats import BITS, quantizations

    if BITS.modules:  # members are loaded, perhaps a plugin's
        return quantizations()
    return cached_declarations("quantizations", ("models/quantisation",), quantizations)


def check_options(method: str, options: Mapping[str, Any]) -> None:
    """Refuse invalid or contradicting options.

    If the method is not loaded, each option is checked separately.

    Raises:
        Refusal: With the rule and the value.
    """
    if is_loaded("qtha_lab.adapters"):
        from qtha_lab.adapters import get_method

        return get_method(method).check(options)
    settings = method_entry(method).settings
    for name, value in options.items():
        if name in settings:
            settings[name].check(value)


def _live_engines() -> list[str]:
    from qtha_lab import simulators

    return simulators.engine_names()


def _live_heads() -> list[str]:
    from qtha_lab.adapters.heads import HEADS

    return [info.example for info in HEADS.values()]


def _live_entries() -> dict[str, MethodEntry]:
    from qtha_lab.adapters import get_method, method_names

    return {name: _entry(get_method(name)) for name in (*method_names(), "none")}


def _entry(method: Any) -> MethodEntry:
    rate, controls = method.default_learning_rate, len(method.controls)
    return MethodEntry(method.name, method.summary, rate, method.settings(), controls)


@functools.cache
def _keep(folder: Path) -> None:
    """Write the loaded declarations to the disk cache.

    Writes nothing if a plugin is among them.
    """
    from qtha_lab.adapters import OUR_METHODS
    from qtha_lab.adapters.heads import HEADS
    from qtha_lab.circuits.ansatze.registry import ANSATZE
    from qtha_lab.simulators.registry import ENGINES

    declared = tuple(point.value.partition(":")[0] for point in declared_by_packages())
    modules = OUR_METHODS.modules | ANSATZE.modules | ENGINES.modules | HEADS.modules
    if all(module.startswith(("qtha_lab.", *declared)) for module in modules):
        cached_declarations("methods", PACKAGES, _facts)
        cached_declarations("engines", PACKAGES, _live_engines)
        cached_declarations("heads", ("adapters/heads",), _live_heads)
        cached_method_styles()


@functools.cache
def _cached_entries() -> dict[str, MethodEntry]:
    return {each["name"]: _from(each) for each in cached_declarations("methods", PACKAGES, _facts)}


def _from(facts: dict[str, Any]) -> MethodEntry:
    settings = {each["name"]: _setting(each) for each in facts["settings"]}
    return MethodEntry(**{**facts, "settings": settings})


def _facts() -> list[dict[str, Any]]:
    """Convert the entries to values that JSON can hold."""
    return [
        vars(entry) | {"settings": [_plain(setting) for setting in entry.settings.values()]}
        for entry in _live_entries().values()
    ]


def _plain(setting: Setting) -> dict[str, Any]:
    choices = list(setting.choices)
    kind = setting.type.__name__ if setting.type.__name__ in _TYPES else "object"
    return dataclasses.asdict(dataclasses.replace(setting, choices=())) | {
        "type": kind,
        "choices": choices,
    }


def _setting(plain: dict[str, Any]) -> Setting:
    kind, default = _TYPES[plain["type"]], plain["default"]
    if kind in (tuple, set) and default is not None:
        default = kind(default)
    return Setting(**plain | {"type": kind, "default": default, "choices": tuple(plain["choices"])})


ALPHAS = ("lora_alpha", "alpha")  # settings of a method's scale; if omitted, alpha follows r


def written_out(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options in declared order with normalised numbers.

    A whole number for a fraction becomes `16` instead of `16.0`.

    Example:
        >>> written_out("qtha", {"waist": 16, "alpha": 8.0, "r": 4})
        {'r': 4, 'alpha': 8, 'waist': 16}
    """
    if not options:  # avoids loading the declarations
        return {}
    declared = options_of(method)
    place = {name: number for number, name in enumerate(declared)}
    names = sorted(options, key=lambda name: (place.get(name, len(place)), name))
    return {name: _number(options[name], declared.get(name)) for name in names}


def without_defaults(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the non-default options in canonical form, equal for equal meanings.

    An alpha is retained beside a non-default r, because an omitted alpha follows r.

    Example:
        >>> without_defaults("lora", {"lora_alpha": 16, "r": 4})
        {'r': 4, 'lora_alpha': 16}
        >>> without_defaults("lora", {"lora_alpha": 16, "r": 8})
        {}
    """
    declared = options_of(method) if options else {}
    written = written_out(method, options)
    differing = {
        name
        for name, value in written.items()
        if name not in declared or value != declared[name].default
    }
    if "r" in differing:
        differing.update(ALPHAS)
    return {name: value for name, value in written.items() if name in differing}


def options_of(method: str) -> Mapping[str, Setting]:
    """Return the declared options of a method; empty for an unknown method."""
    try:
        return method_entry(method).settings
    except Refusal as reason:
        log.debug("options are taken as they are: %s", reason)
        return {}


def _number(value: Any, declared: Setting | None) -> Any:
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return int(value) if is_whole and declared and declared.type is float else value

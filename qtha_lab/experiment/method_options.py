"""Canonical form of a method's options: declared order and one number format.

Refuses nothing: an unknown method or option follows the known ones unchanged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting
from qtha_lab.experiment.method_list import method_entry

log = logging.getLogger(__name__)
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

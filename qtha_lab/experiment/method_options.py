"""One way to write a method's options, however they were typed: the order declared, numbers in one form.

Refuses nothing: an unknown method or option is written after the known ones, as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting
from qtha_lab.experiment.method_list import method_entry

log = logging.getLogger(__name__)
ALPHAS = ("lora_alpha", "alpha")  # what sets the scale of a method; left open, it follows r


def written_out(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options in the order declared, a whole number where a fraction may stand as `16`, not `16.0`.

    Example:
        >>> written_out("qtha", {"waist": 16, "alpha": 8.0, "r": 4})
        {'r': 4, 'alpha': 8, 'waist': 16}
    """
    if not options:  # nothing to be loaded for
        return {}
    declared = _declared(method)
    place = {name: number for number, name in enumerate(declared)}
    names = sorted(options, key=lambda name: (place.get(name, len(place)), name))
    return {name: _number(options[name], declared.get(name)) for name in names}


def without_defaults(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not at their default, written out: equal for two that mean the same.

    An alpha stays beside an r that is not the default: left open it would follow r.

    Example:
        >>> without_defaults("lora", {"lora_alpha": 16, "r": 8}), without_defaults("lora", {"lora_alpha": 16, "r": 4})
        ({}, {'r': 4, 'lora_alpha': 16})
    """
    declared = _declared(method) if options else {}
    written = written_out(method, options)
    differing = {
        name
        for name, value in written.items()
        if name not in declared or value != declared[name].default
    }
    if "r" in differing:
        differing.update(ALPHAS)
    return {name: value for name, value in written.items() if name in differing}


def _declared(method: str) -> Mapping[str, Setting]:
    try:
        return method_entry(method).settings
    except Refusal as reason:
        log.debug("options are taken as they are: %s", reason)
        return {}


def _number(value: Any, declared: Setting | None) -> Any:
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return int(value) if is_whole and declared and declared.type is float else value

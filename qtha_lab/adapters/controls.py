"""Classical controls of a method: the same adapter without its quantum part.

A claim about a quantum adapter needs a comparison with its controls. A method declares them in its
file (`@method(controls=…)`); this module looks them up and runs nothing.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from qtha_lab.adapters.method import Control
from qtha_lab.adapters.registry import get_method, method_names

__all__ = ["Control", "controlled_methods", "controls_of"]


def controlled_methods() -> list[str]:
    """List the methods that declare controls, those with most controls first.

    Example:
        >>> controlled_methods()
        ['qtha', 'qtha_gradient', 'qpa', 'qtha_shared', 'quantum_train', 'prequant']
    """
    controlled = [name for name in method_names() if get_method(name).controls]
    return sorted(controlled, key=lambda name: -len(get_method(name).controls))


def controls_of(method: str, options: Mapping[str, Any]) -> list[Control]:
    """List the controls of a method with the given options; empty for other methods.

    Args:
        method: Name of the method.
        options: Options as for `Method.make_config`; a control keeps those that it does not change.

    Returns:
        The controls with all their options, without controls that change nothing here.

    Example:
        >>> [control.options for control in controls_of("qtha", {"r": 4})][:2]
        [{'r': 4, 'use_circuit': False}, {'r': 4, 'use_circuit': False, 'use_linear': False}]
    """
    if method not in method_names():
        return []
    controls, of = [], get_method(method)
    defaults = {name: setting.default for name, setting in of.settings().items()}
    for control in of.controls:
        rest = {name: value for name, value in options.items() if name not in control.without}
        changed = {**rest, **control.options}
        if defaults | changed != defaults | dict(options):
            controls.append(dataclasses.replace(control, method=method, options=changed))
    return controls

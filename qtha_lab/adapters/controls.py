"""Classical controls of a method: the same adapter without the part that is said to matter.

A claim about a quantum adapter means something only beside them. A method states its own in its file
(`@method(controls=…)`); here they are looked up. Nothing runs.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from qtha_lab.adapters.method import Control
from qtha_lab.adapters.registry import get_method, method_names

__all__ = ["Control", "controlled_methods", "controls_of"]


def controlled_methods() -> list[str]:
    """The methods that state controls, those with most of them first.

    Example:
        >>> controlled_methods()
        ['qtha', 'qtha_gradient', 'qpa', 'quantum_train', 'prequant']
    """
    controlled = [name for name in method_names() if get_method(name).controls]
    return sorted(controlled, key=lambda name: -len(get_method(name).controls))


def controls_of(method: str, options: Mapping[str, Any]) -> list[Control]:
    """The controls of a method with these options; none for a method that states none.

    Args:
        method: Its name.
        options: As for `Method.make_config`; a control keeps those that it does not change.

    Returns:
        The controls, each with all its options. One that changes nothing here is left out.

    Example:
        >>> [control.options for control in controls_of("qtha", {"r": 4})][:2]
        [{'r': 4, 'use_circuit': False}, {'r': 4, 'use_circuit': False, 'use_linear': False}]
    """
    if method not in method_names():
        return []
    controls = []
    for control in get_method(method).controls:
        rest = {name: value for name, value in options.items() if name not in control.without}
        changed = {**rest, **control.options}
        if changed != dict(options):
            controls.append(dataclasses.replace(control, method=method, options=changed))
    return controls

"""Registry of methods by name: ours, PEFT's and `none`.

Ours are found in the files of this folder, PEFT's are in `peft_methods`.
"""

from qtha_lab.adapters.method import Method
from qtha_lab.adapters.none import HEAD_ALONE
from qtha_lab.adapters.peft import OUR_METHODS
from qtha_lab.adapters.peft_methods import PEFT_METHODS
from qtha_lab.core.settings import unknown


def method_names() -> list[str]:
    """List all methods that change a layer: ours first, then PEFT's."""
    return [*OUR_METHODS, *PEFT_METHODS]


def get_method(name: str) -> Method:
    """Return the method of a name, or `none`, training without an adapter.

    Raises:
        Refusal: If the name is unknown, with the nearest name.
    """
    method = OUR_METHODS.get(name) or PEFT_METHODS.get(name)
    if name == HEAD_ALONE.name:
        return HEAD_ALONE
    if method is None:
        raise unknown("method", str(name), [*method_names(), HEAD_ALONE.name])
    return method


def method_of(config) -> Method | None:
    """Return the method of a PEFT config, or None for an unlisted method."""
    for name in (*method_names(), HEAD_ALONE.name):
        candidate = get_method(name)
        if isinstance(config, candidate.config_class) and candidate.owns(config):
            return candidate
    return None

"""Methods by name: ours are found in the files beside this one, peft's come from `peft_methods`; `none` is beside both."""

from qtha_lab.adapters.method import Method
from qtha_lab.adapters.none import HEAD_ALONE
from qtha_lab.adapters.peft import OUR_METHODS
from qtha_lab.adapters.peft_methods import PEFT_METHODS
from qtha_lab.core.settings import unknown


def method_names() -> list[str]:
    """All methods that change a layer: ours first, then peft's."""
    return [*OUR_METHODS, *PEFT_METHODS]


def get_method(name: str) -> Method:
    """The method of that name, or `none`, the choice of no adapter.

    Raises:
        Refusal: If there is none, with the nearest name.
    """
    method = OUR_METHODS.get(name) or PEFT_METHODS.get(name)
    if name == HEAD_ALONE.name:
        return HEAD_ALONE
    if method is None:
        raise unknown("method", str(name), [*method_names(), HEAD_ALONE.name])
    return method


def method_of(config) -> Method | None:
    """The method a PEFT config belongs to, or None for a peft method we do not list."""
    for name in (*method_names(), HEAD_ALONE.name):
        candidate = get_method(name)
        if isinstance(config, candidate.config_class) and candidate.owns(config):
            return candidate
    return None

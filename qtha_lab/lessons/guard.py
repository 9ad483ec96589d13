"""Protection of the grader: no answer replaces a function that grades, or leaves state behind.

References are taken when the desk is imported, before the reader's code runs. A replaced function
is put back, and the answer that replaced it is refused.
"""

import builtins
import contextlib
import importlib
import io
import logging
import math
import os
import random
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from qtha_lab.core.reader_page import in_notebook

log = logging.getLogger(__name__)

OF_PAGES = ("print", "input", "open", "display", "get_ipython", "exit", "quit", "help", "_")
MODULES = (
    "builtins",
    "math",
    "copy",
    "numpy",
    "numpy.linalg",
    "numpy._core.numeric",
    "numpy._core.fromnumeric",
    "numpy._core._methods",
    "torch",
    "torch.linalg",
    "torch.nn.functional",
    "torch.testing",
)
MOST_PRINTED = 2_000  # characters of an answer's output
_originals: dict[Any, dict[str, Any]] = {}


def protect(holder: Any) -> None:
    """Note the functions of a module or class, unless they are noted already."""
    if holder not in _originals:
        names = {name: value for name, value in vars(holder).items() if _is_noted(holder, value)}
        _originals[holder] = {k: v for k, v in names.items() if k not in OF_PAGES}


def _is_noted(holder: Any, value: Any) -> bool:
    """Return True for parts of a class, functions of a module and types of Python."""
    is_function = callable(value) and not isinstance(value, (type, types.ModuleType))
    return isinstance(holder, type) or is_function or (holder is builtins and callable(value))


def protect_libraries() -> None:
    """Note the functions of Python, NumPy and torch that graders call."""
    for name in MODULES:
        try:
            protect(importlib.import_module(name))
        except ImportError as missing:  # another version, or a page without torch
            log.debug("%s is not protected: %s", name, missing)
    if torch := sys.modules.get("torch"):
        protect(torch.Tensor)


if in_notebook():  # the page imports torch anyway; elsewhere the first answer does
    protect_libraries()
else:
    protect(builtins)
    protect(math)
    protect(np)


def put_back() -> str:
    """Put replaced functions back; return the name of the first, or an empty string."""
    first = ""
    for holder, names in _originals.items():
        present = vars(holder)
        for name in [name for name, value in names.items() if present.get(name) is not value]:
            if _is_library_code(holder, name, present.get(name)):
                names[name] = present[name]
                continue
            setattr(holder, name, names[name])
            first = first or f"{holder.__name__}.{name}"
        for name in _overrides(holder, names):
            delattr(holder, name)
            first = first or f"{holder.__name__}.{name}"
    return first


def _is_library_code(holder: Any, name: str, value: Any) -> bool:
    """Return True for a function that the library itself wraps later, at an import."""
    if not isinstance(value, types.FunctionType) or value.__name__ != name:
        return False
    top = sys.modules.get(holder.__name__.split(".")[0])
    folder = os.path.dirname(getattr(top, "__file__", None) or "")
    return bool(folder) and value.__code__.co_filename.startswith(folder + os.sep)


def put_back_before_grading() -> None:
    """Put functions back that an earlier cell replaced."""
    if name := put_back():
        log.warning("%s was replaced; it is put back before grading", name)


def _overrides(holder: Any, names: dict[str, Any]) -> list[str]:
    """Return new attributes of a class that hide those of its base, such as `Tensor.allclose`."""
    if not isinstance(holder, type):
        return []
    inherited = [vars(base) for base in holder.__mro__[1:]]
    new = [name for name in vars(holder) if name not in names]
    return [name for name in new if any(name in base for base in inherited)]


@contextlib.contextmanager
def unchanged_state() -> Iterator[None]:
    """Restore global state after the block: seeds, threads, dtypes, printing and warnings."""
    undo = [*_states_of_python(), *_states_of_torch()]
    try:
        with warnings.catch_warnings(), np.errstate():
            yield
    finally:
        put_back()
        for restore, value in undo:
            restore(value)


Undo = list[tuple[Callable[[Any], Any], Any]]


def _states_of_python() -> Undo:
    printing = np.get_printoptions()
    return [
        (random.setstate, random.getstate()),
        (np.random.set_state, np.random.get_state()),
        (lambda options: np.set_printoptions(**options), printing),
        (sys.setrecursionlimit, sys.getrecursionlimit()),
    ]


def _states_of_torch() -> Undo:
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    formats = vars(torch._tensor_str.PRINT_OPTS)
    return [
        (torch.set_grad_enabled, torch.is_grad_enabled()),
        (torch.set_default_dtype, torch.get_default_dtype()),
        (torch.set_num_threads, torch.get_num_threads()),
        (torch.set_rng_state, torch.get_rng_state()),
        (_use_deterministic_algorithms, torch.are_deterministic_algorithms_enabled()),
        (formats.update, dict(formats)),
    ]


def _use_deterministic_algorithms(mode: bool) -> None:
    """Restore torch's mode if it changed; setting it imports torch's compiler, for seconds."""
    torch = sys.modules["torch"]
    if torch.are_deterministic_algorithms_enabled() != mode:
        torch.use_deterministic_algorithms(mode)


class Output(io.TextIOBase):
    """Standard output of an answer: limited, and without that of further calls.

    Args:
        page: Stream that shows the first characters.
    """

    def __init__(self, page: Any):
        self.page, self.left, self.is_muted = page, MOST_PRINTED, False

    def write(self, text: str) -> int:
        """Show text within the limit."""
        if not self.is_muted and self.left > 0:
            self.page.write(text[: self.left] + ("…\n" if len(text) > self.left else ""))
            self.left -= len(text)
        return len(text)

    def flush(self) -> None:
        """Flush the page's stream."""
        self.page.flush()


@contextlib.contextmanager
def limited_output() -> Iterator[None]:
    """Limit what the block prints."""
    with contextlib.redirect_stdout(Output(sys.stdout)):  # type: ignore[type-var]
        yield


def mute() -> None:
    """Drop further output of the answer, such as that of its other cases."""
    if isinstance(sys.stdout, Output):
        sys.stdout.is_muted = True

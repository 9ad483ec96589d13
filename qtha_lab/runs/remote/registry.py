"""The registry of remote backends, and their protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qtha_lab.core import call_syntax
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import check_settings, settings_of, unknown
from qtha_lab.experiment.run_directory import RunDir


class RemoteBackend(Protocol):
    """A connected backend, created from its declared settings by `remote_backend_named`.

    Attributes:
        name: Text that connects another process to the same backend (`remote_backend_named`).
    """

    name: str

    def start(self, files: RunDir) -> None:
        """Start a worker on a run as soon as resources are free; return at once.

        Args:
            files: The directory of the run, which must have no worker.
        """
        ...

    def close(self) -> None:
        """Stop running jobs softly, wait for them, and disconnect."""
        ...


REMOTE_BACKENDS: Registry[type] = Registry("remote backend", "qtha_lab.runs.remote", prefix="on_")


def remote_backend(name: str) -> Callable[[type], type]:
    """Register a backend: a dataclass of settings whose `connect()` returns a `RemoteBackend`."""

    def register(kind: type) -> type:
        REMOTE_BACKENDS.add(name, kind, kind.__module__)
        return kind

    return register


def remote_backend_named(text: str) -> RemoteBackend:
    """Connect to a remote backend.

    Args:
        text: `NAME`, `NAME(option=value,…)`, or for the option `address` alone `NAME:ADDRESS`.

    Raises:
        Refusal: If there is no such kind or option, its package is missing, or nothing answers
            there.

    Example:
        >>> remote_backend_named("rey")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown remote backend 'rey': did you mean 'ray'? Known:
            ray, slurm
    """
    head, colon, address = text.partition(":")
    if colon and "(" not in head:
        name, options = head.strip(), {"address": address.strip()}
    else:
        name, options = call_syntax.parse_call(text, "remote backend")
    kind = REMOTE_BACKENDS.get_or_refuse(name)
    for option in options:
        if option not in settings_of(kind):
            raise unknown(f"option of {name}", option, settings_of(kind))
    described = kind(**options)
    check_settings(described)
    return described.connect()


def name_of(name: str, described: Any, **more: Any) -> str:
    """Return the text that names a backend: its kind with the settings beyond the defaults."""
    declared = settings_of(type(described))
    values = {option: getattr(described, option) for option in declared} | more
    return call_syntax.call(name, {k: v for k, v in values.items() if v != declared[k].default})

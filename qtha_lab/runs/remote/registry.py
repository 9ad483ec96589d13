"""The kinds of machines by name, and what each of them must be able to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.errors import Refusal
from qtha_lab.runs.remote.store import Store
from qtha_lab.core.registry import Registry
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.core.settings import check_settings, settings_of, unknown


class RemoteBackend(Protocol):
    """Machines that are connected; made from their declared settings by `remote_backend_named`.

    Attributes:
        name: What another process names to send runs to these very machines (`remote_backend_named`).
        store: Where they find runs and put them; None where they see the folder of runs.
    """

    name: str
    store: Store | None

    def start(self, files: RunDir) -> None:
        """Have a worker started on a run, wherever there is room for it; return at once.

        Args:
            files: The directory of the run, which nobody works on.
        """
        ...

    def close(self) -> None:
        """Stop softly what still runs there, wait for it, and let go of the machines."""
        ...


REMOTE_BACKENDS: Registry[type] = Registry("kind of machines", "qtha_lab.runs.remote", prefix="on_")


def machines(name: str) -> Callable[[type], type]:
    """Register a dataclass whose fields are settings, and whose `connect()` gives `RemoteBackend`, by name.

    Args:
        name: What `--on` calls it.
    """

    def register(kind: type) -> type:
        REMOTE_BACKENDS.add(name, kind, kind.__module__)
        return kind

    return register


def remote_backend_named(text: str) -> RemoteBackend:
    """Connect to machines.

    Args:
        text: `NAME`, `NAME(option=value,…)`, or for the option `address` alone `NAME:ADDRESS`.

    Raises:
        Refusal: If there is no such kind or option, its package is missing, or nothing answers there.

    Example:
        >>> remote_backend_named("rey")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: unknown kind of machines 'rey': did you mean 'ray'? Known: ray, slurm
    """
    head, colon, address = text.partition(":")
    if colon and "(" not in head:
        name, options = head.strip(), {"address": address.strip()}
    else:
        name, options = calls.parse_call(text, "kind of machines")
    kind = REMOTE_BACKENDS.get_or_refuse(name)
    for option in options:
        if option not in settings_of(kind):
            raise unknown(f"option of {name}", option, settings_of(kind))
    described = kind(**options)
    check_settings(described)
    return described.connect()


def name_of(name: str, described: Any, **more: Any) -> str:
    """What names machines: their kind with the settings that are not at their default.

    Args:
        name: Of the kind.
        described: Its settings.
        more: Settings that were found out while connecting.
    """
    declared = settings_of(type(described))
    values = {option: getattr(described, option) for option in declared} | more
    return calls.call(name, {k: v for k, v in values.items() if v != declared[k].default})


def needs(package: str, extra: str) -> Refusal:
    """The refusal of machines whose package is not installed, to be raised.

    Args:
        package: What is missing.
        extra: Which of our extras brings it.
    """
    return Refusal(f"this needs the package {package}: pip install 'qtha-lab[{extra}]'")

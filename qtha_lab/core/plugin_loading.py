"""Import of plugins, whose members register themselves.

A plugin is a Python file or a module. `qtha_lab.plugins` lists what a plugin may import. A plugin
is code and runs with your rights.
"""

import hashlib
import importlib
import importlib.util
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from qtha_lab.core.errors import Refusal, describe_error, message_of
from qtha_lab.core.io import digest, read_bytes, shortened
from qtha_lab.core.io.files import TEXT_LIMIT
from qtha_lab.core.paths import as_path

log = logging.getLogger(__name__)


def load_plugins(names: Iterable[str], digests: Mapping[str, str] | None = None) -> None:
    """Import plugins, so that their members can be used by name.

    A file that has changed since its import is imported again.

    Args:
        names: Paths of Python files, or names of importable modules.
        digests: Required SHA-256 of files by name; None accepts any content.

    Raises:
        Refusal: If a plugin does not exist, fails to import, or registers a taken name.
    """
    for name in names:
        if name.endswith(".py"):
            _load_file(as_path(name), (digests or {}).get(name))
        else:
            _load_module(name)


def fingerprints(names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of the source of each plugin, by name, for the run record.

    Raises:
        Refusal: If there is no such plugin.
    """
    limits = {name: TEXT_LIMIT if name.endswith(".py") else None for name in names}
    return {name: digest(_source(name), limit) for name, limit in limits.items()}


def _source(name: str) -> Path:
    if name.endswith(".py"):
        file = as_path(name)
        if not file.is_file():
            raise Refusal(f"A plugin file must exist, got {shortened(name)}.")
        return file
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError) as reason:
        log.debug("no module %s: %s", name, reason)
        spec = None
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        raise Refusal(
            "A plugin must be a module that can be imported or a file that ends in .py, "
            f"got {shortened(name)!r}."
        )
    return Path(spec.origin)


def _load_module(name: str) -> None:
    _source(name)
    try:
        importlib.import_module(name)
        log.debug("plugin %s is imported", name)
    except BaseException as problem:  # foreign code may raise anything, even SystemExit
        raise _refusal(name, problem) from problem


def module_name(name: str) -> str:
    """Return the module name of a plugin.

    The name of a file's module derives from its path, so that its next version replaces it.
    """
    if not name.endswith(".py"):
        return name
    return f"qtha_lab_plugin_{re.sub(r'[^0-9A-Za-z]', '_', str(as_path(name).resolve()))}"


def _load_file(file: Path, expected: str | None = None) -> None:
    source = read_bytes(_source(str(file)))
    name = module_name(str(file))
    fingerprint = hashlib.sha256(source).hexdigest()
    if expected is not None and fingerprint != expected:
        raise Refusal(
            f"Plugin {shortened(file, 160)} must not change while it is loaded. Try again."
        )
    if getattr(sys.modules.get(name), "__fingerprint__", None) == fingerprint:
        return
    module = ModuleType(name)
    module.__file__ = str(file)
    module.__dict__["__fingerprint__"] = fingerprint
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        exec(compile(source, str(file), "exec"), module.__dict__)
        log.info("plugin %s is imported, SHA-256 %.12s", file, fingerprint)
    except BaseException as problem:  # as above
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise _refusal(str(file), problem) from problem


def _refusal(name: str, problem: BaseException) -> Refusal:
    shown = shortened(name)
    if isinstance(problem, Refusal):
        return Refusal(f"Plugin {shown}: {message_of(problem, 200)}")
    line = next(
        (f":{t.tb_lineno}" for t in _frames(problem) if t.tb_frame.f_code.co_filename == name), ""
    )
    return Refusal(f"Plugin {shown}{line} must be importable, got {describe_error(problem)}.")


def _frames(problem: BaseException):
    frame = problem.__traceback__
    frames = []
    while frame:
        frames.append(frame)
        frame = frame.tb_next
    return reversed(frames)

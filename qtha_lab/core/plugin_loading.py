"""Import of plugins, whose members register themselves.

A plugin is a Python file or a module. `qtha_lab.plugins` lists what a plugin may import. A plugin
is code and runs with your rights.
"""

import hashlib
import importlib
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from qtha_lab.core.errors import Refusal, describe_error, message_of
from qtha_lab.core.io import read_bytes, shortened
from qtha_lab.core.paths import as_path
from qtha_lab.core.plugin_files import code_digest, plugin_file

log = logging.getLogger(__name__)


def load_plugins(
    names: Iterable[str], digests: Mapping[str, str] | None = None, received: Path | None = None
) -> None:
    """Import plugins, so that their members can be used by name.

    A file that has changed since its import is imported again.

    Args:
        names: Paths of Python files, or names of importable modules.
        digests: Required digests by name, see `fingerprints`; None accepts any content.
        received: Folder that names the plugins.

    Raises:
        Refusal: If a plugin does not exist, fails to import, or registers a taken name.
    """
    for name in names:
        expected = (digests or {}).get(name)
        if name.endswith(".py"):
            _load_file(as_path(name), expected)
        else:
            _load_module(name, expected, received)


def fingerprints(names: Iterable[str], received: Path | None = None) -> dict[str, str]:
    """Return the SHA-256 of the code of each plugin, by name, for the run record.

    Imports nothing; see `plugin_files.code_digest`.

    Raises:
        Refusal: If there is no such plugin.
    """
    return {name: code_digest(name, received) for name in names}


def _load_module(name: str, expected: str | None, received: Path | None) -> None:
    _check_unchanged(name, code_digest(name, received), expected)
    try:
        _FINDER.packages.add(name.partition(".")[0])
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        importlib.import_module(name)
        log.debug("plugin %s is imported", name)
    except BaseException as problem:  # foreign code may raise anything, even SystemExit
        raise _refusal(name, problem) from problem


def _check_unchanged(name: str | Path, fingerprint: str, expected: str | None) -> None:
    if expected is not None and fingerprint != expected:
        raise Refusal(
            f"Plugin {shortened(name, 160)} must not change while it is loaded. Try again."
        )


class _SourceLoader(SourceFileLoader):
    """Loader that compiles source: bytecode beside it has no digest, and could hold other code."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Report no time of the source, so that no bytecode is read or written."""
        raise OSError("bytecode of a plugin is not read")


class _SourceFinder(MetaPathFinder):
    """Import finder for the packages of plugins, also for their later imports."""

    packages: ClassVar[set[str]] = set()

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        """Return the specification of other finders, with a loader of source."""
        if fullname.partition(".")[0] not in self.packages:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next(filter(None, specs), None)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _SourceLoader(fullname, spec.loader.path)
        return spec


_FINDER = _SourceFinder()


def module_name(name: str) -> str:
    """Return the module name of a plugin.

    The name of a file's module derives from its path, so that its next version replaces it.
    """
    if not name.endswith(".py"):
        return name
    return f"qtha_lab_plugin_{re.sub(r'[^0-9A-Za-z]', '_', str(as_path(name).resolve()))}"


def _load_file(file: Path, expected: str | None = None) -> None:
    source = read_bytes(plugin_file(str(file)))
    name = module_name(str(file))
    fingerprint = hashlib.sha256(source).hexdigest()
    _check_unchanged(file, fingerprint, expected)
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
    if issubclass(type(problem), Refusal):  # `isinstance` reads `__class__`, which may be code
        return Refusal(f"Plugin {shown}: {message_of(problem, 200)}")
    line = next(
        (f":{t.tb_lineno}" for t in _frames(problem) if t.tb_frame.f_code.co_filename == name), ""
    )
    return Refusal(f"Plugin {shown}{line} must be importable, got {describe_error(problem)}.")


def _frames(problem: BaseException):
    frame = vars(BaseException)["__traceback__"].__get__(problem)  # a class may define it as code
    frames = []
    while frame:
        frames.append(frame)
        frame = frame.tb_next
    return reversed(frames)

"""Import of plugins, whose members register themselves.

A plugin is a Python file or a module. `qtha_lab.plugins` lists what a plugin may import. A plugin
is code and runs with your rights.

`importlib.util.find_spec("a.b")` imports `a`, so that a name alone could run code. Here the folders
of each package are searched for the next part of the name. `plugin_loading` imports plugins.
"""

import hashlib
import importlib
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import machinery
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

from qtha_lab.core.errors import Refusal, describe_error, message_of
from qtha_lab.core.io import digest, read_bytes, shortened
from qtha_lab.core.io.files import TEXT_LIMIT
from qtha_lab.core.paths import as_path, runs_dir

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


LOADERS = (
    (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
    (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
    (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
)
SUFFIXES = tuple(machinery.all_suffixes())
DESCRIPTIONS = ("experiment.yaml", "comparison.yaml", "sweep.yaml", "federation.yaml")
MOST_FILES = 20_000  # files of a package, of any kind


class Level(NamedTuple):
    """Module or package of a dotted name; a namespace package has folders but no file."""

    file: Path | None
    folders: list[Path]


def code_digest(name: str, received: Path | None = None) -> str:
    """Compute the SHA-256 of the code of a plugin.

    The code of a module in a package is every code file of the outermost package with an
    `__init__`, else of the namespace package that holds the module.

    Raises:
        Refusal: If there is no such plugin, or its module is below a runs folder or `received`.
    """
    if name.endswith(".py"):
        return digest(plugin_file(name), TEXT_LIMIT)
    levels = list(_levels(name))
    module = levels[-1].file if levels else None
    if module is None or not module.is_file():
        raise Refusal(
            "A plugin must be a module that can be imported or a file that ends in .py, "
            f"got {shortened(name)!r}."
        )
    _check_places(name, levels, received)
    regular = (level.folders for level in levels if level.file and level.folders)
    folders = next(regular, levels[-2].folders if len(levels) > 1 else [])
    return _digest_of(_code_files(name, folders)) if folders else digest(module)


def plugin_file(name: str) -> Path:
    """Return the path of a plugin that is a Python file; refuse a missing one."""
    file = as_path(name)
    if not file.is_file():
        raise Refusal(f"A plugin file must exist, got {shortened(name)}.")
    return file


def _levels(name: str) -> Iterator[Level]:
    """Yield the packages of a module and the module; nothing if one is missing."""
    top, *parts = name.split(".")
    try:
        spec = importlib.util.find_spec(top) if top else None  # imports nothing: it has no parent
    except (ImportError, ValueError) as reason:
        log.debug("no module %s: %s", top, reason)
        spec = None
    found = [_level(spec)] if spec else []
    for part in parts:
        if found and (inner := _search(part, found[-1].folders)):
            found.append(inner)
        else:
            return
    yield from found


def _level(spec: machinery.ModuleSpec) -> Level:
    file = Path(spec.origin) if spec.origin and spec.has_location else None
    return Level(file, [Path(folder) for folder in spec.submodule_search_locations or ()])


def _search(part: str, folders: Iterable[Path]) -> Level | None:
    """Find a module in the folders of its package; None if it is missing."""
    portions: list[Path] = []
    for folder in folders:
        spec = machinery.FileFinder(str(folder), *LOADERS).find_spec(part)
        if spec and spec.loader:
            return _level(spec)
        portions += _level(spec).folders if spec else []
    return Level(None, portions) if portions else None


def _check_places(name: str, levels: Iterable[Level], received: Path | None) -> None:
    """Refuse a module below a runs folder, and a package that is a run."""
    closed = [folder.resolve() for folder in (runs_dir(), received) if folder]
    for level in levels:
        for place in (*level.folders, *([level.file] if level.file else [])):
            inside = any(place.resolve().is_relative_to(folder) for folder in closed)
            if inside or any((place / description).is_file() for description in DESCRIPTIONS):
                raise Refusal(
                    f"The module of a plugin must be outside of runs folders, got "
                    f"{shortened(name, 60)!r} in {shortened(place, 100)}. Install its package, or "
                    "name its file."
                )


def _code_files(name: str, folders: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yield relative name and path of every file of a package that Python can import.

    Links are followed, each folder once. The runs folder does not count, and bytecode of source
    files does not: `plugin_loading` reads none.
    """
    seen, count = {os.path.realpath(runs_dir())}, 0
    for root in folders:
        for place, inner, files in os.walk(root, followlinks=True):
            inner[:] = sorted(part for part in inner if part[0] != "." and part != "__pycache__")
            inner[:] = [part for part in inner if _is_new(os.path.join(place, part), seen)]
            if (count := count + len(files)) > MOST_FILES:
                raise Refusal(
                    f"The package of a plugin must have at most {MOST_FILES} files, got more in "
                    f"{shortened(name)!r}."
                )
            for path in (os.path.join(place, file) for file in sorted(files)):
                if path.endswith(SUFFIXES) and os.path.isfile(path):
                    yield os.path.relpath(path, root), path


def _is_new(folder: str, seen: set[str]) -> bool:
    """Return True for a folder that was not seen before, and record it as seen."""
    real = os.path.realpath(folder)
    return real not in seen and not seen.add(real)


def _digest_of(files: Iterable[tuple[str, str]]) -> str:
    lines = (f"{digest(Path(path))} {part!r}\n" for part, path in files)
    return hashlib.sha256("".join(lines).encode("utf-8", "backslashreplace")).hexdigest()

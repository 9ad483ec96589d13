"""Files of a plugin, found by name without an import.

`importlib.util.find_spec("a.b")` imports `a`, so that a name alone could run code. Here the folders
of each package are searched for the next part of the name. `plugin_loading` imports plugins.
"""

import hashlib
import importlib.util
import logging
import os
from collections.abc import Iterable, Iterator
from importlib import machinery
from pathlib import Path
from typing import NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import digest, shortened
from qtha_lab.core.io.files import TEXT_LIMIT
from qtha_lab.core.paths import as_path, runs_dir

log = logging.getLogger(__name__)

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

    Args:
        name: Path of a Python file, or name of a module.
        received: Folder that names the plugin.

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

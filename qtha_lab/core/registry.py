"""Entry points of other packages in this environment, read once per `sys.path`.

Reading the metadata of every package takes 0.1 s.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import pkgutil
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from qtha_lab.core.errors import Refusal, describe_error
from qtha_lab.core.paths import runs_dir
from qtha_lab.core.settings import unknown


def entry_points(group: str) -> importlib.metadata.EntryPoints:
    """Return the entry points of a group, such as "qtha_lab.methods".

    They are read again after `sys.path` has changed. A package in the runs folder has none: its
    members would be imported without consent.

    Example:
        >>> names = [point.name for point in entry_points("pennylane.plugins")]
        >>> "qtha.cpu" in names
        True
    """
    runs = runs_dir().resolve()
    points = _all(tuple(sys.path)).select(group=group)
    return importlib.metadata.EntryPoints(point for point in points if not _is_below(point, runs))


def _is_below(point: importlib.metadata.EntryPoint, folder: Path) -> bool:
    """Return True for an entry point of a package that lies in a folder."""
    if point.dist is None:
        return False
    return Path(str(point.dist.locate_file(""))).resolve().is_relative_to(folder)


@functools.lru_cache(maxsize=4)
def _all(path: tuple[str, ...]) -> Any:  # `EntryPoints`, or its equivalent in Python 3.11
    return importlib.metadata.entry_points()


Member = TypeVar("Member")
log = logging.getLogger(__name__)


class Registry(Mapping[str, Member], Generic[Member]):
    """Mapping of registered members in alphabetical order; reading discovers them first.

    Args:
        kind: Noun for a member in messages.
        package: Package whose files are imported to find members.
        prefix: Prefix of the names of imported files.
        group: Entry point group for members of other packages.

    Example:
        >>> words = Registry("word", "json")
        >>> words.add("hello", 5, module="a")
        >>> words["hello"], list(words)
        (5, ['hello'])
        >>> words.get_or_refuse("helo")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown word 'helo': did you mean 'hello'? Known: hello
    """

    def __init__(self, kind: str, package: str, *, prefix: str = "", group: str = "") -> None:
        self.kind, self.package, self.prefix, self.group = kind, package, prefix, group
        self.broken: dict[str, str] = {}  # entry points that could not be imported, with the reason
        self._members: dict[str, Member] = {}
        self._modules: dict[str, str] = {}
        self._discovery = threading.RLock()
        self._is_loading = self._complete = False
        self.revision = 0  # increases whenever a member is added or removed

    def add(self, name: str, member: Member, module: str) -> None:
        """Register a member; the same file may register it again with a new value.

        Args:
            name: Name of the member.
            member: Object to register.
            module: Module that registers it.

        Raises:
            Refusal: If another file registered the name.
        """
        owner = self._modules.setdefault(name, module)
        if owner != module:
            article = "an" if self.kind[0] in "aeiou" else "a"
            raise Refusal(
                f"The name of {article} {self.kind} must be new, got {name!r}, which {owner} has. "
                f"Rename the one in {module}."
            )
        self._members[name] = member
        self.revision += 1

    def discover(self) -> None:
        """Import all modules that may hold members, once; concurrent callers wait."""
        if self._complete:
            return
        with self._discovery:
            if not self._is_loading:  # if begun, a file that is being imported calls this
                self._is_loading = True
                try:
                    self._import_members()
                    self._complete = True
                finally:
                    self._is_loading = False

    def _import_members(self) -> None:
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.startswith(self.prefix):
                importlib.import_module(f"{self.package}.{module.name}")
        for point in entry_points(self.group) if self.group else ():
            try:
                point.load()
            except (
                BaseException
            ) as problem:  # foreign code may raise anything, even SystemExit or KeyboardInterrupt
                package_name = point.dist.name if point.dist else point.value
                self.broken[point.name] = (
                    f"package {package_name} does not import ({describe_error(problem)})"
                )
                log.warning(
                    "%s %s was not loaded: %s", self.kind, point.name, self.broken[point.name]
                )

    def get_or_refuse(self, name: str) -> Member:
        """Return the member of a name; refuse an unknown one.

        Raises:
            Refusal: If the name is unknown, with the nearest name or the import error.
        """
        if name not in self:
            if name in self.broken:
                raise Refusal(f"{self.kind} {name!r} cannot be loaded: {self.broken[name]}")
            raise unknown(self.kind, str(name), self)
        return self[name]

    def forget(self, module: str) -> None:
        """Remove the members that one module registered."""
        for name in self.names_of(module):
            del self._members[name], self._modules[name]
            self.revision += 1

    @property
    def modules(self) -> set[str]:
        """Modules that registered members."""
        return set(self._modules.values())

    def module_of(self, name: str) -> str:
        """Return the module that registered a member."""
        return self._modules[name]

    def names_of(self, module: str) -> list[str]:
        """Return the sorted names of the members that one module registered."""
        return sorted(name for name, owner in self._modules.items() if owner == module)

    def __getitem__(self, name: str) -> Member:
        self.discover()
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        self.discover()
        return iter(sorted(self._members))

    def __len__(self) -> int:
        self.discover()
        return len(self._members)

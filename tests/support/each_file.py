"""Checks of every Python file of the package, as one test with all failures together.

A test per file costs thousands of temporary folders and names for a few milliseconds of work.
"""

import ast
import functools
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "qtha_lab").rglob("*.py"), *(ROOT / "widgets").rglob("*.py")])


@functools.cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file, parsed once per process."""
    return ast.parse(path.read_text(encoding="utf-8"))


def for_each_file(check: Callable[[Path], None]) -> Callable[[], None]:
    """Make a test that runs a check for every file, and fails with all its messages."""

    def test() -> None:
        failures = []
        for path in FILES:
            try:
                check(path)
            except AssertionError as failure:
                failures.append(f"{path.relative_to(ROOT)}: {failure}")
        assert not failures, "\n".join(failures)

    test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
    return test

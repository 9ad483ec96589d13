"""Write docs/results/strangers.md: what strangers bring, from the lists of the tests.

`python tools/strangers.py` writes the page. A test compares it with the lists.
"""

import importlib
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results" / "strangers.md"
CIRCUITS = 200  # random ones, by each of two routes
HEADING = (
    "| what strangers bring | tried | works | refused in a sentence | tests |\n" + 5 * "|---" + "|"
)


def rows() -> list[tuple[str, int, int, int, str]]:
    """Return what is brought, and how many are tried, work and are refused."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    files = importlib.import_module("tests.tasks.test_forty_files")
    folders = importlib.import_module("tests.models.test_thirty_folders")
    mistakes = importlib.import_module("tests.testing.planted_mistakes").MISTAKES
    shared = importlib.import_module("tests.adapters.test_shared_adapters")
    trained = sum(len(models) for models in (folders.WRITES, folders.REWRITES, folders.CLASSIFIES))
    works, bad, refused = len(files.WORKS), len(files.BAD), len(folders.REFUSED)
    options = len(shared.REFUSED_OPTIONS)
    return [
        ("files of data", works + bad, works, bad, "tests/tasks/test_forty_files.py"),
        (
            "model folders",
            trained + refused,
            trained,
            refused,
            "tests/models/test_thirty_folders.py",
        ),
        ("random circuits", CIRCUITS, CIRCUITS, 0, "tests/circuits/test_circuit_imports.py"),
        *(
            (f"mistakes of a plugin: {family}", count, 0, count, "tests/testing")
            for family, count in Counter(mistake.family for mistake in mistakes).items()
        ),
        (
            "options of PEFT's LoRA",
            options + 2,
            2,
            options,
            "tests/adapters/test_shared_adapters.py",
        ),
    ]


def page() -> str:
    """Return the page."""
    lines = ["| {} | {} | {} | {} | `{}` |".format(*row) for row in rows()]
    text = "\n".join(lines)
    return (
        "# What strangers bring: tried, works, refused\n\n"
        "`python tools/strangers.py` writes this page from the lists of the tests.\n\n"
        f"{HEADING}\n{text}\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""The table of what strangers bring counts the lists of the tests."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
STRANGERS = runpy.run_path(str(ROOT / "tools" / "strangers.py"))


def test_the_table_is_that_of_the_lists():
    assert STRANGERS["PAGE"].read_text(encoding="utf-8") == STRANGERS["page"]()


def test_every_use_names_a_test_that_exists():
    for _, result, file, name in STRANGERS["USES"]:
        assert f"def test_{name}(" in (ROOT / file).read_text(encoding="utf-8")
        assert result in ("works", "refused", "named")


def test_the_lists_have_the_length_that_the_specification_asks_for():
    tried = {brought: count for brought, count, *_ in STRANGERS["rows"]()}
    assert tried["files of data"] >= 40
    assert tried["model folders"] >= 30
    assert sum(count for brought, count in tried.items() if "mistakes" in brought) >= 54
    assert tried["random circuits"] >= 200

"""The table of what strangers bring counts results, and all that the tests list is in it."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
STRANGERS = runpy.run_path(str(ROOT / "tools" / "strangers.py"), run_name="strangers")
PAGE = STRANGERS["PAGE"].read_text(encoding="utf-8")
RESULTS = """
<testsuites><testsuite>
<testcase classname="tests.tasks.test_forty_files"
  name="test_an_ordinary_file_has_its_kind_and_gives_batches[a.csv]" />
<testcase classname="tests.tasks.test_forty_files"
  name="test_an_ordinary_file_has_its_kind_and_gives_batches[b.csv]"><failure>no</failure></testcase>
<testcase classname="tests.tasks.test_forty_files"
  name="test_a_file_that_means_nothing_is_refused_in_one_sentence[c.csv]" />
<testcase classname="tests.testing.test_planted_mistakes"
  name="test_a_planted_mistake_is_reported_in_its_sentence[head: slow]" />
<testcase classname="tests.models.test_thirty_folders" name="test_a_folder_of_gguf_is_named"
  ><skipped>no</skipped></testcase>
</testsuite></testsuites>
"""


def counted() -> dict[str, tuple[int, ...]]:
    """Return tried, works, refused and failed of every row of the page."""
    row = re.compile(r"\| ([^|]+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|")
    return {name: tuple(map(int, numbers)) for name, *numbers in row.findall(PAGE)}


def test_only_cases_whose_test_has_passed_work_or_are_refused(tmp_path):
    (tmp_path / "results.xml").write_text(RESULTS)
    outcomes = STRANGERS["Outcomes"]()
    outcomes.read(tmp_path / "results.xml")
    table = {name: numbers for name, *numbers, _ in STRANGERS["rows"](outcomes)}
    assert table["files of data"] == [3, 1, 1, 1]
    assert table["mistakes of a plugin: head"] == [1, 0, 1, 0]
    seen = {test: result for _, result, test in STRANGERS["uses"](outcomes)}
    assert (
        seen["tests/models/test_thirty_folders.py::test_a_folder_of_gguf_is_named"] == "not shown"
    )


def test_every_counted_test_exists():
    for node in STRANGERS["tests"]():
        file, _, name = node.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), node


def test_the_page_has_every_file_folder_and_mistake():
    files = runpy.run_path(str(ROOT / "tests" / "tasks" / "test_forty_files.py"))
    folders = runpy.run_path(str(ROOT / "tests" / "models" / "test_thirty_folders.py"))
    mistakes = runpy.run_path(str(ROOT / "tests" / "testing" / "planted_mistakes.py"))["MISTAKES"]
    works, bad = len(files["WORKS"]), len(files["BAD"])
    trained = sum(len(folders[name]) for name in ("WRITES", "REWRITES", "CLASSIFIES"))
    refused, table = len(folders["REFUSED"]), counted()
    assert table["files of data"] == (works + bad, works, bad, 0)
    assert table["model folders"] == (trained + refused, trained, refused, 0)
    of_plugins = [numbers for name, numbers in table.items() if "plugin" in name]
    assert sum(numbers[2] for numbers in of_plugins) == len(mistakes) >= 54
    assert "not shown" not in PAGE.partition("| use | result | test |")[2]


def test_the_page_tries_as_many_as_the_specification_asks_for_and_nothing_failed():
    table = counted()
    assert table["files of data"][0] >= 40
    assert table["model folders"][0] >= 30
    assert table["random circuits, each by four routes"][0] >= 4 * 200
    assert {numbers[3] for numbers in table.values()} == {0}

"""`qtha-lab new-plugin` writes a file of every family that keeps to the contract."""

import ast
import json

import pytest
from support.command_line import call

from qtha_lab import testing
from qtha_lab.core.errors import Refusal
from qtha_lab.testing.checking import registries
from qtha_lab.testing.new_plugin import EXAMPLES, new_plugin

pytestmark = pytest.mark.usefixtures("no_plugin_stays")
NEW_NAMES = {"gate": "Mine", "exercise": "99.1"}


def test_every_family_has_an_example():
    assert set(EXAMPLES) == {registry.kind for registry in registries()}


@pytest.mark.parametrize("family", EXAMPLES)
def test_a_new_plugin_passes_with_a_name_a_docstring_and_a_test_of_its_own(family, tmp_path):
    name = NEW_NAMES.get(family, "my_own")
    plugin, test = new_plugin(family, name, tmp_path)
    verdicts = testing.check_plugin(str(plugin))
    assert [verdict for verdict in verdicts if not verdict.holds] == []
    assert {(verdict.kind, verdict.member) for verdict in verdicts} == {(family, name)}
    source = plugin.read_text()
    assert ast.get_docstring(ast.parse(source))
    assert "examples/" not in source
    assert plugin.name in test.read_text()


def test_the_command_writes_two_files_and_names_the_next_command(tmp_path):
    done = call("new-plugin", "task", "mine", "--folder", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "next: qtha-lab check-plugin" in done.output
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["mine.py", "test_mine.py"]
    written = call("new-plugin", "task", "more", "--folder", str(tmp_path), "--json")
    assert json.loads(written.output)["plugin"].endswith("more.py")


@pytest.mark.parametrize(
    ("family", "name", "sentence"),
    [
        ("metod", "mine", "Unknown family 'metod': did you mean 'method'"),
        ("method", "Mine!", "must be lower-case letters, digits and _, got 'Mine!'"),
        ("exercise", "mine", "must be a number such as 20.1, got 'mine'"),
        ("task", "taken", "must not replace a file, got "),
    ],
)
def test_a_new_plugin_that_cannot_be_written_is_refused(family, name, sentence, tmp_path):
    (tmp_path / "taken.py").touch()
    with pytest.raises(Refusal, match=sentence.replace("(", r"\(")):
        new_plugin(family, name, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.py"]

"""New plugin files: an example of a family under another name, with its test."""

import re
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read, shortened, write_atomically
from qtha_lab.core.paths import examples_dir
from qtha_lab.core.settings import unknown

EXAMPLES = {
    "method": ("diagonal.py", "diagonal"),
    "ansatz": ("chain.py", "chain"),
    "engine": ("dense.py", "dense"),
    "task": ("sums.py", "sums"),
    "figure": ("rates.py", "loss_by_rate"),
    "gate": ("exchange.py", "XY"),
    "head": ("normalised.py", "normalised"),
    "quantization": ("levels.py", "levels"),
    "initialisation": ("eighths.py", "eighths"),
    "exercise": ("bell.py", "20.1"),
    "reproduction": ("two_ranks.py", "two_ranks"),
}
"""File and registered name of the example of each family."""

NAMES = {"gate": r"[A-Za-z]\w*", "exercise": r"\d+\.\d+"}
TEST = '''"""The plugin keeps to the contract of its family."""

from pathlib import Path

from qtha_lab.testing import check_plugin

PLUGIN = Path(__file__).with_name("{file}")


def test_every_fact_of_the_contract_holds():
    assert [verdict for verdict in check_plugin(str(PLUGIN)) if not verdict.holds] == []
'''


def new_plugin(family: str, name: str, folder: Path) -> tuple[Path, Path]:
    """Write a plugin that `check_plugin` accepts, and its test.

    Args:
        family: Key of `EXAMPLES`.
        name: Name under which the member registers itself.
        folder: Existing folder for the two files.

    Returns:
        Paths of the plugin and of its test.

    Raises:
        Refusal: If the family is unknown, the name invalid, or a file exists already.
    """
    if family not in EXAMPLES:
        raise unknown("family", family, EXAMPLES)
    if not re.fullmatch(NAMES.get(family, r"[a-z][a-z0-9_]*"), name):
        form = {"gate": "letters, digits and _", "exercise": "a number such as 20.1"}
        rule = form.get(family, "lower-case letters, digits and _")
        raise Refusal(f"The name of a new {family} must be {rule}, got {shortened(name, 60)!r}.")
    example, old = EXAMPLES[family]
    stem = f"exercise_{name.replace('.', '_')}" if family == "exercise" else name.lower()
    plugin, test = folder / f"{stem}.py", folder / f"test_{stem}.py"
    for file in (plugin, test):
        if file.exists():
            raise Refusal(f"A new plugin must not replace a file, got {shortened(file, 160)}.")
    text = renamed(read(examples_dir() / example), old, name)
    text = text.replace(f"examples/{example}", plugin.name)
    write_atomically(plugin, text)
    write_atomically(test, TEST.format(file=plugin.name))
    return plugin, test


def renamed(source: str, old: str, new: str) -> str:
    """Replace a registered name in a source, and the class or function named after it.

    Words of sentences stay.

    Args:
        source: Python source.
        old: Registered name.
        new: Name in its place.

    Example:
        >>> renamed('@task("sums")\\nclass Sums: "sums of numbers"', "sums", "my_sums")
        '@task("my_sums")\\nclass MySums: "sums of numbers"'
    """
    source = source.replace(f'"{old}"', f'"{new}"').replace(f"={old})", f"={new})")
    if not old.isidentifier():
        return source
    source = re.sub(rf"\b{old}(?=\()", new, source)
    title, new_title = old.title().replace("_", ""), new.title().replace("_", "")
    return re.sub(rf"\b{title}(?=Config\b|[(:,]|$)", new_title, source, flags=re.MULTILINE)

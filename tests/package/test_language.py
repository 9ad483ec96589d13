"""Docstrings, refusals, pages and names follow the project's language rules."""

import ast
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from support.source_files import ROOT, for_each_file, parsed

OPENINGS = re.compile(
    r"(What|Whatever|Whether|Why|When|Which|How|Who|Whose|Whom|That|Those|Of|The one|As|In|Where|It) ",
    re.ASCII,
)
BANNED = re.compile(
    r"\b(the way back|there and back|nobody|is heard|loud(er|ness)?|moved starts?|nudge[ds]?|"
    r"has read its fill|twins?|lineup|entrants?|speakers?)\b"
)
PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs/howto").glob("*.md"),
        *(ROOT / "notebooks").glob("*.ipynb"),
        *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")),
    ]
)
NAMES = re.compile(
    r"_?(said|told|found|given|made|wanted|twins?|remembered|settled|nudge[ds]?|lineup|entrants?|"
    r"speakers?|talk|driven|loud|elsewhere|ways|slopes?|slope_fall|\w*taught|kept_step|turn|turned|"
    r"at_rest|room|pieces?|machines|marks?)"
)
# functions, parameters and attributes of objects
NAMED = {
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.arg: "arg",
    ast.Attribute: "attr",
}
CLASSES = {"Lack", "Piece", "Order", "Found", "Course", "Way", "Outcome"}
EXAMPLE = re.compile(r"\s*(>>>|\.\.\.)")
LONGEST_FIRST_LINE = 15  # words


def package_of(path: Path) -> str:
    """Return the first name below the package, or `widgets`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "widgets" if parts[0] == "widgets" else parts[1]


def docstrings(path: Path):
    """Yield every docstring of a file with its line."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


@for_each_file
def test_docstrings_open_with_a_verb_or_a_noun(path):
    wrong = []
    for line, text in docstrings(path):
        first = text.splitlines()[0]
        if OPENINGS.match(first):
            wrong.append(f"{path.name}:{line}: opens with {first.split()[0]!r}: {first}")
        if len(first.split()) > LONGEST_FIRST_LINE + 5 * (path.parent.name == "workbench"):
            wrong.append(f"{path.name}:{line}: {len(first.split())} words: {first}")
        prose = "\n".join(row for row in text.splitlines() if not EXAMPLE.match(row))
        if found := BANNED.search(prose):
            wrong.append(f"{path.name}:{line}: holds {found.group()!r}")
    assert not wrong, "\n".join(wrong)


REFUSALS = {"Refusal", "Unsupported", "FieldError", "FetchError", "NoBrowserError"}
FORMS = {
    "rule and value": r"(\bmust\b|^\{\}, ).*\bgot\b",
    "rule that names the value": r"\bmust (not|be (empty|false|given|installed|on|named))\b",
    "unknown name": r"^Unknown ",
    "message of another check, with its place": r"^[^.]*\{\}$",
    "state": r"\b(cannot be [a-z]+|(is|are) (not|no|empty)|(has|have) no)\b|^No [a-z]+ ",
}


def refusals(path: Path):
    """Yield the line and the text of every refusal of a file, with {} for each value."""
    for node in ast.walk(parsed(path)):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        if ast.unparse(node.func).split(".")[-1] not in REFUSALS:
            continue
        parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
        if all(isinstance(part, ast.Constant | ast.FormattedValue) for part in parts):
            yield (
                node.lineno,
                "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts),
            )


@for_each_file
def test_refusals_are_sentences_in_plain_words(path):
    wrong = []
    for line, text in refusals(path):
        setting = re.match(r"[a-z][a-z_]*([=(.:,]| (must|is|has)\b|_)", text)
        if text[0].islower() and not setting:
            wrong.append(f"{path.name}:{line}: begins with a small letter: {text}")
        if not re.search(r"([.?!]|\{\}|Run: [^.]*)$", text):
            wrong.append(f"{path.name}:{line}: does not end as a sentence: {text}")
        if len(text) > 300:
            wrong.append(f"{path.name}:{line}: {len(text)} characters: {text}")
        if found := BANNED.search(text) or re.search("leave it out|fault of qtha-lab", text):
            wrong.append(f"{path.name}:{line}: holds {found.group()!r}")
        if not any(re.search(form, text) for form in FORMS.values()):
            wrong.append(f"{path.name}:{line}: has none of the forms {[*FORMS]}: {text}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_use_no_word_of_a_private_dialect(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    assert not (found := BANNED.search(text)), f"{path.name} holds {found.group()!r}"


@for_each_file
def test_names_are_terms_of_the_field(path):
    wrong = [path.stem] if NAMES.fullmatch(path.stem) else []
    for node in ast.walk(parsed(path)):
        name = next((getattr(node, of) for kind, of in NAMED.items() if isinstance(node, kind)), "")
        is_set = not isinstance(node, ast.Attribute) or isinstance(node.ctx, ast.Store)
        if is_set and NAMES.fullmatch(name):
            wrong.append(f"{name}, line {node.lineno}")
        if isinstance(node, ast.ClassDef) and node.name.lstrip("_") in CLASSES:
            wrong.append(f"{node.name}, line {node.lineno}")
    assert not wrong, f"{path.name}: {'; '.join(wrong)}"


PROSE = [
    page
    for page in (
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs/howto").glob("*.md")),
        *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")),
        ROOT / "CONTRIBUTING.md",
    )
    if len(page.read_text(encoding="utf-8")) > 500  # others only include a page
]


def paragraphs(path: Path) -> list[str]:
    """The paragraphs, list items and headings of a page, without code, tables and addresses."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    text = re.sub(r"^(--8<--|\{\{|\||    \S|!\[).*$", "", text, flags=re.M)
    text = re.sub(r"<[^>]+>", "", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text))
    text = re.sub(r"\*\*|`+[^`]*`+", lambda found: "" if found[0] == "**" else "code", text)
    parts = re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+\.) |:   |#)", text)
    return [" ".join(part.split()).lstrip("#-*:+ ") for part in parts if part.strip()]


def sentences(path: Path) -> list[str]:
    """The sentences of a page."""
    ends = r"(?<=[.?!:;])\s+(?=[A-Z(]|code|qtha-lab)"
    return [sentence for part in paragraphs(path) for sentence in re.split(ends, part)]


def length(sentence: str) -> int:
    """Count the words of a sentence; numbers and signs are none."""
    return len(re.findall(r"[^\W\d][\w'’-]*", sentence))


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_sentences_of_pages_are_short(path):
    lengths = {sentence: length(sentence) for sentence in sentences(path)}
    assert [sentence for sentence, words in lengths.items() if words > 25] == []
    assert statistics.median(words for words in lengths.values() if words > 2) <= 18


def test_pages_pass_proselint(tmp_path):
    for path in PROSE:
        text = "\n\n".join(paragraphs(path))
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    program, config = Path(sys.executable).with_name("proselint"), ROOT / ".proselintrc.json"
    command = [program, "check", "--config", config, *sorted(tmp_path.iterdir())]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.stdout.replace(f"{tmp_path}/", "") == ""
    assert answer.returncode == 0, answer.stderr


def test_a_release_of_the_changelog_fits_in_sixty_lines():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    assert {release.split("\n", 1)[0] for release in releases if release.count("\n") > 61} == set()

"""The first use of a glossary term in a lesson is a link to its entry, and no other use."""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

DOCS = Path(__file__).parents[2] / "docs"
HOOK = runpy.run_path(str(DOCS / "glossary_links.py"))
TERMS = {
    "rank": ("term-rank", "Number of non-zero singular values."),
    "bond dimension": ("term-bond-dimension", "Size of an index."),
    "MPO": ("term-mpo", 'A "chain".'),
    "matrix product operator": ("term-mpo", 'A "chain".'),
}


def linked(html):
    return HOOK["linked"](html, TERMS, "../glossary.html")


def test_the_first_use_is_a_link_with_its_entry_and_the_second_is_not():
    html = linked("<p>The rank, and again the rank.</p>")
    assert html == (
        '<p>The <a class="glossary" href="../glossary.html#term-rank" '
        'title="Number of non-zero singular values.">rank</a>, and again the rank.</p>'
    )


def test_headings_code_formulas_tables_and_links_stay_as_they_are():
    for tag in ("h2", "code", "pre", "math", "table", "a"):
        assert linked(f"<{tag}>rank</{tag}>") == f"<{tag}>rank</{tag}>"
    assert 'title="Number' in linked("<h2>rank</h2><p>rank</p>")


def test_a_plural_is_a_use_and_a_part_of_another_word_is_not():
    assert ">ranks</a>" in linked("<p>Two ranks.</p>")
    assert "<a" not in linked("<p>A frank low-rank ranking.</p>")


def test_two_names_of_one_entry_are_linked_once():
    html = linked("<p>An MPO is a matrix product operator.</p>")
    assert html.count("<a ") == 1
    assert "&quot;chain&quot;" in html


def test_every_term_of_the_glossary_has_an_entry_with_an_anchor_on_its_page():
    text = (DOCS / "glossary.md").read_text()
    terms = HOOK["entries"](text)
    assert len(re.findall(r"^\*\*.+\*\*$", text, re.MULTILINE)) > 50
    assert terms["MPO"] == terms["matrix product operator"]
    assert terms["perplexity"][1] == "The exponential of the mean loss per token in nats."
    assert not [name for name in terms if not terms[name][1]]
    page = HOOK["with_anchors"]("<dt><strong>bond dimension</strong></dt>")
    assert page == '<dt id="term-bond-dimension"><strong>bond dimension</strong></dt>'


def test_pages_that_are_no_lessons_stay_as_they_are():
    page = SimpleNamespace(file=SimpleNamespace(src_uri="howto/runs.md"))
    assert HOOK["on_page_content"]("<p>rank</p>", page) == "<p>rank</p>"
    lesson = SimpleNamespace(file=SimpleNamespace(src_uri="lessons/01_lora_and_rank.ipynb"))
    assert "#term-rank" in HOOK["on_page_content"]("<p>rank</p>", lesson)

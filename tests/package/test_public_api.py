"""The public API is what docs/reference/api.md lists, and small."""

from tools import api


def test_the_page_lists_the_names_and_parameters_that_the_modules_have():
    assert api.PAGE.read_text(encoding="utf-8") == api.page()


def test_the_public_api_is_small():
    assert len(api.MODULES) <= 12
    assert sum(map(len, api.public_names().values())) <= 120


def test_every_public_name_is_described_by_a_sentence_of_ours():
    entries = [line for line in api.page().splitlines() if line.startswith("- **")]
    assert len(entries) == sum(map(len, api.public_names().values()))
    assert [entry for entry in entries if not entry.split("**: ")[1].split(" Members")[0]] == []

"""The public API is what docs/reference/api.md lists, and small."""

from tools import api


def test_the_page_lists_the_names_and_parameters_that_the_modules_have():
    assert api.PAGE.read_text(encoding="utf-8") == api.page()


def test_the_public_api_is_small():
    assert len(api.MODULES) <= 12
    assert sum(map(len, api.public_names().values())) <= 120


def test_no_two_public_names_have_the_same_sentence():
    entries = [line for line in api.page().splitlines() if line.startswith("- **")]
    sentences = [entry.split("**: ")[1].split(" Members: ")[0] for entry in entries]
    repeated = {sentence for sentence in sentences if sentences.count(sentence) > 1}
    assert repeated == {api.public_names()["qtha_lab.widgets"]["UpdateExplorer"].__doc__}

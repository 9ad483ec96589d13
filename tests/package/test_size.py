"""The sizes of the package only fall.

A commit that makes the package smaller lowers its numbers here. A commit that raises one says why.
"""

import pytest

from tools.stats import TARGETS, sizes

# measured by `make stats`
LIMITS = {
    "lines with JavaScript and CSS": 113_880,
    "code lines": 70_130,
    "files": 805,
    "tokens": 673_050,
    "lines of tests": 60_170,
}


@pytest.fixture(scope="module")
def measured():
    return sizes()


@pytest.mark.parametrize("name", TARGETS)
def test_a_size_is_at_most_its_limit(measured, name):
    assert measured[name] <= LIMITS[name]


@pytest.mark.parametrize("name", TARGETS)
def test_a_limit_follows_its_size_down(measured, name):
    assert LIMITS[name] <= 1.01 * measured[name]

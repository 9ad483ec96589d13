"""The sizes of the package only fall.

A commit that makes the package smaller lowers its numbers here. A commit that raises one says why.
"""

import pytest

from tools.stats import TARGETS, sizes

# measured by `make stats`; tests rose for sessions of random delays, cuts and reloads in a browser,
# code for small changes of a solution as causes of wrong answers, and for routed experts
LIMITS = {
    "lines with JavaScript and CSS": 109_460,
    "code lines": 69_280,
    "files": 682,
    "tokens": 669_440,
    "lines of tests": 61_280,
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

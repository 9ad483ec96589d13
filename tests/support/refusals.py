"""Refusals asserted by setting and value, so that a better sentence costs no test."""

import re
from contextlib import contextmanager

import pytest

from qtha_lab.core.errors import Refusal


@contextmanager
def refused(setting="", value="", *, rule="", remedy="", error=Refusal):
    """Require a refusal in one short line whose fields hold these words; yield its record.

    Args:
        setting: Words in the setting; empty for any.
        value: Words in the value; empty for any.
        rule: Words in the rule, where setting and value do not tell two rules apart.
        remedy: Command, name or setting that the message recommends.
        error: Required class, such as `Unsupported`.
    """
    with pytest.raises(error) as record:
        yield record
    refusal = record.value
    assert isinstance(refusal, Refusal), repr(refusal)
    assert "\n" not in str(refusal)
    assert remedy in str(refusal)
    for field, words in (("setting", setting), ("value", value), ("rule", rule)):
        pattern = rf"(?<!\w){re.escape(str(words))}(?!\w|\.\d)"
        assert not words or re.search(pattern, getattr(refusal, field)), (
            f"no {words!r} in {field} of: {refusal}"
        )

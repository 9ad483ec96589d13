"""Inputs for tests of panels."""


def fail(error: Exception):
    """Fault that no answer of a control may cause."""
    raise error

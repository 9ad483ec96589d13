"""What tests of panels hand to them."""


def fail(error: Exception):
    """What no answer of a control is to come to."""
    raise error

"""The panel of `controls` that can be displayed alone, beside its static output."""

from .panel import Panel
from .static_output import StaticOutput


class Shown(StaticOutput, Panel):
    """A panel that can be displayed alone or in another panel; a subclass adds `still()`."""

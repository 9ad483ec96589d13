"""Controls that share one layout and one style, which saves models."""

from typing import Any, TypeVar

import ipywidgets as ipw

Control = TypeVar("Control", bound=ipw.DOMWidget)


class SharedStyle:
    """A factory of controls that share layout and style per class; neither may change later.

    Example:
        >>> look = SharedStyle()
        >>> look.make(ipw.Text, description="r").layout is look.make(ipw.Text, description="waist").layout
        True
    """

    def __init__(self):
        self._looks: dict[type, dict[str, ipw.Widget]] = {}

    def make(self, kind: type[Control], *content: Any, **traits: Any) -> Control:
        """Create a control of a class, with the shared layout and style."""
        control = kind(*content, **traits, **self._looks.get(kind, {}))
        if kind not in self._looks:
            names = [name for name in ("layout", "style") if control.has_trait(name)]
            self._looks[kind] = {name: getattr(control, name) for name in names}
        return control

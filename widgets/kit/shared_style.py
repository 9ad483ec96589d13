"""Controls that share their layout and style: each is a model of its own, to be made here and again in the browser."""

from typing import Any, TypeVar

import ipywidgets as ipw

Control = TypeVar("Control", bound=ipw.DOMWidget)


class SharedStyle:
    """Makes controls; those of one class have one layout and one style together. For what never changes its look.

    Example:
        >>> look = SharedStyle()
        >>> look.make(ipw.Text, description="r").layout is look.make(ipw.Text, description="waist").layout
        True
    """

    def __init__(self):
        self._looks: dict[type, dict[str, ipw.Widget]] = {}

    def make(self, kind: type[Control], *content: Any, **traits: Any) -> Control:
        """A control of a class, made as the class itself would."""
        control = kind(*content, **traits, **self._looks.get(kind, {}))
        if kind not in self._looks:
            names = [name for name in ("layout", "style") if control.has_trait(name)]
            self._looks[kind] = {name: getattr(control, name) for name in names}
        return control

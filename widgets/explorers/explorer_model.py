"""Model of an explorer: traits as state, their options, and the computed drawing.

Needs no browser: `model.figures` and `model.code` belong to the present state.
"""

import ast
import builtins
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, ClassVar, NamedTuple, Self

import traitlets

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown
from qtha_lab.figures.machinery import static_svg
from qtha_lab.figures.machinery.figure import Figure

MOST_NAMED = 8  # options listed in a refusal


class Choice(traitlets.TraitType):
    """A trait checked against its model's `offers(name)`; a list counts as a tuple.

    Args:
        options: The options; without them the model overrides `offers`.
        label: Label of the control; default the name.
        slider: True if the control is a slider.
        text: Formats an option.
    """

    def __init__(
        self,
        options: Sequence = (),
        label: str = "",
        slider: bool = False,
        text: Callable[[Any], str] = str,
    ):
        super().__init__(None, allow_none=True)
        self.options, self.label, self.slider, self.text = options, label, slider, text

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the value if it is offered.

        Raises:
            Refusal: If it is not offered; the message lists the options.
        """
        value = tuple(value) if isinstance(value, list) else value
        values = values_of(obj.offers(self.name))
        if value in values:
            return value
        named = ", ".join(map(str, values[:MOST_NAMED])) or "nothing yet"
        more = ", …" if len(values) > MOST_NAMED else ""
        raise Refusal(f"{self.name} must be one of {named}{more}, got {value!r}.")


def values_of(offers: Sequence) -> list:
    """Return the values of options, which may be (label, value) pairs as in ipywidgets.

    Example:
        >>> values_of([("all", None), ("16", 16)]), values_of([1, 2])
        ([None, 16], [1, 2])
    """
    return [value for _, value in pairs_of(offers)]


def pairs_of(offers: Sequence, text: Callable[[Any], str] = str) -> list[tuple[str, Any]]:
    """Return options as (label, value) pairs.

    Example:
        >>> pairs_of([("all", None), ("16", 16)]), pairs_of([0.5], "{:.2f}".format)
        ([('all', None), ('16', 16)], [('0.50', 0.5)])
    """
    is_pair = [isinstance(offer, tuple) and isinstance(offer[0], str) for offer in offers]
    return [
        offer if pair else (text(offer), offer) for offer, pair in zip(offers, is_pair, strict=True)
    ]


class Drawing(NamedTuple):
    """The content of an explorer: figures by name, table rows, equivalent Python code, notes."""

    figures: Mapping[str, Figure]
    rows: list[dict[str, str]]
    code: str
    notes: Sequence[str] = ()


class ExplorerModel(traitlets.HasTraits):
    """A state whose parts fit to each other, and its drawing.

    `model.state` is plain data, and `Model.from_state(state, …)` restores the model.
    `traitlets.link((a, "layer"), (b, "layer"))` ties two models. A subclass sets up its sources,
    then calls `__init__` with the initial values.
    """

    STATE: ClassVar[tuple[str, ...]] = ()
    """The traits, each after those that it depends on."""
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """States by the question that each poses."""
    good: Mapping[str, Any] = MappingProxyType({})  # the last state that was allowed
    revision = traitlets.Int(0)
    """Number of the state, which rises with each change that the state allows."""

    def __init__(self, values: Mapping[str, Any]):
        self.settling, self.good = True, {}
        self.drawn: tuple[dict[str, Any], Drawing] | None = None
        super().__init__()
        for name in self.STATE:
            if values.get(name) is not None:
                setattr(self, name, values[name])
            self._fit(name)
        self.settle()
        self.settling, self.good = False, self.state
        self.observe(self._changed, list(self.STATE))

    # ---- hooks of subclasses

    def offers(self, name: str) -> Sequence:
        """Return the current options of a `Choice`, which may be (label, value) pairs."""
        return self.traits()[name].options  # type: ignore[attr-defined]

    def usual(self, name: str) -> Any:
        """Return the default of a choice whose value is no longer offered: the first option."""
        return next(iter(values_of(self.offers(name))), None)

    def prepare(self) -> None:
        """Load the objects that the state names, before options are computed."""

    def settle(self) -> None:
        """Adjust the traits that are not choices to the other traits."""

    def compute(self, state: SimpleNamespace) -> Drawing:
        """Compute the drawing of a state; may run in a thread and changes no control."""
        raise NotImplementedError

    # ---- state

    @property
    def state(self) -> dict[str, Any]:
        """Every trait as plain data that JSON can hold."""
        return {name: _plain(getattr(self, name)) for name in self.STATE}

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        if wrong := set(state) - set(self.STATE):
            known = ", ".join(self.STATE)
            raise Refusal(
                f"The state of an explorer must hold {known} only, got {', '.join(sorted(wrong))}."
            )
        for name in self.STATE:
            if name in state:
                setattr(self, name, state[name])

    def preset(self, question: str) -> None:
        """Set the state of a preset, by its question."""
        if question not in self.PRESETS:
            raise unknown("preset", question, self.PRESETS)
        self.state = self.PRESETS[question]

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *sources: Any) -> Self:
        """Create an explorer in a saved state, with the sources of its class."""
        explorer = cls(*sources)
        explorer.state = state
        return explorer

    # ---- drawing

    @property
    def drawing(self) -> Drawing:
        """The drawing of the current state, even if a page does not show it yet."""
        state = self.state
        if self.drawn is None or self.drawn[0] != state:
            self.drawn = state, self.compute(self.snapshot())
        return self.drawn[1]

    @property
    def figures(self) -> Mapping[str, Figure]:
        """The figures of the current state."""
        return self.drawing.figures

    @property
    def code(self) -> str:
        """Python code that gives the same figures without a page."""
        return self.complete(self.drawing.code)

    def complete(self, code: str) -> str:
        """Add the imports of the names in a drawing's code."""
        return with_imports(code, vars(sys.modules[type(self).__module__]))

    def still(self) -> dict[str, str]:
        """Return the figures one below the other as SVG, with their alt texts."""
        words = " ".join(figure.alt for figure in self.figures.values())
        picture = static_svg.column([figure.svg() for figure in self.figures.values()])
        return {"image/svg+xml": picture, "text/plain": words}

    def snapshot(self) -> SimpleNamespace:
        """Return the state as `compute` takes it."""
        return SimpleNamespace(**{name: getattr(self, name) for name in self.STATE})

    def redraw(self) -> None:
        """Draw again although the state is the same, for example after new events."""
        self.drawn = None
        self._changed()

    # ---- changes

    def _changed(self, _change: Any = None) -> None:
        """Adjust dependent traits after a change, then number the new state."""
        if self.settling:
            return
        before, self.settling = self.good, True
        try:
            with self.hold_trait_notifications():
                self._settle_all()
        finally:
            self.settling = False
            if self.good != before or self.drawn is None:
                self.revision += 1

    def _settle_all(self) -> None:
        try:
            self.prepare()
            for name in self.STATE:
                self._fit(name)
            self.settle()
            self.good = self.state
        except Refusal:
            for name, value in self.good.items():
                self.set_trait(name, value)
            self.settle()
            raise

    def _fit(self, name: str) -> None:
        """Replace the value of a choice that is no longer offered."""
        if isinstance(self.traits()[name], Choice):
            values = values_of(self.offers(name))
            if getattr(self, name) not in values:
                setattr(self, name, self.usual(name) if values else None)


def _plain(value: Any) -> Any:
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def with_imports(code: str, scope: Mapping[str, Any]) -> str:
    """Return code below an import for each of its names that a module has.

    Names that the module lacks are data of the reader, and are left as they are.

    Args:
        code: Python code.
        scope: Global names of the module.

    Example:
        >>> print(with_imports("ast.dump(tree)", {"ast": ast, "__name__": "here"}))
        import ast
        <BLANKLINE>
        ast.dump(tree)
    """
    names = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)} | vars(builtins).keys()
    used = {node.id for node in names} - own
    lines = [_import_of(name, scope[name], scope["__name__"]) for name in used & scope.keys()]
    gap = [] if code.startswith("from ") or not lines else [""]
    return "\n".join([*sorted(lines), *gap, code])


def _import_of(name: str, value: Any, here: str) -> str:
    if isinstance(value, ModuleType):
        package, _, own = value.__name__.rpartition(".")
    else:
        package = getattr(value, "__module__", here)
        own = getattr(value, "__name__", name)
    known = own if own == name else f"{own} as {name}"
    return f"from {package} import {known}" if package else f"import {known}"

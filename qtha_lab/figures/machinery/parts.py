"""The traces and the layout of a plotly figure as plain objects: plotly types neither of them."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import numpy as np
import plotly.graph_objects as go


def traces_of(figure: go.Figure) -> list[Any]:
    """What is drawn in a figure, in the order in which it was added.

    Example:
        >>> traces_of(go.Figure(go.Scatter(x=[1], y=[2], name="lora")))[0].name
        'lora'
    """
    return list(cast(Any, figure).data)


def layout_of(figure: go.Figure) -> Any:
    """The layout of a figure; what is set on it is set on the figure.

    Example:
        >>> layout_of(go.Figure(layout={"height": 360})).height
        360
    """
    return cast(Any, figure).layout


class Unchecked(NamedTuple):
    """Plain traces and a plain layout, of which plotly makes a figure where one is wanted."""

    traces: list[dict[str, Any]]
    layout: dict[str, Any]

    def figure(self) -> go.Figure:
        """As plotly has it; it checks no value."""
        return go.Figure(data=self.traces, layout=self.layout, _validate=False)

    def with_layout(self, more: dict[str, Any]) -> "Unchecked":
        """The same with more said of its layout; of the margins only those that are named."""
        margin = {**self.layout.get("margin", {}), **more.get("margin", {})}
        return Unchecked(self.traces, {**self.layout, **more, "margin": margin})

    def plain(self) -> dict[str, Any]:
        """As the function `plain` gives of a figure, in a tenth of the time; every trace by its number."""
        numbered = [trace | {"uid": uid(number)} for number, trace in enumerate(self.traces)]
        return _plain({"data": numbered, "layout": self.layout})


def uid(number: int) -> str:
    """What a trace is called in a page: else plotly takes a random name, and no two SVGs are alike."""
    return f"trace{number}"


def unchecked(traces: Iterable[dict[str, Any]], layout: dict[str, Any]) -> Unchecked:
    """A figure that is not checked value by value, and on its way to a page never made by plotly at all.

    For what an explorer draws at every movement; a test has plotly check the examples.

    Example:
        >>> unchecked([{"type": "scatter", "x": [1], "y": [2]}], {"height": 360}).figure().layout.height
        360
    """
    return Unchecked(list(traces), layout)


def plain(figure: go.Figure) -> dict[str, Any]:
    """A figure as lists, numbers and texts, `{"data": […], "layout": {…}}`; what is not finite is None.

    Example:
        >>> plain(go.Figure(go.Scatter(x=np.arange(2), y=[1, float("nan")])))["data"]
        [{'x': [0, 1], 'y': [1, None], 'type': 'scatter'}]
    """
    layout = layout_of(figure).to_plotly_json()
    return _plain(
        {"data": [trace.to_plotly_json() for trace in traces_of(figure)], "layout": layout}
    )


def plain_template(template: go.layout.Template) -> dict[str, Any]:
    """A template as lists, numbers and texts."""
    return _plain(cast(Any, template).to_plotly_json())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        known = value.dtype.kind in "biu" or (value.dtype.kind == "f" and np.isfinite(value).all())
        return value.tolist() if known else _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value

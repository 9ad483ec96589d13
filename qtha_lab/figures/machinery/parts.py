"""Traces and layout of a plotly figure as plain objects, which plotly does not type."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import numpy as np
import plotly.graph_objects as go


def traces_of(figure: go.Figure) -> list[Any]:
    """Return the traces of a figure, in the order of their addition.

    Example:
        >>> traces_of(go.Figure(go.Scatter(x=[1], y=[2], name="lora")))[0].name
        'lora'
    """
    return list(cast(Any, figure).data)


def layout_of(figure: go.Figure) -> Any:
    """Return the layout of a figure; changes to it change the figure.

    Example:
        >>> layout_of(go.Figure(layout={"height": 360})).height
        360
    """
    return cast(Any, figure).layout


def uid(number: int) -> str:
    """Return a fixed trace id.

    plotly would otherwise draw a random id, and no two SVGs would be identical.
    """
    return f"trace{number}"


def unchecked(traces: Iterable[dict[str, Any]], layout: dict[str, Any]) -> go.Figure:
    """Return a figure without validation by plotly, which takes ten times as long.

    For figures that an explorer redraws at every change. A test validates the examples.

    Example:
        >>> trace = {"type": "scatter", "x": [1], "y": [2]}
        >>> unchecked([trace], {"height": 360}).layout.height
        360
    """
    return go.Figure(data=list(traces), layout=layout, _validate=False)


class PlainFigure(NamedTuple):
    """Traces and layout of a figure, which reach a page without a plotly object.

    For figures that an explorer redraws at every change: plotly copies each part twice.
    """

    traces: list[dict[str, Any]]
    layout: dict[str, Any]


def plain_parts(figure: go.Figure | PlainFigure) -> dict[str, Any]:
    """Convert a figure to plain lists, numbers and texts; non-finite numbers become None.

    The result is `{"data": […], "layout": {…}}`.

    Example:
        >>> plain_parts(go.Figure(go.Scatter(x=np.arange(2), y=[1, float("nan")])))["data"]
        [{'x': [0, 1], 'y': [1, None], 'type': 'scatter'}]
    """
    if isinstance(figure, PlainFigure):
        return _plain({"data": figure.traces, "layout": figure.layout})
    layout = layout_of(figure).to_plotly_json()
    return _plain(
        {"data": [trace.to_plotly_json() for trace in traces_of(figure)], "layout": layout}
    )


def plain_template(template: go.layout.Template) -> dict[str, Any]:
    """Convert a template to plain lists, numbers and texts."""
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

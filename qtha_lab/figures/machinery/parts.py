"""The traces and the layout of a plotly figure as plain objects: plotly types neither of them."""

import math
from collections.abc import Iterable
from typing import Any, cast

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


def unchecked(traces: Iterable[Any], layout: dict[str, Any]) -> go.Figure:
    """A figure of plain traces that plotly does not check value by value, made in a tenth of the time.

    For what an explorer draws at every movement; a test has plotly check the examples.

    Example:
        >>> unchecked([{"type": "scatter", "x": [1], "y": [2]}], {"height": 360}).layout.height
        360
    """
    return go.Figure(data=list(traces), layout=layout, _validate=False)


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
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""The traces and the layout of a plotly figure as plain objects: plotly types neither of them."""

from typing import Any, cast

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

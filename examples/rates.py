"""A figure in one file: where each method ended at each learning rate.

qtha-lab check-plugin examples/rates.py
"""

import functools
from collections.abc import Mapping

import plotly.graph_objects as go

from qtha_lab.plugins import Figure, Table, figure_function


def example() -> dict:
    """Return example data for the contract, the gallery and the documentation."""
    return {
        "losses": {
            "lora": {0.001: 4.52, 0.003: 4.31, 0.01: 4.15, 0.03: 4.22},
            "qtha": {0.001: 4.60, 0.003: 4.38, 0.01: 4.20, 0.03: 4.41},
        }
    }


@figure_function(example=example)
def loss_by_rate(losses: Mapping[str, Mapping[float, float]], theme: str = "light") -> Figure:
    """The evaluation loss of each method against the learning rate.

    Args:
        losses: In nats, by method and by learning rate.
        theme: `"light"` or `"dark"`.
    """
    best = {method: min(of, key=of.__getitem__) for method, of in losses.items()}
    ends = [f"{method} {losses[method][rate]:.3g} at {rate:g}" for method, rate in best.items()]
    return Figure(
        "loss_by_rate",
        functools.partial(draw, losses),
        caption=(
            "Evaluation loss against the learning rate. A method's lowest point is its own best of"
            " these rates only, and one seed does not prove an order."
        ),
        alt=f"Lowest evaluation loss: {', '.join(ends)}.",
        table=Table(
            ("method", "learning_rate", "eval_loss"),
            [(method, rate, loss) for method, of in losses.items() for rate, loss in of.items()],
        ),
        theme=theme,
    )


def draw(losses: Mapping[str, Mapping[float, float]], style) -> go.Figure:
    """The curves in a look, which brings the sizes, the inks and each method's colour and dash."""
    curves = [style.line_of(method, x=[*of], y=[*of.values()]) for method, of in losses.items()]
    figure = go.Figure(curves)
    figure.update_xaxes(type="log", title_text="learning rate")
    return figure.update_yaxes(title_text="evaluation loss in nats")

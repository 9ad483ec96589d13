"""The header of the workbench: title, state of the runs, time left, Stop, Resume and Launch."""

import html
from collections.abc import Mapping

import ipywidgets as ipw

from qtha_lab.cli.output import duration
from qtha_lab.experiment import Comparison, Sweep

from ..kit import boxes


class Header(ipw.HBox):
    """A line with the title, the state and the buttons of the page.

    `setup` shows or hides the form on a narrow page, where it stands above the results.

    Example:
        >>> header = Header()
        >>> header.describe(Comparison(methods="lora,qtha"))
        >>> header.title.value
        '<h2>lora against qtha</h2><span>tiny · qa</span>'
    """

    def __init__(self) -> None:
        self.title = boxes.text("", "qtha-title")
        self.state = boxes.text("", "qtha-header-state")
        self.summary = boxes.text("", "qtha-summary")
        self.launch = boxes.button("Launch", icon="rocket", button_style="primary")
        self.setup = boxes.styled(ipw.ToggleButton, True, description="Setup", css="qtha-narrow")
        super().__init__(layout=boxes.layout())
        boxes.classed(self, "qtha-header")

    def arrange(self, *others: ipw.Widget) -> None:
        """Place further buttons, such as those for all shown runs, beside Launch."""
        buttons = boxes.row([self.summary, self.setup, *others, self.launch], css="qtha-launch")
        self.children = (self.title, self.state, buttons)

    def describe(self, described: Comparison | Sweep) -> None:
        """Show the title of a comparison or sweep."""
        names = list(dict.fromkeys(method.name for method in described.methods))
        joint = " against " if len(names) == 2 else ", "
        several = f" and {len(names) - 3} more" if len(names) > 4 else ""
        title = joint.join(names[:3] if several else names) + several
        place = f"{described.model} · {described.task}"
        self.title.value = f"<h2>{html.escape(title)}</h2><span>{html.escape(place)}</span>"
        self.launch.description = "Launch sweep" if isinstance(described, Sweep) else "Launch"

    def count(self, statuses: Mapping) -> None:
        """Show the numbers of running, waiting and ended runs, and the time left."""
        live = [status for status in statuses.values() if not status.ended]
        running = sum(status.state == "running" for status in live)
        ended = len(statuses) - len(live)
        parts = [f"{running} running"] if running else []
        if len(live) > running:
            parts.append(f"{len(live) - running} waiting")
        if ended:
            parts.append(f"{ended} ended")
        left = [status.seconds_left for status in live if status.seconds_left]
        if left:
            parts.append(f"{duration(max(left))} left")
        dot = '<span class="qtha-live-dot"></span>' if live else ""
        self.state.value = dot + html.escape(" · ".join(parts))

    def allow(self, reason: str) -> None:
        """Enable Launch, or disable it for a reason, which the header shows.

        Args:
            reason: A sentence; "" enables Launch.
        """
        self.launch.disabled = bool(reason)
        self.launch.tooltip = reason
        if reason:
            self.summary.value = boxes.lines([reason])
        boxes.mark_wrong(self.summary, bool(reason))

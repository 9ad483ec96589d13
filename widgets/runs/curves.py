"""Loss curves of one run from its events: recorded, smoothed and evaluated."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from qtha_lab.figures.loss_curves import decimate

WEIGHT = 0.9  # of the running mean of the train loss
KINDS = ("train", "eval", "mean")
MOST_POINTS = 800  # of one curve on the page; more are thinned
BESIDE = 200  # points of a curve on each side of a zoomed range


class RunningMean:
    """The running mean of a recorded loss, without bias at its beginning.

    Example:
        >>> mean = RunningMean()
        >>> mean.add(5.0), round(mean.add(3.0), 3)
        (5.0, 3.947)
    """

    def __init__(self) -> None:
        self.total = self.count = 0.0

    def add(self, value: float) -> float:
        """Add a value, and return the mean."""
        self.total = WEIGHT * self.total + (1 - WEIGHT) * value
        self.count = WEIGHT * self.count + (1 - WEIGHT)
        return self.total / self.count


class Curve:
    """The points of one curve in rising x."""

    def __init__(self) -> None:
        self.x, self.y = array("d"), array("d")

    def __len__(self) -> int:
        return len(self.x)

    def cut(self, after: float) -> bool:
        """Drop the points beyond an x; return True if there were any."""
        end = bisect_right(self.x, after)
        beyond = end < len(self.x)
        del self.x[end:], self.y[end:]
        return beyond

    def append(self, x: float, y: float) -> bool:
        """Add a point; return True if it replaced all points beyond it."""
        replaced = bool(self.x) and x <= self.x[-1] and self.cut(x)
        if self.x and self.x[-1] == x:
            self.y[-1] = y
            return True
        self.x.append(x)
        self.y.append(y)
        return replaced

    def thinned(self, within: Sequence[float] = ()) -> tuple[list[float], list[float]]:
        """Return at most about `MOST_POINTS` points, most of them within a range of x.

        Example:
            >>> curve = Curve()
            >>> for step in range(10_000):
            ...     _ = curve.append(step, 9.0 if step == 77 else 1.0)
            >>> x, y = curve.thinned()
            >>> len(x) <= 802, max(y), len(curve.thinned((100, 200))[0]) > 300
            (True, 9.0, True)
        """
        first, last = 0, len(self.x)
        if within:
            first = max(0, bisect_right(self.x, within[0]) - 1)
            last = bisect_right(self.x, within[1]) + 1
        parts = [(0, first, BESIDE), (first, last, MOST_POINTS), (last, len(self.x), BESIDE)]
        thin = [decimate(self.x[a:b], self.y[a:b], most) for a, b, most in parts if a < b]
        x, y = (np.concatenate([part[axis] for part in thin] or [[]]) for axis in (0, 1))
        return x.tolist(), y.tolist()


class RunCurves:
    """The curves of one run along steps, seconds of training or tokens."""

    def __init__(self, along: str = "step") -> None:
        self.along, self.mean = along, RunningMean()
        self.clock = {"seconds": 0.0, "tokens": 0.0}
        self.curves = {kind: Curve() for kind in KINDS}

    def feed(self, events: Iterable[Mapping[str, Any]]) -> tuple[dict[str, list], bool]:
        """Add events; return the new points by kind, and True if earlier points were removed."""
        points: dict[str, list] = {kind: [] for kind in KINDS}
        removed = False
        for event in events:
            if event["kind"] == "status" and event.get("state") == "running":
                removed |= self._go_back(event.get("step", 0))
            for kind, place, value in self._points(event):
                removed |= self.curves[kind].append(place, value)
                points[kind].append((place, value))
        return {kind: new for kind, new in points.items() if new}, removed

    def _points(self, event: Mapping[str, Any]) -> list[tuple[str, float, float]]:
        kind, loss = event["kind"], event.get("loss")
        if kind == "train":
            self.clock["seconds"] += event.get("seconds") or 0.0
            self.clock["tokens"] = event.get("tokens", self.clock["tokens"])
        if kind not in ("train", "eval") or loss is None:
            return []
        place = event["step"] if self.along == "step" else self.clock[self.along]
        means = [("mean", place, self.mean.add(loss))] if kind == "train" else []
        return [(kind, place, loss), *means]

    def _go_back(self, step: int) -> bool:
        """Remove the points after the checkpoint from which a run resumes.

        The run repeats the later steps (see `qtha_lab.experiment.run_directory.events.history`).
        """
        cut = [curve.cut(step) for curve in self.curves.values() if self.along == "step"]
        return any(cut)

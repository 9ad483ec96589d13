"""Keep what was tried in an append-only journal, so that an attack goes on after a kill.

One line per batch of cases and one per fault; each fault also has a file that repeats the case.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .outcome import Outcome


@dataclass
class Total:
    """Counts and extremes of one class of cases."""

    cases: int = 0
    values: int = 0
    sentences: int = 0
    faults: int = 0
    fixed: int = 0
    seconds: float = 0.0
    mib: float = 0.0

    def add(self, more: dict[str, Any]) -> None:
        """Add the totals of a batch."""
        for name in ("cases", "values", "sentences", "faults", "fixed"):
            setattr(self, name, getattr(self, name) + more.get(name, 0))
        self.seconds, self.mib = max(self.seconds, more["seconds"]), max(self.mib, more["mib"])

    def count(self, outcome: Outcome) -> None:
        """Add one case."""
        self.add(
            {
                "cases": 1,
                "values": int(outcome.kind == "value"),
                "sentences": int(outcome.kind == "sentence"),
                "faults": int(outcome.is_fault),
                "seconds": outcome.seconds,
                "mib": outcome.mib,
            }
        )


@dataclass
class Journal:
    """The journal of a folder: `journal.jsonl` and `faults/`.

    Args:
        folder: Made where it is missing; a torn last line is passed over.
    """

    folder: Path
    totals: dict[str, Total] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    printed: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "faults").mkdir(parents=True, exist_ok=True)
        for entry in self._entries():
            self._take(entry)

    def _entries(self) -> Iterator[dict[str, Any]]:
        file = self.folder / "journal.jsonl"
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                yield json.loads(line)
            except ValueError:  # torn by a kill
                continue

    def _take(self, entry: dict[str, Any]) -> None:
        self.done.add(entry["batch"])
        self.totals.setdefault(entry["class"], Total()).add(entry["total"])

    def case(self, case: str, outcome: Outcome, **more: Any) -> None:
        """Record a case that is a batch of its own."""
        total = Total()
        total.count(outcome)
        if outcome.is_fault:
            self.fault(case, outcome, **more)
        self.write(case, total)

    def write(self, batch: str, total: Total) -> None:
        """Record a batch that is complete."""
        entry = {"class": class_of(batch), "batch": batch, "total": asdict(total), "t": time.time()}
        line = "\n" + json.dumps(entry) + "\n"
        fd = os.open(self.folder / "journal.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(fd, line.encode())
        finally:
            os.close(fd)
        self._take(entry)

    def fault(self, case: str, outcome: Outcome, **more: Any) -> None:
        """Save a fault with what repeats it; print the first of its sort in a class."""
        file = self.folder / "faults" / f"{case.replace('/', '-')}.json"
        file.write_text(json.dumps({"case": case, **asdict(outcome), **more}, indent=1))
        first = next(iter(outcome.text.splitlines()), "")
        sort = f"{'/'.join(case.split('/')[:2])} {re.sub('[0-9.]+', '', first)}"
        if sort not in self.printed:
            self.printed.add(sort)
            self.lines.append(f"FAULT {case}: {ascii(first)[1:-1]}")
            print(f"\r{self.lines[-1]}", flush=True)

    def faults(self) -> list[str]:
        """Names of the faults that are not fixed, where a file can repeat them."""
        files = sorted((self.folder / "faults").glob("*.json"))
        names = [json.loads(file.read_text())["case"] for file in files]
        return [name for name in names if f"{name}/again" not in self.done]

    @property
    def passed(self) -> int:
        return sum(total.cases for total in self.totals.values()) - self.failed

    @property
    def failed(self) -> int:
        return sum(total.faults - total.fixed for total in self.totals.values())

    def table(self) -> str:
        """The totals as a Markdown table."""
        rows = ["| class | cases | values | sentences | faults | left | worst CPU s | worst MiB |"]
        rows.append("|---|--:|--:|--:|--:|--:|--:|--:|")
        for name, t in sorted(self.totals.items()):
            counts = f"{t.cases:,} | {t.values:,} | {t.sentences:,} | {t.faults:,}"
            rows.append(
                f"| {name} | {counts} | {t.faults - t.fixed:,} | {t.seconds:.2f} | {t.mib:.0f} |"
            )
        return "\n".join(rows) + "\n"


def class_of(case: str) -> str:
    """Name the class of a case or a batch in the table."""
    kind, name, *_ = case.split("/")
    return f"{kind}: {name}" if kind in ("inputs", "kills") else kind

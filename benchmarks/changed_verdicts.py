"""Printed claims whose verdict differs from that of an earlier commit.

    python benchmarks/changed_verdicts.py COMMIT        writes docs/results/changed-verdicts.md

Compares `data/results/*/report.json` with the same files of the commit; works out nothing anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGES = ROOT / "data" / "results", ROOT / "docs" / "results"
Claim = dict[str, Any]


class Change(NamedTuple):
    """A claim in two reports.

    Attributes:
        measurement: Name of the comparison.
        before: The claim of the earlier report.
        now: The claim of the present one.
    """

    measurement: str
    before: Claim
    now: Claim

    @property
    def is_one(self) -> bool:
        """Tell if the verdict changed."""
        return self.before["shown"] != self.now["shown"]

    @property
    def row(self) -> tuple[str, ...]:
        """The claim as a row of the page."""
        part = f" ({self.now['part']})" if "part" in self.now else ""
        name = f"`{self.now['first']}` − `{self.now['second']}`{part}"
        verdicts = [_verdict(claim) for claim in (self.before, self.now)]
        word = f"{verdicts[0]} → **{verdicts[1]}**" if self.is_one else verdicts[1]
        intervals = [_interval(claim) for claim in (self.before, self.now)]
        return self.measurement, name, f"{self.now['mean']:+.3f}", *intervals, word


def _verdict(claim: Claim) -> str:
    return "shown" if claim["shown"] else "inconclusive"


def _interval(claim: Claim) -> str:
    return f"[{claim['low']:+.3f}, {claim['high']:+.3f}], p = {claim['p']:.2g}"


def changes(before: dict[str, Any], now: dict[str, Any], name: str) -> Iterator[Change]:
    """Yield the claims of two reports of one comparison, in their order.

    Args:
        before: The earlier report.
        now: The present one.
        name: Name of the comparison.
    """
    for kind in ("claims", "decomposition"):
        earlier = {_key(claim): claim for claim in before[kind]}
        yield from (Change(name, earlier[_key(claim)], claim) for claim in now[kind])


def _key(claim: Claim) -> tuple[str | None, ...]:
    return tuple(claim.get(name) for name in ("model", "task", "part", "first", "second"))


def page(of: Iterable[Change], commit: str) -> str:
    """Return the page: the changed claims, then all of them.

    Args:
        of: All claims of both reports.
        commit: Of the earlier reports.
    """
    known = list(of)
    changed = [change for change in known if change.is_one]
    counts = [
        sum(side["shown"] for side in sides) for sides in zip(*(c[1:] for c in known), strict=True)
    ]
    head = (
        ("comparison", "claim", "difference", f"interval and p at {commit}", "interval and p now", "verdict"),
        ("---", "---", "---:", "---", "---", "---"),
    )  # fmt: skip
    return "\n".join(
        [
            f"`python benchmarks/changed_verdicts.py {commit}`",
            "",
            f"Of {len(known)} printed claims {counts[0]} were shown at commit {commit}, {counts[1]} are now; "
            f"{len(changed)} changed. The runs are the same.",
            "",
            *_lines([*head, *(change.row for change in changed)]),
            "",
            f"<details><summary>All {len(known)} claims</summary>",
            "",
            *_lines([*head, *(change.row for change in known)]),
            "",
            "</details>",
            "",
        ]
    )


def _lines(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    return (f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="List the verdicts that changed since a commit.")
    parser.add_argument("commit", help="of the earlier reports")
    commit = parser.parse_args().commit
    found: list[Change] = []
    for file in sorted(RESULTS.glob("*/report.json")):
        shown = ["git", "show", f"{commit}:{file.relative_to(ROOT).as_posix()}"]
        before = json.loads(subprocess.run(shown, cwd=ROOT, check=True, capture_output=True).stdout)
        found += changes(before, json.loads(file.read_text(encoding="utf-8")), file.parent.name)
    (PAGES / "changed-verdicts.md").write_text(page(found, commit), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Verdicts of all printed claims, and claims pooled over comparisons.

    python -m tools.verdicts        writes docs/results/verdicts.md

Reads `data/results/*/claims.json` and, for methods with and without their circuit, the unpacked
runs (`python -m tools.measurements --unpack`); trains nothing.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from qtha_lab.adapters.registry import controls_of
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.studies.comparison.claims import claims
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.contenders import Conditions
from qtha_lab.studies.comparison.pooled import LEAST_PAIRS, PooledDifference, pool
from qtha_lab.studies.comparison.row_losses import read_items
from tools.measurements import CLAIMS, FILES, OUT, PAGES, RESULTS

CONFIRMED = "confirm-"  # comparisons on fresh seeds, whose rates were chosen elsewhere
LEVEL = 0.05
MARK = "shown, not by Holm over all claims"
NOT_LEARNT = "tiny-chat"  # no method improves there, so no part can matter
VERDICTS = ("shown", "equivalent", "inconclusive")
Claim = dict[str, Any]
Row = tuple[str, ...]


def printed(reports: dict[str, dict[str, Any]]) -> dict[str, list[Claim]]:
    """Return the claims of every report, differences to the first method and effects of parts."""
    return {name: [*of["claims"], *of["decomposition"]] for name, of in reports.items()}


def mark_by_holm(by_comparison: dict[str, list[Claim]]) -> int:
    """Set `by_holm` of every shown claim: whether it holds among all printed claims.

    Returns:
        Number of shown claims that hold.

    Example:
        >>> claims = [{"p": p, "claims": 1, "verdict": "shown"} for p in (0.01, 0.04, 0.03)]
        >>> mark_by_holm({"a": claims}), [claim["by_holm"] for claim in claims]
        (1, [True, False, False])

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    every = [claim for of in by_comparison.values() for claim in of]
    every.sort(key=lambda claim: claim["p"] / claim["claims"])
    holds, count = True, 0
    for place, claim in enumerate(every):
        # p is that of its own table, multiplied by the number of claims there
        holds = holds and claim["p"] / claim["claims"] <= LEVEL / (len(every) - place)
        claim["by_holm"] = holds
        count += holds and claim["verdict"] == "shown"
    return count


def counts(by_comparison: dict[str, list[Claim]]) -> Iterator[Row]:
    """Yield a row of counts per comparison, and their sum."""
    yield "comparison", "claims", *VERDICTS
    yield "---", *["---:"] * 4
    total: Counter[str] = Counter()
    for name, of in by_comparison.items():
        number = Counter(claim["verdict"] for claim in of)
        total += number
        yield f"`{name}`", str(len(of)), *(str(number[word]) for word in VERDICTS)
    yield "**all**", str(total.total()), *(str(total[word]) for word in VERDICTS)


def pooled_parts(by_comparison: dict[str, list[Claim]]) -> list[PooledDifference]:
    """Pool the effect of each part of QTHA over the comparisons that measured it."""
    by_part: dict[str, list[Claim]] = {}
    learnt = [of for name, of in by_comparison.items() if name != NOT_LEARNT]
    for claim in (claim for of in learnt for claim in of if "part" in claim):
        by_part.setdefault(claim["part"], []).append(claim)
    several = {part: of for part, of in by_part.items() if len(of) >= LEAST_PAIRS}
    return [
        pool(f"with {part}", "without it", of, pooled=len(several)) for part, of in several.items()
    ]


def circuit_pairs(compared: Compared) -> list[Claim]:
    """Return the claims of methods with a circuit against the same method without it."""
    pairs = without_circuit(compared)
    if not pairs:
        return []
    items = read_items(compared.runs.values())
    on = {compared.best["model_task"].iloc[0]: pairs}
    return [claim.plain() for claim in claims(compared.frame, on, items)]


def without_circuit(compared: Compared) -> list[tuple[str, str]]:
    """Return the methods with a circuit, each with the same method without it."""
    first = compared.best.drop_duplicates("family")
    methods: list[tuple[str, str, dict[str, Any]]] = [
        *zip(first["family"], first["method"], first["options"], strict=True)
    ]
    by_meaning = {MethodChoice(name=m, options=o).meaning: name for name, m, o in methods}
    pairs = []
    for name, method, options in methods:
        for control in controls_of(method, options):
            choice = MethodChoice(name=control.method, options=control.options)
            if control.title == "no circuit" and choice.meaning in by_meaning:
                pairs.append((name, by_meaning[choice.meaning]))
    return pairs


def page(
    by_comparison: dict[str, list[Claim]],
    pooled: Sequence[PooledDifference],
    with_and_without: dict[str, list[Claim]],
) -> str:
    """Return the page: counts, pooled claims, then all claims."""
    held, shown = mark_by_holm(by_comparison), _shown(by_comparison)
    head = ("claim", "pairs", "difference", "interval", "τ", "I²", "verdict")
    rows = [
        (
            f"{p.first} − {p.second}",
            str(p.pairs),
            f"{p.mean:+.4f}",
            "–" if p.low is None else f"[{p.low:+.4f}, {p.high:+.4f}]",
            f"{p.spread:.4f}",
            f"{p.heterogeneity:.0%}",
            p.verdict,
        )
        for p in pooled
    ]
    return "\n".join(
        [
            "`python -m tools.verdicts`",
            "",
            *_lines(counts(by_comparison)),
            "",
            f"Each table by itself: its intervals hold simultaneously with 95 %. By Holm over all "
            f"claims {held} of {shown} shown claims remain; the list marks the others.",
            "",
            "Pooled over comparisons (random effects, nats of test loss). The first row pools the "
            "confirmations on fresh seeds; the others leave out chat, where no method improves:",
            "",
            *_lines([head, ("---", "---:", "---:", "---", "---:", "---:", "---"), *rows]),
            "",
            "<details><summary>Methods with and without their circuit</summary>",
            "",
            *_lines(_claims(with_and_without)),
            "",
            "</details>",
            "",
            "<details><summary>All claims</summary>",
            "",
            *_lines(_claims(by_comparison)),
            "",
            "</details>",
            "",
        ]
    )


def _claims(by_comparison: dict[str, list[Claim]]) -> Iterator[Row]:
    yield "comparison", "claim", "conditions", "difference", "interval", "p", "verdict"
    yield "---", "---", "---", "---:", "---", "---:", "---"
    for name, of in by_comparison.items():
        comparison = Comparison.from_yaml(FILES / f"{name}.yaml")
        for claim in of:
            part = f" ({claim['part']})" if "part" in claim else ""
            yield (
                name,
                f"`{claim['first']}` − `{claim['second']}`{part}",
                Conditions.of(comparison, claim).sentence,
                f"{claim['mean']:+.3f}",
                f"[{claim['low']:+.3f}, {claim['high']:+.3f}]",
                f"{claim['p']:.2g}",
                _word(claim),
            )


def _shown(by_comparison: dict[str, list[Claim]]) -> int:
    return sum(claim["verdict"] == "shown" for of in by_comparison.values() for claim in of)


def _word(claim: Claim) -> str:
    """Return the verdict of a claim, and what it does not hold under."""
    is_marked = claim["verdict"] == "shown" and not claim.get("by_holm", True)
    word = MARK if is_marked else claim["verdict"]
    notes = {
        "not run": "; neighbouring rate not run",
        "fails": "; not shown at the neighbouring rate",
    }
    return word + notes.get(claim.get("neighbour", ""), "")


def _lines(rows: Iterable[Row]) -> Iterator[str]:
    return (f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the page of all verdicts.")
    parser.add_argument("--folder", type=Path, default=OUT, help="unpacked measurements")
    folder = parser.parse_args().folder
    files = sorted(RESULTS.glob(f"*/{CLAIMS}"))
    reports = {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in files}
    by_comparison = printed(reports)
    pairs = {
        name: found
        for name in reports
        if name.startswith(CONFIRMED)
        and (folder / name / "summary.json").exists()
        and (found := circuit_pairs(Compared.of(folder / name)))
    }
    pooled = pooled_parts(by_comparison)
    several = [claim for of in pairs.values() for claim in of]
    if len(several) >= LEAST_PAIRS:
        pooled.insert(0, pool("QTHA", "the same without its circuit", several))
    (PAGES / "verdicts.md").write_text(page(by_comparison, pooled, pairs), encoding="utf-8")


if __name__ == "__main__":
    main()

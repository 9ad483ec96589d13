"""Facts of a reproduction: texts, arms and claims. Trains nothing."""

import re

from qtha_lab.core.metrics import MEASURES
from qtha_lab.reproductions.machinery.registry import Reproduction
from qtha_lab.testing.facts import expect, expect_text, fact


@fact("reproduction", "its title, paper and control have text")
def reproduction_texts(entry: Reproduction) -> None:
    """Check the texts, the arXiv number and the minutes."""
    expect_text(entry, "title", "claim", "works", "source", "control", "data")
    number = re.fullmatch(r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}", entry.arxiv)
    expect(bool(number), f"arxiv must be a number such as 2106.09685, got {entry.arxiv!r}")
    expect(entry.minutes > 0, f"minutes must be above 0, got {entry.minutes}")
    expect(all(text.strip() for text in entry.arms.values()), "an arm has no description")


@fact("reproduction", "its claims compare different arms in a measurement")
def reproduction_claimed(entry: Reproduction) -> None:
    """Check arms and measurements of the claims, and the steps of the quick form."""
    for claim in entry.claims:
        expect(claim.arm != claim.control, f"a claim compares the arm {claim.arm} with itself")
        known = claim.measure in MEASURES or not entry.is_fine_tune
        expect(known, f"no run records the measure {claim.measure!r}")
    full, quick = entry.steps
    expect(quick <= full, f"the quick form has {quick} steps, the full form {full}")


@fact(
    "reproduction", "its arms and seeds give different experiments, and the quick form is shorter"
)
def reproduction_arranged(entry: Reproduction) -> None:
    """Check the experiments of a fine-tune with default settings, unless it reads earlier arms."""
    if not entry.is_fine_tune or entry.takes_earlier:
        return
    settings = entry.arguments()
    full = {arm: entry.run(arm, 0, False, *settings) for arm in entry.arms}
    texts = {experiment.to_yaml() for experiment in full.values()}
    expect(len(texts) == len(full), f"{len(full)} arms give one experiment, or {len(texts)}")
    arm, experiment = next(iter(full.items()))
    expect(entry.run(arm, 0, False, *settings) == experiment, "two calls with one seed differ")
    expect(entry.run(arm, 1, False, *settings) != experiment, "the seed must change the experiment")
    steps = entry.run(arm, 0, True, *settings).training.steps, experiment.training.steps
    expect(steps[0] <= steps[1], "the quick form has {} steps, the full form {}".format(*steps))

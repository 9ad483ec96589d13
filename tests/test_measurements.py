"""The files of our own measurements are comparisons that can run, each part of QTHA beside its parent."""

from pathlib import Path

import pytest

from qtha_lab.adapters import get_method
from qtha_lab.compare.decomposition import PARTS, decompose
from qtha_lab.experiment import Comparison
from qtha_lab.paths import data_dir

FILES = sorted((data_dir() / "measurements").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_measurement_has_the_seeds_that_an_interval_needs_and_methods_that_exist(file: Path):
    comparison = Comparison.from_yaml(file)
    assert len(comparison.seeds) >= 5
    assert len(comparison.learning_rates) >= 4
    for entrant in comparison.lineup():
        get_method(entrant.method.name).check(entrant.method.options)
    labels = [experiment.method.label for experiment in comparison.experiments()]
    assert len(labels) == len(set(labels)) * len(comparison.seeds)


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.stem.startswith("tiny")], ids=lambda file: file.stem
)
def test_a_measurement_on_tiny_has_every_row_of_the_decomposition(file: Path):
    entries = [
        {
            "run_id": str(n), "label": e.method.label, "method": e.method.name, "options": e.method.options,
            "seed": e.seed, "state": "finished", "learning_rate": e.method.learning_rate,
            "eval_loss": 1.0 + e.seed, "test_loss": 1.0 + e.seed,
        }
        for n, e in enumerate(Comparison.from_yaml(file).experiments())
    ]  # fmt: skip
    assert {row.part for row in decompose(entries)} == PARTS.keys()


def test_rounding_is_measured_at_one_rate_of_each_method():
    comparison = Comparison(
        methods="lora,qtha", learning_rates=[0.01, 0.03], seeds=[3, 4], rounding=5
    )
    repeats = comparison.nudged()
    assert len(repeats) == 10
    assert {(e.seed, e.method.learning_rate) for e in repeats} == {(3, 0.01)}
    assert sorted({e.training.nudge for e in repeats}) == [1, 2, 3, 4, 5]

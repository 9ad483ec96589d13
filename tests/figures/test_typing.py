"""Types that an editor shows.

The names that the documentation teaches are typed, and a slip is flagged.
"""

import json
import subprocess
import sys

import pytest

import qtha_lab
from qtha_lab import figures
from qtha_lab.core.paths import CHECKOUT
from qtha_lab.figures import figure_functions

SNIPPET = """
from qtha_lab import (
    Circuit, Comparison, Experiment, MethodChoice, QthaConfig, ansatze, compare, expval, launch, load_run,
    preview, probs,
)
from qtha_lab.circuits import Angle, Gate
from qtha_lab.figures import loss_curves, pareto

run = launch(Experiment())
mine = Experiment(method="lora(r=4)", training={"steps": 20}, task_options={"turns": 2}, seed=1)
both = Comparison(methods=["lora", "qtha(r=4)"], training=mine.training.replace(steps=5))
reveal_type(mine.method)
reveal_type(mine.replace(seed=2))
reveal_type(both.experiments())
reveal_type(Experiment.from_yaml("seed: 1"))
runs = launch(Comparison(methods=[MethodChoice.parse("lora"), MethodChoice(name="qtha")], seeds=[0, 1]))
circuit = Circuit(1, [Gate("RY", 0, Angle.input(0))])
reveal_type(run)
reveal_type(run.wait())
reveal_type(runs)
reveal_type(runs.wait().table())
reveal_type(runs.figures())
reveal_type(runs.stop().resume())
reveal_type(launch)
reveal_type(Experiment)
reveal_type(QthaConfig(r=4))
reveal_type(circuit)
reveal_type(expval)
reveal_type(probs)
reveal_type(load_run)
reveal_type(compare.run)
reveal_type(preview)
reveal_type(mine.run)
reveal_type(ansatze.build)
reveal_type(loss_curves)
reveal_type(pareto)
run.wiat()
"""


@pytest.fixture(scope="module")
def diagnostics(tmp_path_factory):
    """Return the type checker's findings: (line of the snippet, severity, message)."""
    file = tmp_path_factory.mktemp("typing") / "snippet.py"
    file.write_text(SNIPPET)
    (file.parent / "pyrightconfig.json").write_text(
        json.dumps({"extraPaths": [str(CHECKOUT)], "typeCheckingMode": "basic"})
    )
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(file.parent)]
    checked = subprocess.run(
        [*command, "--pythonpath", sys.executable], capture_output=True, text=True, check=False
    )
    lines = SNIPPET.splitlines()
    return [
        (lines[result["range"]["start"]["line"]], result["severity"], result["message"])
        for result in json.loads(checked.stdout)["generalDiagnostics"]
    ]


@pytest.mark.slow
def test_a_slip_in_the_name_of_a_method_is_flagged_and_nothing_else(diagnostics):
    errors = [(line, message) for line, severity, message in diagnostics if severity == "error"]
    assert [line for line, _ in errors] == ["run.wiat()"], errors
    assert "wiat" in errors[0][1]


@pytest.mark.slow
def test_no_name_that_is_taught_is_any(diagnostics):
    types = {line: text for line, severity, text in diagnostics if line.startswith("reveal_type")}
    assert len(types) == SNIPPET.count("reveal_type")
    for line, text in types.items():
        kind = text.split(" is ", 1)[1]
        assert kind != '"Any"', line
        assert "Unknown" not in kind, (line, kind)
    assert 'is "Run"' in types["reveal_type(run)"]
    assert 'is "ComparisonStudy"' in types["reveal_type(runs)"]
    assert 'is "DataFrame"' in types["reveal_type(runs.wait().table())"]
    assert 'is "list[Figure]"' in types["reveal_type(runs.figures())"]


def test_the_front_of_the_package_gives_every_name_it_lists():
    assert [name for name in qtha_lab.__all__ if not hasattr(qtha_lab, name)] == []


def test_every_figure_function_is_a_name_of_the_package_and_of_its_file():
    of_the_package = [
        entry for entry in figure_functions() if entry.make.__module__.startswith(figures.__name__)
    ]
    assert len(of_the_package) >= 16
    for entry in of_the_package:
        assert getattr(figures, entry.name) is entry.make
        assert entry.make.__module__ == f"{figures.__name__}.{entry.name}"

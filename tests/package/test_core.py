"""An installation without extras trains, compares and exports.

Extras are named where they are missing.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.core_environment import ROOT, build, hard_dependencies, required

from qtha_lab.core.errors import Refusal
from qtha_lab.core.libraries import require_extra

# Packages that a module imports at its top, and the feature that names their extra beforehand.
OF_EXTRAS = {"optuna": "studies/sweep"}
OURS = {"qtha_lab", "widgets"}


def imported_at_the_top(path: Path) -> set[str]:
    """Top-level packages that the import of a module imports."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names - sys.stdlib_module_names - OURS


def test_at_most_fifteen_packages_are_required():
    assert len(hard_dependencies()) <= 15


def test_every_package_that_a_module_imports_comes_with_a_hard_dependency():
    import importlib.metadata

    installed = required(hard_dependencies())
    providers = importlib.metadata.packages_distributions()
    for path in sorted((ROOT / "qtha_lab").rglob("*.py")):
        for name in imported_at_the_top(path):
            folder = OF_EXTRAS.get(name)
            if folder and folder in path.as_posix():
                continue
            normal = {re.sub(r"[-_.]+", "-", each).lower() for each in providers[name]}
            assert normal & installed.keys(), f"{path.relative_to(ROOT)} imports {name}"


def test_a_missing_package_is_answered_with_the_command_that_installs_it():
    with pytest.raises(Refusal) as refusal:
        require_extra("remote", "A run on Ray", "no_such_cluster", "json", "no_such_store")
    assert (
        str(refusal.value)
        == "A run on Ray cannot be used without no_such_cluster and no_such_store. Run pip install"
        ' "qtha-lab[remote]".'
    )


def test_an_installed_package_is_accepted():
    require_extra("remote", "A run on Ray", "json")


# an environment with the hard dependencies alone


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("core") / "venv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mine")


def run(core: Path, folder: Path, *words: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"QTHA_LAB_RUNS": str(folder / "runs")}
    command = [str(core), "-m", "qtha_lab", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_core_trains_compares_and_exports(core, folder):
    methods = "lora(r=2),qtha(r=2,waist=8)"
    words = ["--model", "tiny", "--task", "qa", "--methods", methods, "--steps", "2"]
    done = run(core, folder, "compare", *words, "--out", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((folder / "out" / "summary.json").read_text())
    assert [entry["state"] for entry in summary["runs"]] == ["finished", "finished"]
    assert (folder / "out" / "report.html").is_file()
    ids = sorted(path.name for path in (folder / "out" / "runs").iterdir())
    lora = run(core, folder, "export", f"out/runs/{ids[1]}", "lora", "--r", "2", "--to", "plain")
    assert lora.returncode == 0, lora.stderr
    assert json.loads((folder / "plain" / "adapter_config.json").read_text())["peft_type"] == "LORA"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "lab --no-browser",
            'The workbench cannot be used without jupyterlab. Run pip install "qtha-lab[lab]".',
        ),
        (
            "plot out --out figures --formats pdf",
            'A picture of a figure cannot be used without kaleido. Run pip install "qtha-lab[figures]".',
        ),
        (
            (
                "sweep --model tiny --task qa --methods lora --axes learning_rate=1e-3..1e-2"
                " --search tpe --trials 2"
            ),
            'A sweep cannot be used without optuna. Run pip install "qtha-lab[sweep]".',
        ),
        (
            "run --model tiny --task qa --method lora --objective reinforce --steps 1",
            'A training on a ROUGE reward cannot be used without rouge_score. Run pip install "qtha-lab[scores]".',
        ),
    ],
)
def test_a_command_names_the_extra_that_it_needs(core, folder, words, sentence):
    done = run(core, folder, *words.split())
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"error: {sentence}"


@pytest.mark.slow
def test_plot_names_its_extra_before_it_imports_large_libraries(core, folder):
    code = (
        "import sys; from qtha_lab import cli; sys.argv[1:] = ['plot', 'out']\n"
        "try: cli.main()\nexcept SystemExit: print([n for n in ('torch', 'plotly') if n in sys.modules])"
    )
    done = subprocess.run([str(core), "-c", code], cwd=folder, capture_output=True, text=True)
    assert 'pip install "qtha-lab[figures]"' in done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_workbench_names_its_extra(core, folder):
    command = [str(core), "-c", "import qtha_lab; qtha_lab.Workbench"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    expected = (
        'A panel cannot be used without anywidget and ipywidgets. Run pip install "qtha-lab[lab]".'
    )
    assert done.stderr.splitlines()[-1] == f"qtha_lab.core.errors.Refusal: {expected}"

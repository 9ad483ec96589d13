"""Tables of recorded runs fit 80 characters per line, and no line break divides a word."""

import json
import tarfile

import pytest
from support.command_line import (
    LONG,
    PAGE,
    check_command,
    check_narrow,
    headings,
    printed,
    words_of,
)
from support.refusals import refused

from qtha_lab.cli.compare import print_comparison
from qtha_lab.cli.output import print_table
from qtha_lab.cli.report import print_verdicts
from qtha_lab.cli.run import print_state
from qtha_lab.cli.search import print_cells
from qtha_lab.cli.sweep import print_result
from qtha_lab.core.paths import data_dir
from qtha_lab.runs.run import list_runs
from qtha_lab.studies.comparison import brief_table, differences
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.regime_map import regimes_of
from qtha_lab.studies.sweep import SweepStudy
from tools import measurements

RECORDED = sorted(path.parent.name for path in measurements.RESULTS.glob("*/runs.tar.xz"))
RUNS = data_dir() / "runs"
BENCHES = sorted(p for p in measurements.PAGES.glob("*.md") if "qtha-lab bench" in p.read_text())
ONE = "20261129-192545-tiny-qa-lora-s0-361e"


def unpacked(name: str, folder, *members: str) -> Compared:
    """Return a recorded comparison, of which some members are unpacked."""
    with tarfile.open(measurements.RESULTS / name / measurements.PACKED) as packed:
        wanted = [m for m in packed if m.name.removeprefix("./").startswith(members)]
        packed.extractall(folder, members=wanted, filter="data")
    return Compared.of(folder)


@pytest.fixture(params=RECORDED)
def compared(request, tmp_path):
    return unpacked(request.param, tmp_path, "comparison.yaml", "summary.json")


def verdicts(compared: Compared) -> list[str]:
    return differences.verdicts(compared).sentences


def of_comparison(compared, capsys, monkeypatch, columns: int) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_comparison(compared, verdicts(compared))
    return capsys.readouterr().out


def test_a_recorded_comparison_fits_80_characters_with_every_label_whole(
    compared, capsys, monkeypatch
):
    narrow = of_comparison(compared, capsys, monkeypatch, 100)
    monkeypatch.setattr("qtha_lab.cli.compare.PAGE", LONG)
    check_narrow(narrow, of_comparison(compared, capsys, monkeypatch, LONG))


def test_a_recorded_comparison_prints_the_verdicts_below_seven_columns_and_then_notes(
    compared, capsys, monkeypatch
):
    narrow = of_comparison(compared, capsys, monkeypatch, PAGE)
    table, _, below = narrow.partition("└")
    assert 5 <= table.splitlines()[0].count("┳") + 1 <= 7
    names = brief_table.names_in_table(compared)
    first = brief_table.with_names(verdicts(compared)[0], names)
    lines = below.splitlines()[1:]
    assert lines[0].startswith("- ")
    assert " ".join(line[2:] for line in lines).startswith(first)
    notes = narrow.partition("Notes:\n")[2]
    assert notes
    assert not any(
        brief_table.with_names(s, names) in " ".join(notes.split()) for s in verdicts(compared)
    )


def test_a_wide_terminal_and_a_pipe_print_the_same(tmp_path, capsys, monkeypatch):
    compared = unpacked("equal-size", tmp_path, "comparison.yaml", "summary.json")
    outputs = {of_comparison(compared, capsys, monkeypatch, columns) for columns in (80, 100, 200)}
    assert len(outputs) == 1
    assert headings(outputs.pop()) == ["method", "rate", "test loss", "difference", "verdict"]


def test_wide_prints_every_rate_in_every_column(tmp_path, capsys):
    compared = unpacked("confirm-shared", tmp_path, "comparison.yaml", "summary.json")
    print_comparison(compared, verdicts(compared), wide=True)
    wide = capsys.readouterr().out
    assert {"forgetting", "gap", "peak", "adapter"} <= words_of(wide)
    assert all(label in wide for label in {run["label"] for run in compared.summary["runs"]})


def test_named_columns_are_printed_alone(tmp_path, capsys):
    compared = unpacked("confirm-shared", tmp_path, "comparison.yaml", "summary.json")
    print_comparison(compared, verdicts(compared), ["method", "eval_loss_start", "seeds"])
    assert headings(capsys.readouterr().out) == ["method", "eval loss, start", "seeds"]


def test_an_unknown_column_is_refused_before_any_run(tmp_path):
    with refused("column", "'test_los'"):
        printed("compare", "--columns", "test_los", "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_prints_a_recorded_comparison_that_fits(tmp_path):
    measurements.unpack(
        measurements.RESULTS / "confirm-shared" / measurements.PACKED, tmp_path / "c"
    )
    file = str(measurements.FILES / "confirm-shared.yaml")
    narrow = printed("compare", file, "--out", str(tmp_path / "c"), columns=100)
    assert max(map(len, narrow.splitlines()[:-1])) <= PAGE
    assert narrow.index("- lora(r=1) − lora(r=8), test loss") < narrow.index("Notes:")


@pytest.mark.parametrize("name", RECORDED)
def test_maps_and_reports_of_recorded_claims_fit(name, capsys, monkeypatch):
    claims = json.loads((measurements.RESULTS / name / measurements.CLAIMS).read_text())["claims"]
    cells, outputs = list(regimes_of(claims, 100)), []
    for columns in (PAGE, LONG):
        monkeypatch.setenv("COLUMNS", str(columns))
        print_cells(cells)
        print_verdicts([claim["sentence"] for claim in claims])
        outputs.append(capsys.readouterr().out)
    check_narrow(*outputs)


def test_recorded_sweeps_fit(tmp_path, capsys, monkeypatch):
    unpacked("equal-size", tmp_path, "comparison.yaml", "summary.json", "tuning")
    sweeps = sorted((tmp_path / "tuning").iterdir())
    assert len(sweeps) > 10
    monkeypatch.chdir(tmp_path)
    for folder in sweeps:
        trials, outputs = SweepStudy.find(folder), []
        for columns in (PAGE, LONG):
            monkeypatch.setenv("COLUMNS", str(columns))
            print_result(trials, False)
            outputs.append(capsys.readouterr().out)
        check_narrow(*outputs)


@pytest.mark.parametrize("page", BENCHES, ids=lambda page: page.stem)
def test_recorded_tables_of_benches_fit(page, capsys, monkeypatch):
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    rows = [row for row in rows if not set("".join(row)) <= set(":- ")]
    for width in {len(row) for row in rows}:
        outputs = []
        for columns in (PAGE, LONG):
            monkeypatch.setenv("COLUMNS", str(columns))
            print_table([row for row in rows if len(row) == width])
            outputs.append(capsys.readouterr().out)
        check_narrow(*outputs)


COMMANDS = [
    "methods",
    "ansatze",
    "ansatze show qtha,product,brickwork(block=ry_cz) --samples 20",
    "parameters tiny --methods lora(r=8),qtha(r=4,waist=16,bond_dim=3,n_layers=2,use_circuit=true)",
    "models",
    "tasks",
    "engines",
    "reproduce --list",
    "check-data qa",
    "runs --sort eval_loss",
    "runs --group seeds",
    "runs --where seed==0",
    "runs --columns all",
    "runs --columns run,method,learning_rate,eval_loss,test_loss,wall_seconds",
    f"runs show {ONE}",
    f"export {ONE}",
    f"explain {RUNS}",
    f"plot {RUNS} --list",
    "course seed 3",
]
SLOW = [
    "doctor",
    "course check --lessons 0 --minutes 0",
    "search --steps 2 --candidates 4 --finetune 1",
]


@pytest.fixture
def _recorded_runs(monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(RUNS))


@pytest.mark.usefixtures("_recorded_runs")
@pytest.mark.parametrize(
    "command", [*COMMANDS, *(pytest.param(command, marks=pytest.mark.slow) for command in SLOW)]
)
def test_the_tables_of_a_command_fit(command):
    check_command(*command.split())


def test_the_state_of_every_recorded_run_fits(capsys, monkeypatch):
    for run in list_runs(RUNS):
        outputs = []
        for columns in (PAGE, LONG):
            monkeypatch.setenv("COLUMNS", str(columns))
            print_state(run)
            outputs.append(capsys.readouterr().out.rpartition("in /")[0])
        check_narrow(*outputs)


FEW = "--steps 2 --batch-size 2 --max-length 24 --train-rows 14 --eval-rows 4 --test-rows 4"
METHODS = "lora(r=2),qtha(r=4,waist=16,bond_dim=3,n_layers=2)"
MADE = {
    "check-plugin": ["new-plugin ansatz ladder --folder .", "check-plugin ladder.py"],
    "course build": ["course build course --lessons 0"],
    "federate": [f"federate --methods {METHODS} --clients 2 --rounds 1 {FEW} --out f"],
    "init learn": ["init learn --out angles.json --epochs 1"],
    "evaluate": [
        f"run --method qtha(r=2,waist=8) {FEW}",
        "evaluate {0} --cut W_q,angles",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_the_tables_of_what_a_command_makes_fit(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path / "runs"))
    *before, command = MADE[name]
    for line in before:
        printed(*line.split())
    made = [run.id for run in list_runs(tmp_path / "runs")]
    narrow = printed(*command.format(*made).split())
    assert "┃" in narrow
    check_narrow(narrow, narrow)  # seconds differ in a second call


def test_the_notes_on_own_data_fit(tmp_path):
    file = tmp_path / "prices.csv"
    file.write_text("text;score\n" + "".join(f"word {i};{i},{i % 7}\n" for i in range(60)))
    assert "with decimal commas" in check_command("check-data", str(file))


@pytest.mark.usefixtures("_recorded_runs")
def test_the_list_of_runs_keeps_every_name_whole():
    listed = check_command("runs")
    assert all(f"│{run.name}│" in listed for run in RUNS.glob("2*"))

"""Folders of somebody else.

No use runs the plugins that their descriptions name without consent.
"""

import os
from pathlib import Path

import pytest
from support.command_line import call
from support.refusals import refused
from support.run_folders import status, write

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, Federation, Sweep
from qtha_lab.experiment.run_directory import RunDir, trust
from qtha_lab.runs.run import Run
from qtha_lab.studies import comparison, scheduler
from qtha_lab.studies.comparison import ComparisonStudy
from qtha_lab.studies.federated import flower
from qtha_lab.studies.federated.folder import parties
from qtha_lab.studies.sweep import SweepStudy
from qtha_lab.studies.work import Work

SOURCE = (Path(__file__).parents[2] / "examples" / "diagonal.py").read_text()
pytestmark = pytest.mark.usefixtures("no_plugin_stays")


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """A user who has launched and trusted nothing yet."""
    monkeypatch.setenv("QTHA_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    return tmp_path / "state"


@pytest.fixture
def mark(tmp_path):
    """The file that the plugin leaves where it runs."""
    return tmp_path / "it_ran"


@pytest.fixture
def spy(tmp_path, mark):
    """A plugin with a method `spied`."""
    file = tmp_path / "spy.py"
    text = SOURCE.replace('"diagonal"', '"spied"')
    file.write_text(f"{text}\nfrom pathlib import Path\nPath({str(mark)!r}).touch()\n")
    return file


def described(kind: str, spy: Path):
    fields = {"methods": [{"name": "spied"}], "plugins": [str(spy)], "seeds": [0]}
    if kind == "comparison":
        return Comparison(**fields, tuning={"axes": {"learning_rate": [0.01]}})
    if kind == "sweep":
        return Sweep(**fields, axes={"learning_rate": [0.01]})
    return Federation(**fields, clients=2, rounds=1, training={"steps": 2})


@pytest.fixture
def foreign(tmp_path, spy):
    """Write a folder as somebody else would: the description, and a summary."""

    def write_folder(kind: str) -> Path:
        folder = tmp_path / f"their_{kind}"
        folder.mkdir()
        (folder / f"{kind}.yaml").write_text(described(kind, spy).to_yaml())
        (folder / "summary.json").write_text('{"runs": [], "notes": []}')
        return folder

    return write_folder


USES = {
    ("comparison", "report"): lambda folder: comparison.Report.of(folder),
    ("comparison", "progress"): lambda folder: ComparisonStudy(folder).sentence(),
    ("comparison", "trials"): lambda folder: ComparisonStudy(folder).trials(),
    ("comparison", "resume"): lambda folder: ComparisonStudy(folder).resume(),
    ("comparison", "scheduler"): lambda folder: ComparisonStudy(folder).trusted,
    ("sweep", "resume"): lambda folder: SweepStudy(folder).resume(),
    ("sweep", "extend"): lambda folder: SweepStudy(folder).extend(trials=2),
    ("sweep", "confirm"): lambda folder: SweepStudy(folder).confirmation(),
    ("sweep", "scheduler"): lambda folder: next(SweepStudy(folder).plan(Work())),
    ("federation", "client on Flower"): lambda folder: flower._client_rounds_of(
        folder / "runs" / "server"
    ),
}


@pytest.mark.parametrize(("kind", "use"), USES)
def test_code_of_a_folder_of_somebody_else_is_not_run_where_nobody_can_answer(
    kind, use, foreign, mark
):
    folder = foreign(kind)
    with pytest.raises(Refusal) as record:
        USES[kind, use](folder)
    sentence = str(record.value)
    assert f"{kind.capitalize()} their_{kind} must be trusted before its code runs" in sentence
    assert "call `qtha-lab trust " in sentence
    assert len(sentence) <= 300
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["comparison", "sweep", "federation"])
def test_the_command_trusts_a_folder_with_all_in_it(kind, foreign, mark, spy):
    folder = foreign(kind)
    done = call("trust", str(folder))
    assert done.exit_code == 0, done.output
    assert str(spy.name) in done.output.replace("\n", "")
    assert not mark.exists()
    os.environ.pop(trust.VARIABLE)  # as in another process
    digests = {"other name of the file": next(iter(trust_digests(spy).values()))}
    trust.check_trust(folder, digests)
    trust.check_trust(folder / "tuning" / "inner", digests)
    with refused(value="other name of the file"):
        trust.check_trust(folder.parent, digests)
    spy.write_text(f"{spy.read_text()}# other code\n")
    with pytest.raises(Refusal, match="must be trusted"):
        trust.check_trust(folder, trust_digests(spy))


def trust_digests(spy: Path) -> dict[str, str]:
    from qtha_lab.core.plugin_loading import fingerprints

    return fingerprints([str(spy)])


@pytest.mark.parametrize("kind", ["comparison", "sweep"])
def test_a_folder_in_the_runs_folder_is_trusted_by_its_name(kind, foreign, spy, tmp_path):
    from qtha_lab.core import paths

    group = paths.runs_dir() / f"{kind}s"
    group.mkdir(parents=True)
    foreign(kind).rename(group / "20260101-000000-ab12")
    with pytest.raises(Refusal, match="call `qtha-lab trust 20260101-000000-ab12`"):
        trust.check_trust(group / "20260101-000000-ab12", trust_digests(spy))
    assert call("trust", "20260101-000000-ab12").exit_code == 0
    trust.check_trust(group / "20260101-000000-ab12", trust_digests(spy))


def test_a_folder_that_this_user_makes_is_trusted(spy, tmp_path):
    folder = ComparisonStudy.create(described("comparison", spy), tmp_path / "runs")
    assert folder.trusted.plugins == [str(spy)]
    own = SweepStudy.create(described("sweep", spy), tmp_path / "own")
    assert own.trusted.plugins == [str(spy)]


def test_the_processes_of_a_foreign_folder_end_with_the_sentence(foreign, mark, caplog):
    for kind in ("comparison", "sweep"):
        assert scheduler.main([str(foreign(kind))]) == 1
        assert f"{kind.capitalize()} their_{kind} must be trusted" in caplog.text
    assert not mark.exists()


def test_a_client_of_somebody_else_in_a_federation_of_ones_own_is_refused(spy, mark, tmp_path):
    federation = Federation(methods="lora(r=2)", clients=2, rounds=1, training={"steps": 2})
    experiment = federation.experiments()[0]
    out = tmp_path / "federation"
    mine = parties(federation, experiment, out)
    planted = Experiment(method={"name": "spied"}, plugins=[str(spy)])
    mine.clients[0].experiment_file.write_text(planted.to_yaml())
    with refused("Client 1 of", "another"):
        parties(federation, experiment, out)
    assert not mark.exists()


def test_the_workbench_does_not_start_with_code_of_somebody_else(spy, mark, tmp_path):
    from qtha_lab.widgets.workbench.history import RunGroup
    from qtha_lab.widgets.workbench.workbench import equal_size, with_plugins

    run = Run(RunDir.create(Experiment(), tmp_path / "runs").path)
    planted = Experiment(method={"name": "spied"}, plugins=[str(spy)])
    run.files.experiment_file.write_text(planted.to_yaml())
    write(run, status("running", 0), status("stopped", 1))
    start, sentence = with_plugins(RunGroup((run,)))
    assert start == equal_size()
    assert "must be trusted before its code runs" in sentence
    assert not mark.exists()


def test_the_workbench_starts_with_no_sweep_of_somebody_else(foreign, mark):
    from qtha_lab.widgets.workbench.workbench import latest

    from qtha_lab.core import paths

    group = paths.runs_dir() / "sweeps"
    group.mkdir(parents=True)
    foreign("sweep").rename(group / "20260101-000000-ab12")
    assert len(SweepStudy.list_all()) == 1
    assert latest(None) is None
    assert not mark.exists()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda place: os.symlink(__file__, place)])
def test_only_a_regular_file_is_a_record_of_trust(tmp_path, make):
    place = trust._file(tmp_path.resolve(), {"a.py": "0"})
    trust.private_folder(place.parent)
    make(place)
    assert not trust.is_trusted(tmp_path, {"a.py": "0"})

"""A damaged journal costs a sweep the trials after the damage and nothing else."""

import shutil

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Sweep
from qtha_lab.studies.sweep import SweepStudy
from qtha_lab.studies.sweep.optuna_study import MethodStudy, open_journal

DESCRIBED = Sweep(methods="lora", axes={"learning_rate": [0.001, 0.01, 0.1]})


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A sweep whose three trials have ended."""
    folder = SweepStudy.create(DESCRIBED, tmp_path_factory.mktemp("sweep") / "three")
    study = MethodStudy(DESCRIBED, 0, open_journal(folder.journal))
    for value in (3.0, 2.0, 2.5):
        trial = study.ask()
        trial.set_user_attr("runs", [f"run-{trial.number}"])
        study.tell(trial, value)
    return folder


def views(folder):
    """Everything that a page or a command asks of a sweep."""
    trials = SweepStudy.find(folder.path)
    records = trials.records()
    return [
        trials.state,
        repr(trials),
        trials.best(),
        len(trials.table()),
        trials.seconds_left(records),
        trials.planned,
        records,
    ]


def damaged(recorded, folder, change):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(recorded.path, folder)
    copy = SweepStudy(folder)
    copy.journal.write_bytes(change(copy.journal.read_bytes()))
    return copy


def cut_at(number, line):
    """Replace one line of a journal."""
    return lambda data: b"\n".join(
        line if n == number else each for n, each in enumerate(data.split(b"\n"))
    )


@pytest.mark.parametrize(
    "line",
    [
        b'{"op_code": 5}', b'{"op_code": 0, "worker_id": "x", "study_name": [], "directions": [1]}',
        b'{"op_code": 99, "worker_id": "x"}', b"null", b"[[1]]", b"\xff\xfe", b"{", b"{}",
    ],
)  # fmt: skip
def test_a_damaged_line_costs_the_trials_after_it_and_the_sweep_goes_on(recorded, tmp_path, line):
    lines = recorded.journal.read_bytes().split(b"\n")
    of_the_first = next(n for n, each in enumerate(lines) if b"[3.0]" in each)
    copy = damaged(recorded, tmp_path / "copy", cut_at(of_the_first + 1, line))
    views(copy)
    assert [r.value for r in SweepStudy.find(copy.path).records() if r.state == "complete"] == [3.0]
    study = MethodStudy(DESCRIBED, 0, open_journal(copy.journal))
    assert study.remaining() == 2
    assert study.ask().params["learning_rate"] == 0.01
    assert copy.journal.with_name("journal.log.damaged").exists()


def test_a_damaged_line_is_reported_once_in_one_sentence(recorded, tmp_path, caplog):
    copy = damaged(recorded, tmp_path / ("long" * 40) / "copy", cut_at(3, b'{"op_code": 5}'))
    views(copy)
    (message,) = caplog.messages
    assert message.startswith("Line 4 of …")
    assert message.endswith("is damaged: KeyError('trial_id')")
    assert len(message) <= 300


@pytest.mark.parametrize(
    "line",
    [
        b'{"op_code": 6, "worker_id": "x", "trial_id": 77, "state": 1, "values": [1.0]}',
        b'{"op_code": 6, "worker_id": "x", "trial_id": 0, "state": "done", "values": 3}',
        b'{"op_code": 8, "worker_id": "x", "trial_id": 0, "user_attr": {"runs": [3, null]}}',
        b'{"op_code": 8, "worker_id": "x", "trial_id": 0, "user_attr": {"why": {}}}',
    ],
)
def test_a_line_that_contradicts_those_before_breaks_no_view(recorded, tmp_path, line):
    copy = damaged(recorded, tmp_path / "copy", lambda data: data + line + b"\n")
    assert len(views(copy)[-1]) == 3
    assert MethodStudy(DESCRIBED, 0, open_journal(copy.journal)).remaining() == 0


def test_a_trial_with_attributes_of_the_wrong_type_is_shown_as_damaged(recorded, tmp_path):
    begun = b'{"op_code": 4, "worker_id": "x", "study_id": 0, "datetime_start": null, "state": 0, '
    begun += (
        b'"value": null, "values": null, "distributions": {}, "params": {}, "user_attrs": "x", '
    )
    begun += b'"system_attrs": {}, "intermediate_values": {}}\n'
    copy = damaged(recorded, tmp_path / "copy", lambda data: data + begun)
    *_, record = views(copy)[-1]
    assert (record.state, record.message) == ("failed", "its lines in journal.log are damaged")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_any_changed_byte_of_a_journal_is_a_value_or_one_sentence(recorded, tmp_path, place, bits):
    def change(data):
        at = int(place * len(data))
        return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]

    copy = damaged(recorded, tmp_path / "copy", change)
    sentence = ""
    try:
        views(copy)
        study = MethodStudy(DESCRIBED, 0, open_journal(copy.journal))
        study.remaining()
    except Refusal as refused:
        sentence = str(refused)
    assert len(sentence) <= 300


def test_an_undamaged_journal_is_left_as_it_is(recorded, tmp_path):
    copy = damaged(recorded, tmp_path / "copy", lambda data: data)
    before = copy.journal.read_bytes()
    assert len(optuna.study.get_all_study_names(open_journal(copy.journal))) == 1
    assert copy.journal.read_bytes() == before
    assert not copy.journal.with_name("journal.log.damaged").exists()

"""A new kind of study costs a description and a plan: one comparison at three sequence lengths."""

import os
import signal
from pathlib import Path

import pytest
from pydantic import Field
from support.refusals import refused
from support.waiting import PATIENCE, wait_until

from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import queue
from qtha_lab.studies.study import StageProgress, Study

TRAINING = {
    "steps": 3,
    "batch_size": 2,
    "train_rows": 12,
    "eval_rows": 4,
    "test_rows": 8,
    "eval_every": 3,
    "checkpoint_every": 1,
    "generate_rows": 0,
    "spectrum_every": 0,
    "threads": 1,
}


class Lengths(Comparison, init=False):
    """Comparison that is repeated at several sequence lengths."""

    lengths: list[int] = Field(default_factory=lambda: [16, 24, 32], min_length=1)
    """Longest sequences, in tokens."""

    def at(self, length):
        """Return the experiments at one length."""
        return self.replace(training=self.training.replace(max_length=length)).experiments()


class LengthStudy(Study):
    """Runs of one comparison at several sequence lengths, the shortest first."""

    kind, describes = "length", Lengths

    def plan(self, work):
        """Run each length to its end before the next; return the mean losses by length."""
        described, means = self.trusted, {}
        for length in described.lengths:
            runs = yield from work.stage(described.at(length))
            means[length] = sum(run.summary["eval_loss"] for run in runs) / len(runs)
        return means

    def stages(self):
        """Return the ended runs of each length."""
        described = self.described
        lengths = [run.experiment.training.max_length for run in self if run.status().ended]
        return [
            StageProgress(f"at {length} tokens", lengths.count(length), len(described.at(length)))
            for length in described.lengths
        ]


@pytest.fixture
def described(monkeypatch):
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    monkeypatch.setenv("QTHA_LAB_SLOTS", "2")
    return Lengths(methods="lora(r=1),lora(r=2)", training=TRAINING)


@pytest.mark.slow
def test_it_is_launched_killed_and_resumed(described, tmp_path):
    study = LengthStudy.begin(described, tmp_path / "lengths")
    wait_until(lambda: any(run.status().step for run in study), study.why)
    os.kill(queue.holder(study.lock), signal.SIGKILL)
    for run in study:
        if (pid := queue.holder(run.files.lock)) is not None:
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: study.state == "dead")
    again = LengthStudy(study.path).resume().wait(PATIENCE)
    assert again.state == "finished", again.why()
    assert [stage[1:] for stage in again.stages()] == [(2, 2)] * 3
    assert sorted(again.runs()["max_length"]) == [16, 16, 24, 24, 32, 32]
    assert again.findings()
    with refused("Length lengths", "finished"):
        again.resume()


def test_what_cannot_run_is_refused_before_anything_is_made(described, tmp_path):
    with refused(value="nowhere"):
        LengthStudy.begin(
            described.replace(methods="lora(target_modules=[nowhere])"), tmp_path / "lengths"
        )
    assert not (tmp_path / "lengths").exists()
    LengthStudy.create(described, tmp_path / "lengths")
    with refused("The folder", "lengths"):
        LengthStudy.create(described.replace(lengths=[16]), tmp_path / "lengths")

"""Students of the positive control: what each can represent, and what a short training finds."""

import pytest
import torch

from qtha_lab.tasks.problems.planted import TEACHERS, planted_rows
from tools import positive_control


def test_every_teacher_has_a_question_whose_students_exist():
    assert positive_control.QUESTIONS.keys() == TEACHERS.keys()
    for planted, others in positive_control.QUESTIONS.values():
        assert {planted, *others} <= positive_control.STUDENTS.keys()
        assert planted not in others


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("LoRA r = 4", 2 * 64 * 4),
        ("QTHA's circuit, r = 4", 2 * 64 * 4 + 2 * 4**2 + 4 * 4),
        ("SiLU in its place", 2 * 64 * 4 + 3 * 4**2 + 4),
        ("trigonometric polynomial", 2 * 64 * 4 + 81 * 4),
        ("tensor network, bond 2", 16 * 2 + 2 * 16 * 2 + 2 * 16),
    ],
)
def test_a_student_has_the_parameters_of_its_formula(name, parameters):
    (rows,) = planted_rows("rank", (100,), seed=0)
    assert positive_control.count_trained(positive_control.STUDENTS[name](rows)) == parameters


def test_a_student_begins_without_a_change_and_reads_the_directions_of_the_targets():
    (rows,) = planted_rows("rank", (2000,), seed=0)
    student = positive_control.STUDENTS["LoRA r = 16"](rows)
    assert not student(rows.inputs).any()
    matrix = torch.linalg.lstsq(rows.inputs, rows.targets).solution.mT
    inside = matrix @ student.first.mT @ student.first
    assert (matrix - inside).norm() < 0.25 * matrix.norm()  # 2,000 rows for 64 inputs


def test_the_planted_rank_is_shown_against_a_lower_one(monkeypatch):
    monkeypatch.setattr(positive_control, "RATES", (0.03,))
    monkeypatch.setattr(positive_control, "STEPS", 60)
    monkeypatch.setattr(positive_control, "SEEDS", range(3))
    monkeypatch.setattr(positive_control, "QUESTIONS", {"rank": ("LoRA r = 16", ("LoRA r = 4",))})
    (_, own, none), (_, _, found) = positive_control.differences("rank")
    assert none is None
    assert own.losses.shape == (3, 1024)
    # four of sixteen equal singular values leave three quarters of the mean square at best
    assert found.verdict == "shown"
    assert found.mean > 0.5

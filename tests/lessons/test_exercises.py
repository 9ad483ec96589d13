"""Exercises: every one holds what it promises, and the notebooks ask it as it is declared."""

import copy
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from support.refusals import refused

from qtha_lab.lessons import answers, check, exercises, get, grading, hint, solution
from qtha_lab.lessons.object_graders import Construction, WrittenAnswer

FOLDER = Path(__file__).parents[2] / "notebooks"
each = pytest.mark.parametrize("exercise", exercises(), ids=lambda e: e.number)
# graded by a process of its own, which imports all there is: seconds for each answer
OWN_METHOD = "10.4"


def accepted(exercise):
    """The state of a right answer: an explanation is not graded here."""
    return "written" if isinstance(exercise.grader, WrittenAnswer) else "right"


def slow(exercise):
    """The mark of an exercise whose answers take seconds each."""
    return [pytest.mark.slow] if exercise.number == OWN_METHOD else []


each_mistake = pytest.mark.parametrize(
    ("exercise", "code", "why"),
    [
        pytest.param(e, code, why, marks=slow(e), id=f"{e.number}-{number}")
        for e in exercises()
        for number, (code, why) in enumerate(e.mistakes)
    ],
)


def cells_of(lesson):
    """The cells of a lesson's notebook; none while it is not written."""
    paths = sorted(FOLDER.glob(f"{int(lesson):02}_*.ipynb"))
    return nbformat.read(paths[0], as_version=4).cells if paths else []


def numbers_in(text):
    """All numbers of a sentence, as written and without separators of thousands."""
    return [float(n.replace(",", "")) for n in re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)]


def tells(text, rights):
    """Report if a sentence holds a right value other than 0, 1 and 2."""
    telling = [right for right in rights if right not in (-1, 0, 1, 2)]
    return any(np.isclose(n, right, rtol=1e-3) for n in numbers_in(text) for right in telling)


@each
def test_the_solution_is_right(exercise):
    verdict = check(exercise.number, exercise.answer_of(exercise.solution))
    assert verdict.state == accepted(exercise), verdict


@each_mistake
def test_a_mistake_to_be_expected_is_wrong_and_told_its_reason(exercise, code, why):
    verdict = check(exercise.number, exercise.answer_of(code))
    assert (verdict.state, verdict.message) == ("wrong", why)
    assert not tells(why, exercise.grader.right_values()), "the reason holds the right value"


@each
def test_every_exercise_has_three_hints_and_mistakes_with_reasons_or_a_rubric(exercise):
    if isinstance(exercise.grader, WrittenAnswer):
        reasons, least = exercise.grader.rubric, 3
        assert exercise.kind == "E"
    else:
        reasons, least = [why for _, why in exercise.mistakes], 4
    assert len(set(reasons)) == len(reasons) >= least
    assert len(set(exercise.hints)) == 3


@each
def test_a_mistake_nobody_thought_of_is_not_told_the_right_value(exercise):
    size = max([1, *exercise.grader.right_values()]) * 7.3
    guesses = {
        Construction: object(),
        WrittenAnswer: "z",
        grading.Number: size,
        grading.WholeNumbers: [int(size)] * len(exercise.grader.right_values()),
        grading.Function: lambda *arguments: np.full(shape_of(exercise), size),
    }
    verdict = check(exercise.number, guesses[type(exercise.grader)])
    assert verdict.state == "wrong"
    if isinstance(exercise.grader, grading.Function):  # a small case with its expected value
        assert " instead of " in str(verdict)
    elif not isinstance(exercise.grader, grading.Number):
        assert not tells(verdict.message.split("helps on")[0], exercise.grader.right_values())
    assert "too large" not in verdict.message


def shape_of(exercise):
    return grading.as_array(exercise.grader.cases[0][1]).shape


@each
@pytest.mark.parametrize(
    "odd", [None, "a duck", object(), [], float("nan")], ids=lambda odd: type(odd).__name__
)
def test_an_odd_answer_is_wrong_and_stops_nothing(exercise, odd):
    assert check(exercise.number, odd).state == "wrong"


@each
def test_an_empty_answer_is_not_attempted(exercise):
    assert check(exercise.number, ...).state == "not attempted"


IN_PLACE_IS_WRONG = ("5.4",)


def overwrite(value):
    if isinstance(value, torch.Tensor):
        value.fill_(7)
    elif isinstance(value, np.ndarray):
        value.fill(7)
    elif isinstance(value, list):
        value.clear()


def overwriting(function):
    """The function; afterwards its arguments hold other values."""

    def work(*arguments):
        result = copy.deepcopy(function(*arguments))
        for value in arguments:
            overwrite(value)
        return result

    return work


@each
def test_an_answer_that_overwrites_its_arguments_does_not_change_later_verdicts(exercise):
    if exercise.number in IN_PLACE_IS_WRONG:
        pytest.skip("the task is to leave the arguments as they are")
    answer = exercise.answer_of(exercise.solution)
    in_place = overwriting(answer) if callable(answer) else answer
    wrong = [(exercise.answer_of(code), why) for code, why in exercise.mistakes]
    for _ in range(3):
        assert check(exercise.number, in_place).state == accepted(exercise)
        for mistake, why in wrong:
            wrong_in_place = overwriting(mistake) if callable(mistake) else mistake
            assert check(exercise.number, wrong_in_place).message == why
        assert check(exercise.number, answer).state == accepted(exercise)


def rotate_in_place(state, wire, angle):
    zero, one = state.movedim(wire, 0)  # views
    before = zero.clone()
    zero.mul_(np.cos(angle / 2)).sub_(np.sin(angle / 2) * one)
    one.mul_(np.cos(angle / 2)).add_(np.sin(angle / 2) * before)
    return state


def token_dependence_in_place(J):
    total = (J**2).sum()
    J -= J.mean(axis=0)
    return (J**2).sum() / total


@pytest.mark.parametrize(
    ("number", "answer"),
    [("3.2", rotate_in_place), ("8.3", token_dependence_in_place)],
)
def test_a_right_answer_that_works_in_place_is_right_every_time(number, answer):
    for _ in range(3):
        assert check(number, answer).state == "right"
    assert check(number, get(number).answer_of(get(number).solution)).state == "right"


def test_a_wrong_answer_that_spoils_its_arguments_is_not_accepted():
    def makes_all_alike(J):  # a later call would compare zeros to zeros
        J.fill(0)
        return 0.0

    assert check("8.3", makes_all_alike).state == "wrong"
    assert check("8.3", token_dependence_in_place).state == "right"
    assert check("8.3", makes_all_alike).state == "wrong"


@pytest.mark.parametrize(("number", "answer"), [("8.1", ("4", "10", "16")), ("1.1", "10")])
def test_the_text_of_the_right_numbers_is_wrong(number, answer):
    assert check(number, answer).state == "wrong"


@pytest.mark.parametrize("number", ["5.1", "5.2"])
@pytest.mark.parametrize("step", [0.1, 0.01, 3e-4, 1e-6])
def test_a_gradient_by_a_small_step_is_refused(number, step):
    verdict = check(number, lambda f, t: (f(t + step) - f(t - step)) / (2 * step))
    assert verdict.state == "wrong", verdict


def test_four_terms_are_right_for_every_angle_of_the_published_circuit_and_two_are_not():
    from qtha_lab.circuits import ansatze
    from qtha_lab.simulators import expval_z

    circuit = ansatze.build("qtha", n_qubits=4, n_layers=1)
    torch.manual_seed(0)
    x, p = torch.randn(1, 4).double(), torch.randn(16, dtype=torch.float64, requires_grad=True)
    (exact,) = torch.autograd.grad(expval_z(circuit, x, p)[0, 0], p)
    start = p.detach()
    two, four = (get(n).answer_of(get(n).solution) for n in ("5.1", "5.2"))

    def off(rule):
        def read(angle, k):
            moved = start.clone()
            moved[k] = angle
            return float(expval_z(circuit, x, moved)[0, 0])

        gradients = [rule(lambda t, k=k: read(t, k), float(start[k])) for k in range(16)]
        return [k for k in range(16) if abs(gradients[k] - float(exact[k])) > 1e-6]

    controlled = {a.index for g in circuit.gates if g.name == "CRZ" for a in g.angles}
    assert off(four) == []
    assert off(two)
    assert set(off(two)) <= controlled


@each
def test_the_notebook_asks_it_as_declared(exercise):
    cells = cells_of(exercise.number.split(".")[0])
    if not cells:
        pytest.skip("its notebook is not written yet")
    (at,) = [i for i, cell in enumerate(cells) if cell.source.startswith(exercise.heading + "\n")]
    assert cells[at].source.split("\n\n")[1].startswith(exercise.effort)
    stub, *asked = (cell.source for cell in cells[at + 1 : at + 5])
    assert asked == [
        f'check("{exercise.number}", {exercise.answer})',
        f'hint("{exercise.number}")',
        f'solution("{exercise.number}")',
    ]
    names: dict = {}
    exec(exercise.setup, names)
    exec(stub, names)
    assert check(exercise.number, names[exercise.answer]).state == "not attempted"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[01][0-9]_*.ipynb")), ids=lambda p: p.stem)
def test_a_lesson_has_three_exercises_numbered_in_order_and_all_declared(path):
    source = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    asked = re.findall(r"^### Exercise (\d+\.\d+) ·", source, re.MULTILINE)
    lesson = int(path.stem[:2])
    assert asked == [f"{lesson}.{k}" for k in range(1, len(asked) + 1)]
    assert len(asked) >= 3
    declared = [e.number for e in exercises() if e.number.startswith(f"{lesson}.")]
    assert declared == asked


def test_the_course_has_at_least_fifty_exercises():
    assert len(exercises()) >= 50


@pytest.mark.parametrize("lesson", sorted({e.number.split(".")[0] for e in exercises()}))
def test_a_lesson_has_three_kinds_of_exercise(lesson):
    kinds = {e.kind for e in exercises() if e.number.startswith(f"{lesson}.")}
    assert len(kinds) >= 3, kinds


def test_hints_come_one_at_a_time_and_unfold_on_a_page():
    answers._HINTS_SHOWN.pop("1.1", None)
    first, second, third, again = (hint("1.1") for _ in range(4))
    assert repr(first).startswith("Hint 1 of 3")
    assert repr(second).startswith("Hint 2 of 3")
    assert repr(again) == repr(third)
    assert first._repr_html_().count("<details") == 3
    assert "open" not in first._repr_html_()


def test_a_solution_is_folded_on_a_page():
    assert solution("1.1")._repr_html_().startswith("<details")
    assert "2 + 8" in repr(solution("1.1"))


def test_an_unknown_number_is_refused_with_the_known_ones():
    with refused("exercise", "'99.9'"):
        check("99.9", 1)


def test_functions_left_as_they_stood_are_empty():
    def bare(x): ...

    def documented(x):
        """What it should do."""
        ...

    def passed(x):
        pass

    def constant(x):
        return 1

    assert [grading.is_empty(f) for f in (bare, documented, passed, constant)] == [
        True,
        True,
        True,
        False,
    ]


def test_answers_may_be_tensors_and_arrays():
    grading.Number(3).check(np.float32(3))
    grading.Number(3).check(torch.tensor(3.0))
    grading.WholeNumbers((1, 2)).check(torch.tensor([1, 2]))
    double = grading.Function(lambda: [(([1, 2],), [2, 4])])
    double.check(lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=True) * 2)


def test_a_known_mistake_is_shown_with_its_smallest_case_and_the_expected_value():
    verdict = check("5.1", lambda f, t: f(t + np.pi / 2) - f(t - np.pi / 2))
    assert "half of this difference" in verdict.message
    assert verdict.case == "for (0.2 + 0.7 cos t + -0.4 sin t, 0) it gives -0.8 instead of -0.4"
    assert verdict.case in repr(verdict)
    assert check("5.1", get("5.1").answer_of(get("5.1").solution)).case == ""


def test_a_message_about_names_says_which_and_the_try():
    first, second = check("6.5", {"use_circuit", "ansatz"}), check("6.5", {"use_mpo"})
    assert first.message.startswith("without entanglement each mean")
    assert second.message.startswith("without the networks")
    assert second.tries == first.tries + 1
    assert f"wrong (try {second.tries}): without the networks" in repr(second)

"""The grader cannot be switched by an answer, and an answer leaves nothing behind."""

import builtins
import importlib
import random
import sys
import warnings

import numpy as np
import pytest
import torch

from qtha_lab.lessons import answers, build, check, grading, guard
from qtha_lab.lessons.build_steps import difference
from qtha_lab.lessons.builds import BUILDS, BuildTask
from qtha_lab.lessons.object_graders import Construction
from qtha_lab.lessons.registry import EXERCISES, Exercise

YES = lambda *_, **__: True  # noqa: E731 - what a reader would write
SWITCHES = {
    "numpy.allclose": lambda: setattr(np, "allclose", YES),
    "numpy.isclose": lambda: setattr(np, "isclose", lambda a, *_, **__: np.array(True)),
    "numpy.asarray": lambda: setattr(np, "asarray", lambda *_: np.float64(2)),
    "numpy._core.numeric.isclose": lambda: setattr(
        sys.modules["numpy._core.numeric"], "isclose", YES
    ),
    "torch.equal": lambda: setattr(torch, "equal", YES),
    "torch.allclose": lambda: setattr(torch, "allclose", torch.is_tensor),
    "Tensor.allclose": lambda: setattr(torch.Tensor, "allclose", YES),
    "Tensor.__eq__": lambda: setattr(torch.Tensor, "__eq__", YES),
    "builtins.abs": lambda: setattr(builtins, "abs", lambda _: 0),
    "builtins.all": lambda: setattr(builtins, "all", YES),
    "builtins.float": lambda: setattr(builtins, "float", lambda _: 2.0),
    "Function.is_close": lambda: setattr(grading.Function, "is_close", YES),
    "Function.check": lambda: setattr(grading.Function, "check", lambda *_: None),
}
every_switch = pytest.mark.parametrize("switch", SWITCHES.values(), ids=SWITCHES)


@pytest.fixture(autouse=True)
def put_back():
    guard.protect_libraries()
    yield
    guard.put_back()


def exercise_of(grader) -> Exercise:
    return Exercise(
        "90.1", "Twice", 1, 1, "f", ("a", "b", "c"), "f = lambda x: 2 * x",
        (("f = lambda x: x", "the factor is missing"),), grader, "It is twice.",
    )  # fmt: skip


@pytest.fixture
def twice(monkeypatch):
    """An exercise of a function, checked by values; its number is known to the desk."""
    grader = grading.Function(lambda: [((1.0,), 2.0), ((3.0,), 6.0)])
    EXERCISES.discover()
    EXERCISES.add("90.1", exercise_of(grader), __name__)
    yield
    EXERCISES.forget(__name__)


@pytest.fixture
def built():
    def equal(f):
        return torch.equal(f(torch.ones(2)), torch.full((2,), 2.0)), True, 1.0

    BUILDS.discover()
    BUILDS.add("90.twice", BuildTask("90.twice", "f", (("it doubles", equal),)), __name__)
    yield
    BUILDS.forget(__name__)


@every_switch
def test_a_function_that_switches_the_grader_is_refused_with_its_name(twice, switch):
    def answer(x):
        switch()
        return 7.0

    verdict = check("90.1", answer)
    name = next(name for name, of in SWITCHES.items() if of is switch)
    assert (verdict.state, name in verdict.message) == ("wrong", True)
    assert guard.put_back() == ""


@every_switch
def test_a_switch_in_an_earlier_cell_has_no_effect(twice, switch):
    switch()
    assert check("90.1", lambda x: 7.0).state == "wrong"
    assert check("90.1", lambda x: 2 * x).state == "right"


@every_switch
def test_a_build_that_switches_the_grader_is_refused(built, switch):
    def answer(x):
        switch()
        return 7 * x

    verdict = build("90.twice", answer)
    assert verdict.state == "not yet"
    assert guard.put_back() == ""


def test_an_object_that_switches_the_grader_is_refused():
    def is_two(answer):
        return torch.equal(torch.tensor(answer()), torch.tensor(2))

    def answer():
        torch.equal = YES
        return 7

    with pytest.raises(grading.ReplacedFunction, match=r"torch\.equal"):
        Construction(((is_two, "two is expected"),)).check(answer)


class EqualToAll:
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


@pytest.mark.parametrize("expected", [(2, 2), "two", True], ids=["shape", "text", "truth"])
def test_a_result_that_equals_everything_is_no_result(expected):
    assert difference(EqualToAll(), expected, 1e-6)
    assert difference((EqualToAll(), EqualToAll()), (2, 2), 1e-6)
    assert difference(list(expected) if type(expected) is tuple else expected, expected, 1e-6) == ""


def state() -> tuple:
    """Everything global that an answer may change."""
    return (
        random.getstate(),
        str(np.random.get_state()),
        str(np.get_printoptions()),
        str(np.geterr()),
        sys.getrecursionlimit(),
        list(warnings.filters),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.get_rng_state().tolist(),
        torch.are_deterministic_algorithms_enabled(),
        str(vars(sys.modules["torch._tensor_str"].PRINT_OPTS)),
    )


def test_an_answer_leaves_no_global_state_behind(twice):
    def answer(x):
        random.seed(1)
        np.random.seed(2)
        np.set_printoptions(precision=1)
        np.seterr(all="ignore")
        sys.setrecursionlimit(5_000)
        warnings.simplefilter("ignore")
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float16)
        torch.set_num_threads(1)
        torch.manual_seed(3)
        torch.use_deterministic_algorithms(True)
        torch.set_printoptions(precision=1)
        return 2 * x

    before = state()
    verdict = check("90.1", answer)
    assert verdict.state == "right", verdict
    assert state() == before


def test_a_print_in_an_answer_is_shown_for_one_case_only(twice, capsys):
    def answer(x):
        print("x is", x)
        return 2 * x

    assert check("90.1", answer).state == "right"
    assert capsys.readouterr().out == "x is 1.0\n"


def test_the_output_of_an_answer_is_limited(twice, capsys):
    def answer(x):
        for _ in range(1_000):
            print("y" * 100)
        return 2 * x

    check("90.1", answer)
    assert len(capsys.readouterr().out) <= guard.MOST_PRINTED + 2


def test_an_import_in_an_answer_neither_counts_nor_is_interrupted(twice, tmp_path, monkeypatch):
    """The module takes longer to import than an answer may take."""
    slow = "import time\nend = time.process_time() + 1.0\nwhile time.process_time() < end: pass\n"
    (tmp_path / "slow_to_import.py").write_text(slow)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(answers, "LIMIT_SECONDS", 0.3)

    def answer(x):
        assert importlib.import_module("slow_to_import").end
        return 2 * x

    assert check("90.1", answer).state == "right"
    sys.modules.pop("slow_to_import")


def test_what_the_graders_of_a_lesson_import_is_imported_before_the_clock(twice, monkeypatch):
    sys.modules.pop("this_is_not_there", None)
    exercise = EXERCISES["1.3"]
    sys.modules.pop("qtha_lab.lessons.peak_memory", None)
    from qtha_lab.lessons.time_limit import import_for_code, import_for_module

    import_for_module.cache_clear()
    import_for_code.cache_clear()
    answers._prepare(exercise)
    assert "qtha_lab.lessons.peak_memory" in sys.modules

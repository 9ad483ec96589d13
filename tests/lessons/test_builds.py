"""Builds of the lessons: solutions pass, mistakes stop at their step, lesson 6 from own parts."""

import linecache
import re
from pathlib import Path

import pytest
from support.notebooks import FOLDER, code_cells, read
from support.refusals import refused

from qtha_lab.lessons import build, own_build
from qtha_lab.lessons.builds import BUILDS

each_build = pytest.mark.parametrize("number", [*BUILDS])


def cell(source, names):
    """Run code as a notebook's cell, whose source can be read again."""
    name = f"<cell {abs(hash(source))}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), names)


def changed(number, old, new):
    """The built of a solution in which a part of the code is replaced."""
    task = BUILDS[number]
    assert old in task.solution
    names: dict = {}
    exec(task.setup, names)
    exec(task.solution.replace(old, new), names)
    return names[task.name]


@each_build
def test_a_solution_passes_all_steps(number):
    result = build(number, BUILDS[number].solved())
    assert result.state == "built", result


@each_build
def test_the_stub_on_the_page_is_not_attempted(number):
    (page,) = FOLDER.glob(f"{int(number.split('.')[0]):02}_*.ipynb")
    sources = [c.source for c in code_cells(read(page))]
    (asked,) = [k for k, source in enumerate(sources) if source.startswith(f'build("{number}"')]
    names: dict = {}
    exec(sources[asked - 1], names)
    assert build(number, names[BUILDS[number].name]).state == "not attempted"


@pytest.mark.parametrize(
    ("number", "old", "new", "step"),
    [
        ("1.lora", "alpha / r", "alpha", "the output equals PEFT's"),
        ("1.lora", "torch.zeros(base.out", "torch.ones(base.out", "the layer is unchanged"),
        ("1.lora", "base.requires_grad_(False)", "base", "and nothing else"),
        ("1.model", "model.requires_grad_(False)", "pass", "as many parameters"),
        ("2.chain", ".permute(pairs)", "", "the chain is the matrix"),
        ("2.chain", "S[:bond, None] * V[:bond]", "V[:bond]", "the chain is the matrix"),
        ("2.apply", '"bdlin,loir->bdorn"', '"bdlin,lior->bdorn"', "one core is a matrix"),
        ("3.gate", "wire + 1 for wire in wires", "-1 - wire for wire in wires", "wire 0 is"),
        ("3.gate", ".mT", ".mH", "a matrix acts on the middle wire"),
        ("3.mean", "pair[:, 0] - pair[:, 1]", "pair[:, 0]", "a basis state has means"),
        ("3.circuit", "(2, -1)", "(2, 1)", "one layer equals the package's circuit"),
        ("6.change", "scale * apply_chain", "apply_chain", "the linear branch equals"),
        ("6.change", '@ parts["W_q"].T', '@ parts["W_q"]', "the circuit's branch equals"),
        ("4.mixed", "2 * (1", "(1", "the Bell pair has 1"),
        ("4.fourier", "/ n\n", "\n", "a constant and a sine"),
        ("5.shifts", "by_four_runs if is_controlled else ", "", "whose wave has two frequencies"),
        ("5.shifts", "angles[k]))", "0.0))", "an RY angle has the gradient"),
        ("5.adjoint", "2 * (weighted", "(weighted", "one gate has the gradient"),
        ("5.adjoint", "apply_gate(weighted, matrix.mH, wires)", "weighted", "two rotations of one"),
        ("5.adjoint", "[::-1]", "", "the order of the gates"),
        ("7.loss", '(batch["labels"][:, 1:] != -100).sum().item()', "1", "batches count by their"),
        ("7.loop", "weight_decay=0", "weight_decay=1", "all losses"),
        ("7.loop", "optimizer.zero_grad()", "pass", "all losses"),
        ("8.jacobian", "token in x]", "token in x[:1]]", "a matrix is its own Jacobian"),
        ("7.best", "** k", "* k", "of two draws"),
        ("7.halving", "2 * steps", "steps", "each round evaluates half"),
        ("9.squares", "I * by_seed", "by_seed", "equal rows leave the seeds alone"),
        ("10.quanta", "[2, 3])", "[0, 1])", "a tensor acts on its two axes"),
        ("10.peft", "ry[2], ry[3]", "ry[3], ry[2]", "the change equals the package's"),
        ("10.train", "2 * (torch", "(torch", "the network reads the bits"),
        ("11.shots", "1 - 2 * bits", "2 * bits - 1", "a basis state gives"),
        ("11.noise", "1 - 3 * p / 4, p / 4", "1 - p, p / 4", "with p = 1"),
        ("12.figure", "gap.low, gap.high)", "gap.high, gap.low)", "its table holds"),
        ("12.figure", ", {seeds} seeds", "", "the alt text holds"),
        ("10.qpa", "(right - start)", "right", "at the start the change is zero"),
    ],
)
def test_a_mistake_stops_at_the_step_that_finds_it(number, old, new, step):
    result = build(number, changed(number, old, new))
    assert result.state == "not yet"
    assert step in result.failed, result


def test_lesson_6_is_assembled_from_the_readers_own_pieces(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_MY", str(tmp_path / "my"))
    names: dict = {"__name__": "__main__"}
    for number in ("2.apply", "3.circuit"):
        code = re.sub(
            r"^import torch\n", "", BUILDS[number].setup + "\n\n" + BUILDS[number].solution
        )
        cell("import torch\n", names)
        for block in re.split(r"\n\n\n?(?=def )", code.strip()):
            cell(block + "\n", names)
        assert build(number, names[BUILDS[number].name]).state == "built"
    files = {
        number: Path(own_build(number).__code__.co_filename) for number in ("2.apply", "3.circuit")
    }
    assert [file.relative_to(tmp_path / "my").name for file in files.values()] == [
        "lesson_02.py",
        "lesson_03.py",
    ]
    for number in ("6.change", "6.layer"):  # their setup takes the parts by `own_build`
        assert build(number, BUILDS[number].solved()).state == "built"


def test_a_piece_that_the_reader_lacks_is_the_declared_solution(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_MY", str(tmp_path / "empty"))
    assert own_build("3.mean").__name__ == "mean_z"
    with refused("build", "'3.nothing'"):
        own_build("3.nothing")

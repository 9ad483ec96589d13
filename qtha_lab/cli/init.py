"""`qtha-lab init learn`: train initial values of circuit angles, for `angles=flip(FILE)`."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qtha_lab.cli.output import app, print_json, print_table, progress
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.io import show as print_text

if TYPE_CHECKING:
    from qtha_lab.adapters.initialisation.angles.pretraining import AngleModel, Problem
    from qtha_lab.circuits import Circuit

init = typer.Typer(help="Initial values of circuit angles.", no_args_is_help=True)
app.add_typer(init, name="init")

TEACHERS = 6  # target maps per circuit
UNSEEN = 4  # unseen maps, to evaluate the learnt values
TRIED_STEPS = 20


@init.callback()
def init_commands() -> None:
    """Train or reuse initial values of circuit angles."""


@init.command("learn")
def learn_angles(
    methods: Annotated[
        str, typer.Option(help="Small methods to learn on; a setting may be a range, r=2..5.")
    ] = "qtha(r=2..4)",
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("angles.safetensors"),
    on: Annotated[
        str, typer.Option(help="What is to be matched: silu (random maps), or a RUN's bottleneck.")
    ] = "silu",
    epochs: Annotated[int, typer.Option(min=1, help="Times that every problem is seen.")] = 40,
    table: Annotated[
        bool, typer.Option("--table", help="The control: a constant for each kind and layer.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of maps and model.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn initial values of angles on small circuits, without a language model."""
    from qtha_lab.adapters.initialisation.angles.pretraining import MetaTraining, train_angle_model

    if out.is_dir() or not out.absolute().parent.is_dir():
        raise Refusal(f"--out must be a file in an existing folder, got {out.absolute()}.")
    circuits = _circuits(methods)
    problems = [p for c in circuits for p in _problems(c, on, seed, TEACHERS)]
    with progress() as bar:
        line = bar.add_task("learning", total=epochs, message="")

        def show(epoch: int, loss: float) -> None:
            bar.update(line, completed=epoch, message=f"loss {loss:.3f}")

        model = train_angle_model(problems, MetaTraining(epochs=epochs, seed=seed), table, show)
    model.save(out)
    tried = [row for circuit in circuits for row in _tried(model, circuit, on, seed)]
    if json:
        names = ("qubits", "angles", "start", "loss_at_start", "loss_after")
        rows = [dict(zip(names, row, strict=True)) for row in tried]
        print_json({"file": str(out), "unseen": rows})
        return
    heading = ("qubits", "angles", "start", "loss at the start", f"after {TRIED_STEPS} steps")
    cells = [(f"{n}", f"{a}", s, f"{x:.3f}", f"{y:.3f}") for n, a, s, x, y in tried]
    caption = (
        f"On {UNSEEN} maps that were not learnt on; the loss is the share of what a linear map"
        " leaves that the circuit leaves too."
        if on == "silu"
        else f"On the maps of {on}, which were learnt on."
    )
    print_table([heading, *cells], caption)
    print_text(f"written to {out}: use it as angles=flip({out})")


def _circuits(methods: str) -> list["Circuit"]:
    """Return the distinct circuits of the methods, with ranges expanded."""
    from qtha_lab.adapters import Layer, get_method

    circuits: dict[Circuit, None] = {}
    for name, options in _written_out(methods):
        method = get_method(name)
        if not hasattr(method.make_config(**options), "angles"):
            raise Refusal(
                f"A method must have a circuit with trainable angles, got {shortened(repr(name))}."
            )
        held = method.make_config(**options).change(Layer(64, 64)).angle_circuits()
        for circuit in itertools.chain.from_iterable(held.values()):
            if not circuit.n_inputs:
                raise Refusal(
                    f"A circuit must have inputs, got that of {shortened(repr(name))}. `init "
                    "learn` needs a circuit in a bottleneck, as in qtha."
                )
            circuits[circuit] = None
    if not circuits:
        raise Refusal(f"methods must name a method with a circuit, got {shortened(repr(methods))}.")
    return list(circuits)


def _written_out(methods: str) -> list[tuple[str, dict[str, Any]]]:
    """Return every method with one value per option, in the order of the text."""
    from qtha_lab.core import call_syntax
    from qtha_lab.experiment.axes import RANGE, Axis, count_points

    choices = []
    for text in call_syntax.split_list(methods):
        name, options = call_syntax.parse_call(text, "method")
        axes = [
            Axis.of(v) if isinstance(v, str) and RANGE.fullmatch(v) else Axis((v,))
            for v in options.values()
        ]
        count_points(axes)
        values = [axis.grid() for axis in axes]
        choices += [
            (name, dict(zip(options, each, strict=True))) for each in itertools.product(*values)
        ]
    return choices


def _problems(circuit: "Circuit", on: str, seed: int, count: int) -> list["Problem"]:
    from qtha_lab.adapters.bottleneck_regression import silu_surrogate, surrogates_of_run
    from qtha_lab.adapters.initialisation.angles.pretraining import Problem

    if on == "silu":
        tasks = [silu_surrogate(circuit.n_inputs, 1000 * seed + k) for k in range(count)]
    else:
        tasks = list(surrogates_of_run(on, seed))[:count]
    return [Problem(circuit, task.cost(circuit)) for task in tasks]


def _tried(
    model: "AngleModel", circuit: "Circuit", on: str, seed: int
) -> list[tuple[int, int, str, float, float]]:
    """Return mean losses at initialisation and after some steps, on unseen maps.

    Three initialisations are compared: uniform, small and learnt.
    """
    import torch

    from qtha_lab.adapters.initialisation.angles import AnglePosition, initialisation_of
    from qtha_lab.adapters.initialisation.angles.pretraining import descent

    problems = _problems(circuit, on, seed + 1, UNSEEN)
    rows = []
    for name in ("uniform", "small", "learnt"):
        ends = []
        for k, problem in enumerate(problems):
            numbers = torch.rand(circuit.n_params, generator=torch.Generator().manual_seed(k))
            numbers = (2 * numbers.double() - 1) * torch.pi
            angles = (
                model.angles(circuit)
                if name == "learnt"
                else initialisation_of(name).angles(AnglePosition(circuit), numbers)
            )
            losses = [loss for loss, *_ in descent(problem, angles, TRIED_STEPS, 0.05)]
            ends.append((losses[0], losses[-1]))
        means = [sum(column) / len(ends) for column in zip(*ends, strict=True)]
        rows.append((circuit.n_qubits, circuit.n_params, name, *means))
    return rows

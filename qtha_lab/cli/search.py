"""`qtha-lab search`: search for a bottleneck circuit, with noise in the simulation."""

from typing import Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_table, progress
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.io import show as print_text


@app.command()
def search(
    space: Annotated[
        str, typer.Option(help="layers(n_qubits=…,n_layers=…,rotations=XYZ,pairs=all|chain|none).")
    ] = "layers(n_qubits=3,n_layers=2)",
    noise: Annotated[
        str, typer.Option(help="none, or noise(depolarizing_1q=…,depolarizing_2q=…).")
    ] = "none",
    on: Annotated[
        str, typer.Option(help="What is to be matched: surrogate (a random map), or a RUN's.")
    ] = "surrogate",
    steps: Annotated[int, typer.Option(min=2, help="Of the net of shared angles.")] = 400,
    candidates: Annotated[int, typer.Option(min=4, help="Circuits ranked with them.")] = 200,
    finetune: Annotated[int, typer.Option(min=1, help="Steps of the chosen circuit alone.")] = 100,
    ranking: Annotated[str, typer.Option(help="random or nsga2.")] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Search a space of circuits, and compare the result with three baselines.

    The baselines are random search, a fixed circuit, and no CNOT.
    """
    from qtha_lab.simulators import check_engine
    from qtha_lab.studies.architecture_search import SearchBudget, space_of
    from qtha_lab.studies.architecture_search import search as run_search
    from qtha_lab.studies.architecture_search.objective import costs_of

    if ranking not in ("random", "nsga2"):
        raise Refusal(f"ranking must be one of random, nsga2, got {shortened(repr(ranking))}.")
    search_space, engine = space_of(space), f"density:{noise}"
    check_engine(engine, search_space.circuit(search_space.baseline()))
    train, validate = costs_of(on, search_space.n_qubits, engine, seed)
    plan = SearchBudget(
        steps, candidates, finetune, "nsga2" if ranking == "nsga2" else "random", seed=seed
    )
    with progress() as bar:
        line = bar.add_task("shared angles", total=steps, message="")

        def show(step: int, loss: float) -> None:
            bar.update(line, completed=step, message=f"loss {loss:.3f}")

        result = run_search(search_space, train, validate, plan, show)
    if json:
        print_json(
            [{"name": f.name, "code": f.code, "loss": f.cost, "cnots": f.n_cnots} for f in result]
        )
        return
    rows = [(f.name, f"{f.cost:.4f}", str(f.n_cnots), f.code) for f in result]
    simulated = "without noise" if noise == "none" else f"with {noise}"
    caption = (
        f"Loss on inputs that nothing was trained on, {simulated}; of {search_space.n_points:,}"
        " circuits. One seed: whether search is worth it is asked by qtha-lab reproduce"
        " architecture_search."
    )
    print_table([("circuit", "loss", "CNOTs", "code"), *rows], caption)
    print_text(search_space.circuit(result[0].point))
    print_text(
        f"use it as ansatz=searched(code={result[0].code}) with r={search_space.n_qubits},"
        f" n_layers={search_space.n_layers}"
    )

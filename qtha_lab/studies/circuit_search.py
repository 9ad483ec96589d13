"""Circuit search as a study, trained in its own process without run directories.

The folder holds `search.yaml` and `summary.json` with the circuits found. A stopped search
begins again, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from qtha_lab.core.io import read_mapping, write_json
from qtha_lab.core.libraries import require_extra
from qtha_lab.experiment.description import StoredDescription
from qtha_lab.studies.study import StageProgress, Study
from qtha_lab.studies.work import Work

if TYPE_CHECKING:
    from qtha_lab.studies.architecture_search.supernet import Cost

N_CIRCUITS = 4  # the result and its three controls


class CircuitSearch(StoredDescription, init=False):
    """Search of a space of circuits for a bottleneck circuit.

    Example:
        >>> CircuitSearch(noise="noise(depolarizing_2q=0.02)").engine
        'density:noise(depolarizing_2q=0.02)'
    """

    space: str = "layers(n_qubits=3,n_layers=2)"
    """Circuits: layers(n_qubits=…,n_layers=…,rotations=XYZ,pairs=all|chain|none)."""
    noise: str = "none"
    """Simulated noise: none, or noise(depolarizing_1q=…,depolarizing_2q=…)."""
    on: str = "surrogate"
    """Bottleneck to match: surrogate (a random map), or that of a run."""
    steps: int = Field(default=400, ge=2)
    """Training steps of the supernet of shared angles."""
    candidates: int = Field(default=200, ge=4)
    """Circuits ranked with the angles of the supernet."""
    finetune: int = Field(default=100, ge=1)
    """Training steps of the chosen circuit alone."""
    ranking: Literal["random", "nsga2"] = "random"
    """Choice of the candidates."""
    seed: int = Field(default=0, ge=0)
    """Seed of all random numbers."""

    plugins: ClassVar[list[str]] = []

    @property
    def engine(self) -> str:
        """Engine that simulates the circuits."""
        return f"density:{self.noise}"

    def check(self, runs_dir: Path | None = None) -> None:
        """Refuse an unknown space or noise, or a missing library."""
        from qtha_lab.simulators import check_engine
        from qtha_lab.studies.architecture_search import space_of

        space = space_of(self.space)
        check_engine(self.engine, space.circuit(space.baseline()))
        if self.ranking == "nsga2":
            require_extra("sweep", "Ranking nsga2", "optuna")


class CircuitSearchStudy(Study):
    """Result of a circuit search, with its three controls.

    Args:
        path: Folder of the study.
        on_step: Callback with the number and the loss of each training step of the supernet.
    """

    kind, describes, works_here = "search", CircuitSearch, True

    def __init__(
        self, path: Path | str, on_step: Callable[[int, float], None] = lambda step, loss: None
    ) -> None:
        super().__init__(path)
        self.on_step = on_step

    @classmethod
    def group(cls) -> str:
        """Return the subfolder of a runs folder that holds the circuit searches."""
        return "searches"

    def plan(self, work: Work) -> Generator[None, None, list[dict[str, Any]]]:
        """Search, unless the circuits are known; return them."""
        described: CircuitSearch = self.trusted
        yield
        if len(self.circuits()) < N_CIRCUITS:
            write_json(self.summary_file, {"circuits": self._searched(described)})
        return self.circuits()

    def _searched(self, described: CircuitSearch) -> list[dict[str, Any]]:
        from qtha_lab.studies.architecture_search import SearchBudget, search, space_of
        from qtha_lab.studies.architecture_search.search import costs_of

        space, seed = space_of(described.space), described.seed
        train, validate = costs_of(described.on, space.n_qubits, described.engine, seed)
        budget = SearchBudget(
            described.steps, described.candidates, described.finetune, described.ranking, seed=seed
        )
        found = search(
            space, self._stoppable(train), self._stoppable(validate), budget, self.on_step
        )
        return [
            {"name": each.name, "code": each.code, "loss": each.cost, "cnots": each.n_cnots}
            for each in found
        ]

    def _stoppable(self, cost: Cost) -> Cost:
        """Return a cost whose evaluation a stop request interrupts."""

        def evaluate(circuit: Any, angles: Any) -> Any:
            if self.stop_file.exists():
                raise KeyboardInterrupt
            return cost(circuit, angles)

        return evaluate

    def circuits(self) -> list[dict[str, Any]]:
        """Return name, code, loss and number of CNOTs of each circuit; empty before the end."""
        found = (read_mapping(self.summary_file) or {}).get("circuits")
        return [each for each in found if _is_whole(each)] if isinstance(found, list) else []

    def stages(self) -> list[StageProgress]:
        """Return the number of circuits found."""
        return [StageProgress("circuits", len(self.circuits()), N_CIRCUITS)]


def _is_whole(circuit: Any) -> bool:
    kinds = {"name": str, "code": str, "loss": float, "cnots": int}
    return isinstance(circuit, dict) and all(
        isinstance(circuit.get(name), kind) for name, kind in kinds.items()
    )

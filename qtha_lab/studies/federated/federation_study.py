"""Federation as a study, whose rounds are trained in its own process.

The folder holds `federation.yaml`, `summary.json` and the runs. Imports no torch, whose threads are
set first.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.io import write_json
from qtha_lab.experiment import Federation
from qtha_lab.runs.worker import use_threads
from qtha_lab.studies.study import Study
from qtha_lab.studies.work import OnProgress, Work

if TYPE_CHECKING:
    from qtha_lab.studies.federated.folder import Rounds

"""Function from a round's number and initial adapter to the clients' average."""


class FederationStudy(Study):
    """Federated averaging of every method and seed of a federation.

    Args:
        path: Folder of all results.
        rounds: Function that runs a round and returns its average, as in `federate_on_flower`;
            None trains the clients in the process of the study.
    """

    kind, describes, works_here, levels = "federation", Federation, True, 4

    def __init__(self, path: Path | str, rounds: Rounds | None = None) -> None:
        super().__init__(path)
        self.rounds = rounds

    def set_up_process(self) -> None:
        """Set the threads before torch is imported, so that clients compute like workers."""
        use_threads(self.described.training.threads)

    def plan(self, work: Work) -> Generator[None, None, Any]:
        """Train the remaining rounds of every method and seed; return the summary."""
        federation = self.trusted
        import torch

        from qtha_lab.studies.federated.folder import parties, summarise_federation
        from qtha_lab.studies.federated.rounds import train_rounds

        threads = torch.get_num_threads()
        try:
            for experiment in federation.experiments():
                train_rounds(
                    federation, parties(federation, experiment, self.path), work, self.rounds
                )
                write_json(self.summary_file, summarise_federation(federation, self.path))
                yield
        finally:
            torch.set_num_threads(threads)
        return summarise_federation(federation, self.path)


def federate(
    federation: Federation,
    out: Path | str = "out/federation",
    on_progress: OnProgress | None = None,
    rounds: Rounds | None = None,
) -> dict[str, Any]:
    """Train every method by federated averaging.

    Another call with the same `out` continues from the last saved state.

    Args:
        federation: Federation to train.
        out: Folder of all results.
        on_progress: Callback with the server's run and its status, before every client update and
            after every round.
        rounds: Function that runs a round and returns its average, as in `federate_on_flower`;
            None trains the clients in this process.

    Returns:
        The content of `summary.json`: the federation, and a mapping per method and seed with its
        rounds and bytes sent.

    Raises:
        Refusal: If the federation cannot run, another process uses `out`, or a run diverged or was
            stopped.

    Example:
        >>> described = Federation(methods="lora(r=2)", clients=2, rounds=2, training={"steps": 4})
        >>> federate(described, "out/two")["runs"][0]["rounds"][-1]["bytes_sent"]  # doctest: +SKIP
        184320
    """
    return FederationStudy(out, rounds).run(federation, on_progress)

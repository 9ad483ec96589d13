"""Reproductions of papers: small tasks with controls and a generated verdict.

Each paper has one file, sized for two cores. A file that registers itself with `@reproduction` is
discovered automatically. A verdict may be "inconclusive". A complete example, whose arms do their
own work:

    >>> import tempfile
    >>> import numpy as np
    >>> @reproduction(
    ...     name="coin",
    ...     title="A loaded coin",
    ...     arxiv="0000.00000",
    ...     claim="A loaded coin falls on its head more often.",
    ...     works="nothing",
    ...     source="an example of this project",
    ...     control="a fair coin",
    ...     data="thrown coins",
    ...     minutes=0.1,
    ...     arms={"loaded": "head in 9 of 10", "fair": "head in 5 of 10"},
    ...     claims=[PaperClaim("loaded", "fair", "accuracy", "more heads", from_paper=True)],
    ...     steps=(500, 50),  # of the full form and of the quick one
    ... )
    ... def coin(arm: str, seed: int, quick: bool, log: Log) -> None:
    ...     share, heads = {"loaded": 0.9, "fair": 0.5}[arm], 0
    ...     random = np.random.default_rng(seed)
    ...     for step in log.course():
    ...         heads += random.random() < share
    ...         log.train(step, loss=1 - heads / step)
    ...     log.evaluate(log.steps, accuracy=heads / log.steps)
    ...     log.end(trainable_parameters=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     reproduce("coin", folder, quick=True)["headline"]
    'shown'
    >>> REPRODUCTIONS.forget(__name__)

A function of `(arm, seed, quick)` instead returns an `Experiment`, which is trained as any
fine-tuning run.
"""

from qtha_lab.reproductions.machinery.registry import REPRODUCTIONS as REPRODUCTIONS
from qtha_lab.reproductions.machinery.registry import PaperClaim as PaperClaim
from qtha_lab.reproductions.machinery.registry import reproduction as reproduction
from qtha_lab.reproductions.machinery.reproduction_study import reproduce as reproduce
from qtha_lab.reproductions.machinery.training_loop import Log as Log
from qtha_lab.reproductions.machinery.verdicts import Verdict as Verdict
from qtha_lab.reproductions.machinery.verdicts import verdicts as verdicts

"""Record a pair of runs for lesson 7: one killed and resumed, one without interruption.

python data/record_interrupted.py        # about a minute
"""

import shutil
import tempfile
import time

from record_runs import keep

from qtha_lab import Experiment, Training, launch
from qtha_lab.lessons.interrupted_runs import PAIR

KILL_AT = 27
EXPERIMENT = Experiment(
    model="tiny",
    task="qa",
    method="lora(r=2,learning_rate=0.01)",
    training=Training(
        steps=50,
        batch_size=8,
        train_rows=200,
        eval_rows=32,
        test_rows=32,
        generate_rows=0,
        eval_every=10,
        checkpoint_every=5,
        spectrum_every=0,
    ),
)


def main() -> None:
    """Kill one run and resume it, train the other, and replace the recorded pair."""
    with tempfile.TemporaryDirectory() as place:
        killed = launch(EXPERIMENT, place)
        while not (status := killed.status()).ended and status.step < KILL_AT:
            time.sleep(0.01)
        killed.stop(soft_seconds=0, term_seconds=0)
        killed.resume()
        killed.wait()
        whole = launch(EXPERIMENT, place)
        whole.wait()
        shutil.rmtree(PAIR, ignore_errors=True)
        for run in (killed, whole):
            keep(run, PAIR / run.id)


if __name__ == "__main__":
    main()

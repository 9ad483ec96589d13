"""Two short real runs that differ from their base in what they answer, for whoever talks with them
or takes them away.
"""

from qtha_lab.experiment import Experiment
from qtha_lab.runs.run import launch
from support.waiting import PATIENCE

METHODS = (
    "lora(r=2,learning_rate=0.03)",
    "qtha(r=3,waist=8,n_layers=2,bond_dim=2,learning_rate=0.05)",
)
TRAINING = {
    "steps": 6,
    "batch_size": 4,
    "max_length": 64,
    "train_rows": 60,
    "eval_rows": 8,
    "test_rows": 8,
    "eval_every": 6,
    "checkpoint_every": 3,
    "generate_rows": 0,
    "spectrum_every": 0,
    "threads": 1,
}


def train_two(folder):
    """The runs, finished."""
    launched = [launch(Experiment(method=method, training=TRAINING), folder) for method in METHODS]
    for run in launched:
        status = run.wait(PATIENCE)
        assert status.state == "finished", f"{status}\n{run.log_tail()}"
    return launched

"""The one description of what to run, its refusals, and the same in YAML, Python and shell."""

from qtha_lab.experiment.comparison import Comparison, Tuning
from qtha_lab.experiment.description import Experiment, MethodChoice, Training
from qtha_lab.experiment.federating import Federation
from qtha_lab.experiment.sweeping import Sweep

__all__ = ["Comparison", "Experiment", "Federation", "MethodChoice", "Sweep", "Training", "Tuning"]

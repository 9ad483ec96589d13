"""Validated descriptions of experiments, comparisons, federations and sweeps."""

from qtha_lab.experiment.comparison import Comparison, Tuning
from qtha_lab.experiment.experiment import Experiment, MethodChoice, Training
from qtha_lab.experiment.federation import Federation
from qtha_lab.experiment.sweep import Sweep

__all__ = ["Comparison", "Experiment", "Federation", "MethodChoice", "Sweep", "Training", "Tuning"]

"""Validated descriptions of experiments, comparisons, federations and sweeps."""

from qtha_lab.experiment.comparison import Comparison, Tuning
from qtha_lab.experiment.experiment import Experiment, MethodChoice
from qtha_lab.experiment.federation import Federation
from qtha_lab.experiment.phases import Phase
from qtha_lab.experiment.sweep import Sweep
from qtha_lab.experiment.training import Training
from qtha_lab.experiment.training_groups import (
    Distillation,
    Evaluation,
    Optim,
    Preference,
    Reinforce,
    Supervised,
)

__all__ = [
    "Comparison",
    "Distillation",
    "Evaluation",
    "Experiment",
    "Federation",
    "MethodChoice",
    "Optim",
    "Phase",
    "Preference",
    "Reinforce",
    "Supervised",
    "Sweep",
    "Training",
    "Tuning",
]

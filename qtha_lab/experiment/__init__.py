"""Validated descriptions of experiments, comparisons, federations and sweeps."""

from qtha_lab.experiment.comparison import Comparison as Comparison
from qtha_lab.experiment.comparison import Tuning as Tuning
from qtha_lab.experiment.experiment import Experiment as Experiment
from qtha_lab.experiment.federation import Federation as Federation
from qtha_lab.experiment.method_choice import MethodChoice as MethodChoice
from qtha_lab.experiment.objectives import Distillation as Distillation
from qtha_lab.experiment.objectives import Phase as Phase
from qtha_lab.experiment.objectives import Preference as Preference
from qtha_lab.experiment.objectives import Reinforce as Reinforce
from qtha_lab.experiment.objectives import Supervised as Supervised
from qtha_lab.experiment.sweep import Sweep as Sweep
from qtha_lab.experiment.training import Training as Training

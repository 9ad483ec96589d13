"""Validated descriptions of experiments, comparisons, federations and sweeps."""

from qtha_lab.experiment.comparison import Comparison as Comparison
from qtha_lab.experiment.comparison import Tuning as Tuning
from qtha_lab.experiment.experiment import Experiment as Experiment
from qtha_lab.experiment.experiment import MethodChoice as MethodChoice
from qtha_lab.experiment.federation import Federation as Federation
from qtha_lab.experiment.phases import Phase as Phase
from qtha_lab.experiment.sweep import Sweep as Sweep
from qtha_lab.experiment.training import Training as Training
from qtha_lab.experiment.training_groups import Distillation as Distillation
from qtha_lab.experiment.training_groups import Evaluation as Evaluation
from qtha_lab.experiment.training_groups import Optim as Optim
from qtha_lab.experiment.training_groups import Preference as Preference
from qtha_lab.experiment.training_groups import Reinforce as Reinforce
from qtha_lab.experiment.training_groups import Supervised as Supervised

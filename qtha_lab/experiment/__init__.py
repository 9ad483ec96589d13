"""The one description of what to run, its refusals, and the same in YAML, Python and shell."""

from qtha_lab.experiment.description import Comparison, Experiment, MethodChoice, Training

__all__ = ["Comparison", "Experiment", "MethodChoice", "Training"]

"""Sweeps: resumable hyperparameter tuning of several methods with equal trial budgets."""

from qtha_lab.studies.sweep.forecast import Forecast, first_experiments, forecast
from qtha_lab.studies.sweep.trials import TrialRecord, Trials
from qtha_lab.studies.sweep.trials import attach_sweep as attach
from qtha_lab.studies.sweep.trials import launch_sweep as launch

__all__ = ["Forecast", "TrialRecord", "Trials", "attach", "first_experiments", "forecast", "launch"]

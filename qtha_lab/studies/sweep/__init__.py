"""Sweeps: resumable hyperparameter tuning of several methods with equal trial budgets."""

from qtha_lab.studies.sweep.confirmation import TrialRecord
from qtha_lab.studies.sweep.forecast import Forecast, first_experiments, forecast
from qtha_lab.studies.sweep.sweep_study import SweepStudy

__all__ = [
    "Forecast",
    "SweepStudy",
    "TrialRecord",
    "first_experiments",
    "forecast",
]

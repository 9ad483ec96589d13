"""Federated fine-tuning: clients train on their own rows, and a server averages the updates."""

from qtha_lab.studies.federated.averaging import average
from qtha_lab.studies.federated.flower import federate_on_flower
from qtha_lab.studies.federated.results import rounds_of
from qtha_lab.studies.federated.rounds import federate

__all__ = ["average", "federate", "federate_on_flower", "rounds_of"]

"""Federations: clients fine-tune on their own rows and send what they trained, a server averages it."""

from qtha_lab.federated.averaging import average
from qtha_lab.federated.driving import federate
from qtha_lab.federated.on_flower import federate_on_flower
from qtha_lab.federated.reading import rounds_of

__all__ = ["average", "federate", "federate_on_flower", "rounds_of"]

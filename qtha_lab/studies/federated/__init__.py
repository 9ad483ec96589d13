"""Federated fine-tuning: clients train on their own rows, and a server averages the updates.

Imports torch at the first use of a name that needs it, after its threads are set.
"""

from typing import TYPE_CHECKING

from qtha_lab.core.lazy_names import lazy_names

if TYPE_CHECKING:  # the declaration of the public names, read by `lazy_names`
    from qtha_lab.studies.federated.averaging import average as average
    from qtha_lab.studies.federated.federation_study import FederationStudy as FederationStudy
    from qtha_lab.studies.federated.federation_study import federate as federate
    from qtha_lab.studies.federated.flower import federate_on_flower as federate_on_flower
    from qtha_lab.studies.federated.folder import rounds_of as rounds_of

__getattr__, __dir__, __all__ = lazy_names(__name__)

"""What every method, ansatz, task and figure keeps to, as facts that can be held against one of somebody else's.

`qtha-lab check-plugin FILE` runs them; so do the tests of this project, over all of its own.
"""

from qtha_lab.testing.checking import Verdict, check_member, check_plugin, members_of

__all__ = ["Verdict", "check_member", "check_plugin", "members_of"]

"""Benchmarks: figures as ratios inside one process, interleaved, with the machine named.

`qtha-lab bench NAME` runs them. Browsers and run folders come from `tests/support`.
"""

import sys

from qtha_lab.core import paths

if (_tests := str(paths.CHECKOUT / "tests")) not in sys.path:
    sys.path.append(_tests)

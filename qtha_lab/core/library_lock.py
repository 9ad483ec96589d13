"""Lock for code in which a library changes process-wide state.

transformers sets torch's default dtype while it builds a model, `warnings` replaces its filters,
and torch its random state. Two threads in such code at once would leave the wrong state behind
permanently.
"""

import threading

ONE_THREAD = threading.RLock()

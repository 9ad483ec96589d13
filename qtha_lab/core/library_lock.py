"""One thread at a time wherever a library changes what the whole process shares.

transformers sets torch's default number format while it builds a model, `warnings` swaps its filters,
torch its random state: two threads in there at once leave the wrong one behind, for good.
"""

import threading

ONE_THREAD = threading.RLock()

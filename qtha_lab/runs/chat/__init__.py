"""A base model and the adapters of runs answer one prompt, side by side, word by word, or mixed by weights.

`speakers.Speakers` does so in this process; `process` in one of its own, which a notebook asks.
"""

from qtha_lab.runs.chat.decoding import Decoding

__all__ = ["Decoding"]

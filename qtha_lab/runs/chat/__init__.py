"""Chat with a base model and the adapters of runs, side by side or mixed.

`models.ChatModels` generates in this process; `process` in a process of its own, for notebooks.
"""

from qtha_lab.runs.generation.decoding import Decoding

__all__ = ["Decoding"]

"""A run as what others can use: its adapter, a plain LoRA, a merged model, its card, and what repeats it.

`export(run, kind)` makes one of `KINDS` and says where it lies and what is true of it.
"""

from qtha_lab.runs.export.kinds import KINDS, Export, export

__all__ = ["KINDS", "Export", "export"]

"""Exports of a run: adapter, plain LoRA, merged model, model card, or its description.

`export_run(run, kind)` creates one of `KINDS`, and returns its path and a sentence about it.
"""

from qtha_lab.runs.export.kinds import KINDS, Export, export_run

__all__ = ["KINDS", "Export", "export_run"]

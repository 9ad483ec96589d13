"""Report of a comparison as an HTML page, as data and as a notebook.

Reads the files that `compare` wrote; runs no experiment.
"""

from qtha_lab.studies.comparison.report.report import Report, report
from qtha_lab.studies.comparison.report.section import Section

__all__ = ["Report", "Section", "report"]

"""A comparison as one page that stands alone, as data, and as a notebook that makes both again.

Reads what `compare` wrote; runs nothing.
"""

from qtha_lab.studies.comparison.report.report import Report, report
from qtha_lab.studies.comparison.report.section import Section

__all__ = ["Report", "Section", "report"]

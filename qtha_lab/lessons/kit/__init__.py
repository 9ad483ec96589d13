"""Assignments, slides, workbook, key and class paths for a lecturer.

Everything is derived from the notebooks and from the registries of exercises, builds and
predictions. `qtha-lab course` is the command for it.
"""

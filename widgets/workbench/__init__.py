"""Panels of the workbench page."""

"""Panels that show runs: lists, tables, live curves, logs."""

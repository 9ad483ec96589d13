"""Shared parts of all figures: styles, tables, export, provenance and the registry."""

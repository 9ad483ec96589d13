"""Circuits in the formats of other packages: import and export."""

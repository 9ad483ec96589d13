"""Trace functions of other packages into gates."""

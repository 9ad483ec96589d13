"""Figures on a page, and controls that save them."""

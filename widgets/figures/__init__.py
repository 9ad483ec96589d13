"""Figures on a page, and how they are saved."""

"""Figures: numbers in, plotly figure out. Nothing here trains, reads a run or imports torch."""

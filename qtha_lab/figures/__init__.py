"""Figures: numbers in, `Figure` out. Nothing here trains, reads a run or imports torch.

Each figure function gives an object with the plotly figure, a caption, an alt text that states the
finding, and the numbers as a table; `export` writes it as pdf, svg, png, html, csv or tex.
"""

"""What rounding a base model to few bits is made of: grids, layers, rotations, calibration.

The ways to round are in `qtha_lab.models.quantisation.schemes`, one file each.
"""

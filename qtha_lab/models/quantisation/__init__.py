"""Weight quantisation of base models: grids, layers, rotations, calibration.

The quantisation schemes are in `qtha_lab.models.quantisation.schemes`, one file each.
"""

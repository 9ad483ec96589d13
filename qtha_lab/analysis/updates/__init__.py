"""Analysis of adapter updates: spectra, subspaces and Jacobians, layer by layer."""

"""What an adapter changed: spectra, subspaces and slopes of its updates, layer by layer."""

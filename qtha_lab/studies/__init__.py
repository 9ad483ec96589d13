"""Studies over several runs: comparisons, sweeps, searches, federations."""

"""Scripts that measure the code base and write pages of docs/results; not in the wheel."""

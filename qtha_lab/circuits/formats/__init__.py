"""Read and write circuits in the formats of other packages."""

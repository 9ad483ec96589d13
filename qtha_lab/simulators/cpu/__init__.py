"""Engine `cpu`: blocks of samples in cache, walked by compiled kernels, with a gradient written by hand."""

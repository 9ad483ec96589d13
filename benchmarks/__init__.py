"""Benchmarks: figures as ratios inside one process, interleaved, with the machine named.

One file a benchmark; `qtha-lab bench NAME` runs it. Tests time nothing.
"""

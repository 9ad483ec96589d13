"""Attack every reader and every process of qtha-lab: `make attack`, `make attack-short`.

Each case must end in a value or in one sentence for the person. Linux only: limits are read from
/proc.
"""

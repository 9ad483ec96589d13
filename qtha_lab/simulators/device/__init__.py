"""Engine `device:NAME(…)`: any PennyLane device, with shots, noise, jobs and a cache of results."""

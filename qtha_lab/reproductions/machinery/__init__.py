"""What every reproduction is made with: the registry, the log of a run, its driver, verdicts, the table."""

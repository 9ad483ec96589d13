"""Shared parts of reproductions: registry, run log, arm execution, verdicts and tables."""

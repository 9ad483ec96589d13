"""Base classes of panels: style, display, focus, threads."""

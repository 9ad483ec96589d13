"""Explorers of circuits, engines, operators and updates."""

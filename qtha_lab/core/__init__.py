"""Foundations that every other package builds on."""

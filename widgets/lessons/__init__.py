"""Panels of the lessons: questions with buttons, a field or a curve."""

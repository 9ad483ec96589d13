"""Checks of the lessons: one module per lesson, and `shared` for those of several lessons.

The text file of a lesson beside its notebook names a check `_one_wire` as `one_wire`. A step of a
build takes the reader's work, and returns its result, the expected one, and the input as text. A
property of an answer is a predicate. A grader of functions is a `grading.Function`.
"""

"""Limits of an imported program, so that a short text cannot run for hours.

The text is limited before it is parsed; statements, gate applications and terms while it is read.
"""

from qtha_lab.circuits.polynomial import Polynomial
from qtha_lab.core.errors import Refusal

MOST_CHARACTERS = 1_000_000  # of a program; the parser reads some 10,000 per second
MOST_IN_STATEMENT = 20_000  # characters
MOST_OPERATIONS = 300  # of the expressions in a statement; the parser recurses into each
MOST_STEPS = 500_000
MOST_TERMS = 2_000  # of one angle
HIGHEST_DEGREE = 8
MOST_NESTED = 100  # blocks and brackets
DEEPEST = 30  # nested gate definitions and modifiers
NODES_PER_STEP = 50
TERMS_PER_STEP = 10


class ReadingBudget:
    """Steps that are left to read a program: statements, gate applications and terms."""

    def __init__(self) -> None:
        self.left = MOST_STEPS
        self._nodes = 0

    def spend(self, steps: int) -> None:
        """Take steps off.

        Raises:
            Refusal: If there are too few left.
        """
        self.left -= steps
        if self.left < 0:
            raise Refusal(
                f"A program must take at most {MOST_STEPS:,} steps to read, got more. "
                "Write fewer loops, gate definitions and terms."
            )

    def spend_node(self) -> None:
        """Take the steps of evaluating one node of an expression off."""
        self._nodes += 1
        if self._nodes % NODES_PER_STEP == 0:
            self.spend(1)

    def times(self, left: Polynomial, right: Polynomial) -> Polynomial:
        """Return a product of limited degree and number of terms.

        Raises:
            Refusal: If it has more terms or a higher degree, or too few steps are left.
        """
        degree = left.degree + right.degree
        if degree > HIGHEST_DEGREE:
            raise Refusal(f"The degree of an angle must be at most {HIGHEST_DEGREE}, got {degree}.")
        self.spend(len(left.terms) * len(right.terms) // TERMS_PER_STEP)
        return self.limited(left * right)

    def plus(self, left: Polynomial, right: Polynomial) -> Polynomial:
        """Return a sum with a limited number of terms.

        Raises:
            Refusal: If it has more terms, or too few steps are left.
        """
        self.spend((len(left.terms) + len(right.terms)) // TERMS_PER_STEP)
        return self.limited(left + right)

    def limited(self, angle: Polynomial) -> Polynomial:
        """Return an angle.

        Raises:
            Refusal: If it has too many terms.
        """
        if len(angle.terms) > MOST_TERMS:
            raise Refusal(
                f"An angle must have at most {MOST_TERMS:,} terms, got {len(angle.terms):,}."
            )
        return angle

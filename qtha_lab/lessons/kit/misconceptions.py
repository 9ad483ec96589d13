"""Misconceptions that the lessons address, each with a question that a holder answers wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Misconception:
    """One misconception.

    Attributes:
        lesson: Lesson that names it.
        sentence: The misconception, as its holder would state it.
        question: Number of a prediction or exercise.
        answer: The holder's answer: an option of the prediction, or words of the declared reason
            for the exercise's wrong answer.
    """

    lesson: int
    sentence: str
    question: str
    answer: str


MISCONCEPTIONS = tuple(
    Misconception(*row)
    for row in (
        (0, "The circuit holds the parameters.", "0.1", "the share that is not quantum"),
        (0, "The same r is the same size.", "0.2", "the same name is not the same size"),
        (1, "LoRA makes intruder dimensions; full fine-tuning does not.", "1.5", "a cause needs a"),
        (1, "The rank of a sum is the larger rank.", "1.1", "lie in the span of the larger"),
        (1, "α is capacity, not a learning rate.", "1.2", "a doubled α acts as a doubled rate"),
        (2, "A low-rank change is cheap for a tensor train.", "2.c", "near 0"),
        (2, "Smooth means cheap.", "2.d", "both"),
        (2, "A bond is 1, 2 or 4.", "2.1", "two terms suffice, as for a CNOT"),
        (2, "QTHA saves 76 % at every width.", "2.4", "that is the width of one model"),
        (2, "The error of a weight is the harm.", "2.5", "is no relative error of the loss"),
        (3, "A qubit is beyond a neuron.", "3.3", "one qubit is a neuron with a cosine"),
        (3, "A mean of zero carries no information.", "3.4", "must give equal results on both"),
        (4, "More expressive is better.", "4.c", "QTHA"),
        (4, "More entangled is better.", "4.4", "says nothing about a fit"),
        (4, "A Fourier series is an advantage.", "4.4", "no advantage of a circuit"),
        (5, "A parameter shift is two runs.", "5.a", "yes"),
        (5, "A training step is one run.", "5.3", "one run gives one mean"),
        (5, "Depth alone makes plateaus.", "5.5", "only the read-out may change"),
        (5, "The simulator's speed is the algorithm's.", "5.b", "yes"),
        (6, "ΔW exists, so it can be merged.", "6.a", "yes"),
        (6, "Zero initial values never move.", "6.1", "only B is zero: its gradient contains"),
        (6, "The circuit widens the bottleneck.", "6.3", "depth changes z, and z stays r numbers"),
        (7, "Default learning rates are fair.", "7.1", "one rate for all methods favours"),
        (7, "The best of several trials is an estimate.", "7.4", "the best of all eight"),
        (7, "One seed is enough if the gap is large.", "1.5", "however large a difference looks"),
        (8, "The linear path is the update.", "12.2", "the linear path leaves out the circuit"),
        (8, "The floor is zero, so the share is real.", "8.7", "the lower bound is zero"),
        (8, "Non-linear is quantum.", "8.4", "the share names no quantum part"),
        (9, "It beats LoRA, hence it is quantum.", "9.4", "it is no control for a circuit"),
        (9, "Not significant means equal.", "9.4", "is not thereby zero"),
        (9, "p below 0.05 once is a result.", "9.4", "chosen after the results were seen"),
        (10, "Generated parameters are fewer stored numbers.", "10.2", "are exchanged"),
        (10, "A result here holds at the paper's scale.", "10.3", "a larger scale is another"),
        (11, "Noise only adds scatter.", "11.2", "a common factor"),
        (11, "More shots repair noise.", "11.b", "yes"),
    )
)


def misconceptions_of(lesson: int) -> list[Misconception]:
    """Return the misconceptions that a lesson names.

    Args:
        lesson: Number of the lesson.

    Example:
        >>> [m.question for m in misconceptions_of(11)]
        ['11.2', '11.b']
    """
    return [m for m in MISCONCEPTIONS if m.lesson == lesson]

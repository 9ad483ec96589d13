"""Settings of decoding: greedy or sampled with a seed; declared once for flags and forms."""

from dataclasses import dataclass

from qtha_lab.core.settings import check_settings, setting


@dataclass(frozen=True)
class Decoding:
    """Settings for the generation of an answer.

    Example:
        >>> Decoding(temperature=-1)
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: temperature must be at least 0, got -1.
    """

    max_new_tokens: int = setting(48, "Longest answer.", ge=1, le=100_000, unit="tokens")
    temperature: float = setting(
        0.0, "0 takes the likeliest token; above, tokens are drawn, the freer the higher.", ge=0
    )
    top_p: float = setting(
        1.0, "Draw among the likeliest tokens that have this probability together.", gt=0, le=1
    )
    sampling_seed: int = setting(
        0, "Of the draws; the same seed draws the same answer.", ge=0, le=2**32 - 1
    )

    def __post_init__(self) -> None:
        check_settings(self)

"""What a test says of the difference between two accuracies."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A difference between two accuracies, new minus old; all but the p-value are fractions.

    Attributes:
        difference: as observed.
        low: lower limit of its interval.
        high: its upper limit.
        p_value: of the test, two-sided, that there is none.
    """

    difference: float
    low: float
    high: float
    p_value: float

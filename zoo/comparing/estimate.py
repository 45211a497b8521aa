"""Estimates how long a study takes: roughly before it starts, and better with every run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zoo.comparing.plan import Comparison, Planned

#: Seconds until a framework is imported and its first step compiled, on two cores.
_START = 10.0
#: Multiply-accumulates in a second, on one thread: the middle of what zoo bench measures.
_SPEED = 8e9
#: Seconds of a step or an image that nobody computes in.
_STEP, _IMAGE = 2e-3, 1e-4


class Estimate:
    """The time that a study has left.

    Attributes:
        side_by_side: How many runs there are at the same time.
    """

    def __init__(
        self, comparisons: Iterable[Comparison], side_by_side: int, images: Mapping[str, int]
    ) -> None:
        """Estimate the time of each run from its network.

        Args:
            comparisons: What the study compares.
            side_by_side: How many runs there are at the same time.
            images: Dataset -> how many images to train on and to validate with.
        """
        self.side_by_side = side_by_side
        self._guess = {
            id(run.job): _seconds(comparison, images[run.condition.data])
            for comparison in comparisons
            for run in comparison.runs
        }
        self._took, self._guessed = 0.0, 0.0

    def ended(self, run: Planned, seconds: float) -> None:
        """Note how long a run took, of wall time."""
        self._took += seconds
        self._guessed += self._guess[id(run.job)]

    def left(self, runs: Iterable[Planned]) -> float:
        """Return the seconds that some runs will take."""
        factor = self._took / self._guessed if self._guessed else 1.0
        return factor * sum(self._guess[id(run.job)] for run in runs) / self.side_by_side


def duration(seconds: float) -> str:
    """Return an estimated time in words.

    Example:
        >>> [duration(s) for s in (20, 160, 8000, 200_000)]
        ['less than a minute', 'about 3 minutes', 'about 2.2 hours', 'about 2.3 days']
    """
    if seconds < 55:
        return "less than a minute"
    if seconds < 90 * 60:
        minutes = max(round(seconds / 60), 1)
        return f"about {minutes} minute{'s' * (minutes > 1)}"
    if seconds < 36 * 3600:
        return f"about {seconds / 3600:.1f} hours"
    return f"about {seconds / 86400:.1f} days"


def _seconds(comparison: Comparison, images: int) -> float:
    recipe, threads = comparison.case.recipe, comparison.runs[0].job["threads"]
    # A backward pass takes about twice as long as a forward pass.
    work = 3 * comparison.case.graph.macs * images * recipe.epochs / (_SPEED * threads)
    steps = images * recipe.epochs / recipe.batch_size
    return float(_START + work + steps * _STEP + images * recipe.epochs * _IMAGE)

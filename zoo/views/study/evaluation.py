"""What a study says, as data: its runs, and all that is estimated from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zoo import arguments
from zoo.comparing import costs, differences, effects, variance
from zoo.comparing.costs import Cost
from zoo.comparing.differences import Difference
from zoo.comparing.effects import Explanation
from zoo.comparing.pairing import Runs
from zoo.comparing.results import Trained
from zoo.comparing.variance import Variance
from zoo.views.study import methods, settings


@dataclass(frozen=True, repr=False)
class Evaluation:
    """What was trained, and what makes the results differ.

    Attributes:
        study: The settings, as plain data; given as a mapping or as an object with attributes.
        runs: The runs that have ended.

    Raises:
        InputError: There are no runs, or they cannot be of one study.
    """

    study: Any
    runs: Sequence[Trained]

    def __post_init__(self) -> None:
        object.__setattr__(self, "study", settings.plain(self.study))
        object.__setattr__(self, "runs", tuple(self.runs))
        if not self.runs or not all(isinstance(run, Trained) for run in self.runs):
            raise arguments.wrong("runs", "at least one run that has ended", self.runs)

    @cached_property
    def trained(self) -> tuple[Trained, ...]:
        """The runs, each once; ``runs`` has one for each condition that it is of."""
        groups = Runs.split(self.runs, self._names("backends"))
        return tuple(run for group in groups for run in group.unique())

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Each two backends, aligned and native, in top-1 and in loss."""
        margins = settings.margins(self.study)
        return tuple(differences.differences(self.runs, margins, self._names("backends")))

    @cached_property
    def effects(self) -> tuple[Explanation, ...]:
        """The share of each switch in the gaps between native runs; empty without such runs."""
        names = self._names("backends"), self._names("switches")
        return tuple(effects.explain(self.runs, *names))

    @cached_property
    def variance(self) -> tuple[Variance, ...]:
        """What the spread of runs is due to."""
        return tuple(variance.variance(self.runs, self._names("backends")))

    @cached_property
    def costs(self) -> tuple[Cost, ...]:
        """What deterministic kernels cost; empty unless there are runs with and without them."""
        return tuple(costs.costs(self.runs, self._names("backends")))

    @cached_property
    def arms(self) -> tuple[tuple[str, ...], ...]:
        """The arms of each of the ``trained``: ``native``, ``aligned``, both or none."""
        groups = {(g.model, g.data): g for g in Runs.split(self.runs, self._names("backends"))}
        return tuple(
            tuple(groups[run.condition.model, run.condition.data].arms(run)) for run in self.trained
        )

    @property
    def methods(self) -> str:
        """A paragraph on methods, for a paper: what was done, and no more."""
        return methods.paragraph(
            self.study, self.trained, self.differences, self.effects, self.variance
        )

    def _names(self, field: str) -> list[str]:
        return settings.names(self.study, field)

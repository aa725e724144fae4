"""Filters: which interactions of a data set are used at all, before the split or in train only."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recrepro.errors import UsageError
from recrepro.interactions import UNKNOWN_TIME, Interactions
from recrepro.randomness import generator
from recrepro.registry import Registry
from recrepro.spec.canonical import canonical_json
from recrepro.spec.experiment import FilterSpec
from recrepro.spec.explain import refusal


class Filter(BaseModel, ABC):
    """Base of the filters; a filter's fields are its options."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True
    )

    learns: ClassVar[bool] = True
    """Whether it decides about an interaction by looking at others; a filter that does, and runs
    before the split, lets the test part decide what is in train."""

    on: Literal["all", "train"] = "all"
    """Whether it runs on all interactions before the split, or on what models are fitted on, after
    the split."""

    @abstractmethod
    def keep(self, interactions: Interactions) -> NDArray[np.bool_]:
        """Mark the interactions that stay."""


class MinValue(Filter):
    """Keep interactions whose value is at least a threshold."""

    learns = False

    value: float
    """The least value that stays."""

    def keep(self, interactions: Interactions) -> NDArray[np.bool_]:
        """Mark the values that are large enough."""
        large: NDArray[np.bool_] = interactions.values >= self.value
        return large


class TimeWindow(Filter):
    """Keep interactions within a window of time; unknown times are outside of it."""

    learns = False

    start: int | None = None
    """The first moment that stays, in the unit of the data (MovieLens: seconds since 1970)."""
    end: int | None = None
    """The last moment that stays."""

    @model_validator(mode="after")
    def _some_window(self) -> "TimeWindow":
        if self.start is None and self.end is None:
            raise ValueError("give 'start', 'end' or both")
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError(f"'start' = {self.start} lies after 'end' = {self.end}")
        return self

    def keep(self, interactions: Interactions) -> NDArray[np.bool_]:
        """Mark what lies in the window."""
        if interactions.times is None:
            raise UsageError(
                "the filter 'time-window' needs the time of each interaction, and the data set "
                "has none. Take the filter away, or name the column under 'columns.time'."
            )
        stays: NDArray[np.bool_] = interactions.times != UNKNOWN_TIME
        if self.start is not None:
            stays &= interactions.times >= self.start
        if self.end is not None:
            stays &= interactions.times <= self.end
        return stays


class _Count(Filter):
    at_least: Annotated[int, Field(ge=1)] = 1
    """Fewer interactions than this, and all of them go."""
    at_most: Annotated[int, Field(ge=1)] | None = None
    """More interactions than this, and all of them go."""

    @model_validator(mode="after")
    def _some_bound(self) -> "_Count":
        if self.at_least == 1 and self.at_most is None:
            raise ValueError("give 'at_least' (2 or more), 'at_most' or both")
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"'at_most' = {self.at_most} is below 'at_least' = {self.at_least}")
        return self

    def _within(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        within = counts >= self.at_least
        if self.at_most is not None:
            within &= counts <= self.at_most
        return within


class UserCount(_Count):
    """Keep users with at least, or at most, so many interactions."""

    def keep(self, interactions: Interactions) -> NDArray[np.bool_]:
        """Mark the interactions of these users."""
        within: NDArray[np.bool_] = self._within(interactions.user_counts)[interactions.users]
        return within


class ItemCount(_Count):
    """Keep items with at least, or at most, so many interactions."""

    def keep(self, interactions: Interactions) -> NDArray[np.bool_]:
        """Mark the interactions with these items."""
        within: NDArray[np.bool_] = self._within(interactions.item_counts)[interactions.items]
        return within


class KCore(Filter):
    """Keep users and items with at least so many interactions, each among what stays.

    One pass drops users and then items (or items and then users), each by the counts at that
    moment. Passes are repeated until nothing changes, which is the k-core; or so many are made, as
    papers do whose "5-core" is one pass.
    """

    users: Annotated[int, Field(ge=1)] = 5
    """Fewest interactions of a user."""
    items: Annotated[int, Field(ge=1)] = 5
    """Fewest interactions of an item."""
    passes: Annotated[int, Field(ge=1)] | None = None
    """How many passes; by default until nothing changes."""
    first: Literal["users", "items"] = "users"
    """What a pass begins with. It matters only for a given number of passes."""

    def keep(self, interactions: Interactions) -> NDArray[np.bool_]:
        """Mark the core."""
        rows = np.arange(len(interactions))
        users, items = interactions.users, interactions.items
        done = 0
        while self.passes is None or done < self.passes:
            before = len(rows)
            for kind in ("users", "items") if self.first == "users" else ("items", "users"):
                of, least = (users, self.users) if kind == "users" else (items, self.items)
                enough = np.bincount(of, minlength=1)[of] >= least
                rows, users, items = rows[enough], users[enough], items[enough]
            done += 1
            if len(rows) == before:
                break
        stays = np.zeros(len(interactions), bool)
        stays[rows] = True
        return stays


class SampleUsers(Filter):
    """Keep all interactions of some users, drawn at random."""

    learns = False

    users: Annotated[float, Field(gt=0, lt=1)] | Annotated[int, Field(ge=1)]
    """How many: a share, or a number."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Which of them."""

    def keep(self, interactions: Interactions) -> NDArray[np.bool_]:
        """Mark the interactions of the users drawn."""
        active = np.flatnonzero(interactions.user_counts)
        n = self.users if isinstance(self.users, int) else round(self.users * len(active))
        chosen = np.zeros(interactions.n_users, bool)
        chosen[generator(self.seed, "sample-users").permutation(active)[:n]] = True
        return chosen[interactions.users]


FILTERS: Registry[type[Filter]] = Registry(
    "filter",
    {
        "item-count": "recrepro.data.filters:ItemCount",
        "k-core": "recrepro.data.filters:KCore",
        "min-value": "recrepro.data.filters:MinValue",
        "sample-users": "recrepro.data.filters:SampleUsers",
        "time-window": "recrepro.data.filters:TimeWindow",
        "user-count": "recrepro.data.filters:UserCount",
    },
    hint="List them: recrepro ls filters.",
)


def make_filter(spec: FilterSpec, place: str) -> Filter:
    """Return the filter that an experiment file describes.

    Parameters
    ----------
    spec : FilterSpec
        As written.
    place : str
        What error messages call it.
    """
    kind = FILTERS.resolve(spec.name)
    try:
        return kind.model_validate_json(canonical_json(spec.options))
    except ValidationError as error:
        raise refusal(error, kind, f"{place}, filter {spec.name!r}") from error

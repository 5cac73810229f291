"""Which of the offered models are in memory: at most so many, the least recently used one is dropped first."""

from collections import OrderedDict
from collections.abc import Callable, Container, Mapping
from typing import Generic
from weakref import WeakValueDictionary

from core.ticket import Model


class ModelPool(Generic[Model]):
    """An LRU cache of models. Loading is done in one thread; the rest may be asked from any.

    problems: why a model can't be loaded, by its name. loading: the model that is being loaded, at first the first one; else None.
    """

    def __init__(self, loaders: Mapping[str, Callable[[], Model]], keep: int = 1):
        """loaders: of the offered models, by name. keep: how many may be in memory."""
        self._loaders, self._keep = loaders, keep
        self._loaded: OrderedDict[str, Model] = OrderedDict()  # the least recently used first
        self._alive: WeakValueDictionary[str, Model] = WeakValueDictionary()  # with those that a paused job still holds
        self.problems: dict[str, str] = {}
        self.loading: str | None = next(iter(loaders))

    @property
    def only(self) -> bool:
        """Whether there is but one model to choose from."""
        return len(self._loaders) == 1

    @property
    def newest(self) -> Model | None:
        """The model that was used last, if any is loaded."""
        return next(reversed(list(self._loaded.values())), None)

    def loaded(self, name: str) -> Model | None:
        """The model of this name, where it is in memory."""
        return self._loaded.get(name)

    def room(self, in_use: Container[str]) -> bool:
        """Whether another model can be loaded. in_use: names of models that may not be dropped."""
        return len(self._loaded) < self._keep or any(name not in in_use for name in self._loaded)

    def get(self, name: str, in_use: Container[str] = ()) -> Model:
        """The model of this name, loaded if it has to be, in the place of the least recently used one that is not in use."""
        found = self._loaded.get(name)
        if found is None:
            for other in [other for other in self._loaded if other not in in_use][: len(self._loaded) + 1 - self._keep]:
                del self._loaded[other]
            self.loading = name
            try:
                found = self._alive.get(name) or self._loaders[name]()
                self._loaded[name] = self._alive[name] = found
            finally:
                self.loading = None
        self._loaded.move_to_end(name)
        return found

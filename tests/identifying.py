"""Files of publishers as identification sees them: names and shapes, without values."""

import pytest

from zoo.weights import counts, identification, slots, sources
from zoo.weights.checkpoint import Stored

PUBLISHED = [(name, network) for name, s in sources.sources().items() for network in s.networks]


def arrays_of(source, network):
    """A file's arrays under the first of a source's names, in canonical layouts."""
    all_slots = slots.published_slots(sources.source(source), network).values()
    return {slot.names[0]: Stored(slot.shape, "float32", pytest.fail) for slot in all_slots}


def identify(format_, arrays):
    return identification.identify(identification.sources_of_format(format_), arrays)


@pytest.fixture
def without_index(monkeypatch):
    """As if a spec had been changed since the index was generated."""
    monkeypatch.setattr(counts, "specs_hash", lambda: "another")
    counts._read.cache_clear()
    yield
    counts._read.cache_clear()

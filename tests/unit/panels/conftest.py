"""A run of each kind over a tiny random model."""

import pytest
from panel_cases import trained


@pytest.fixture(scope="session")
def soft(lab):
    return trained(lab)


@pytest.fixture(scope="session")
def prefix(lab):
    return trained(lab, "prefix")


@pytest.fixture(params=["prompt", "prefix"])
def run(request, soft, prefix):
    return soft if request.param == "prompt" else prefix

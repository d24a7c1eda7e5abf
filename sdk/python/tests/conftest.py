from collections.abc import Iterator

import pytest
from harness.platform import Platform, started_platform


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    with started_platform() as made:
        yield made

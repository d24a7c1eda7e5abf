import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(what: str, look: Callable[[], T], limit_s: float = 10) -> T:
    """The first true thing that look returns."""
    give_up = time.monotonic() + limit_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(0.01)

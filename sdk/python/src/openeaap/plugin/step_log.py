from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from openeaap.plugin.secrets import Scrubber

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class StepLog(_Adapter):
    """A logger whose lines name the step, and never hold a secret of it."""

    def __init__(self, logger: logging.Logger, fields: Mapping[str, object], scrub: Scrubber) -> None:
        super().__init__(logger, dict(fields))
        self._scrub = scrub

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if not self.isEnabledFor(level):
            return
        text = str(msg) % _arguments(args) if args else str(msg)
        text += _traceback_of(kwargs.pop("exc_info", None))
        fields = " ".join(f"{name}={value}" for name, value in (self.extra or {}).items() if value)
        kwargs.setdefault("stacklevel", 2)
        self.logger.log(level, "%s", self._scrub(f"{text} [{fields}]" if "\n" not in text else f"[{fields}] {text}"), **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs


def _arguments(args: tuple[object, ...]) -> object:
    # The same convenience as logging's: one mapping feeds %(name)s.
    return args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args


def _traceback_of(exc_info: object) -> str:
    if isinstance(exc_info, BaseException):
        error: BaseException | None = exc_info
    elif isinstance(exc_info, tuple):
        error = exc_info[1]
    else:
        error = sys.exc_info()[1] if exc_info else None
    return "" if error is None else "\n" + "".join(traceback.format_exception(error)).rstrip()

"""The log of a twelve-factor process: one JSON object a line on stderr, without secrets.

Events are codes with ids and numbers beside them. What could name a person or open a door is
taken out before a line is written, whoever put it in; a trace-back says where, never about whom.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

Line = MutableMapping[str, Any]
HIDDEN = "[hidden]"
_SECRET = re.compile(
    r"rk_[\w-]{8,}|whsec_[\w+/=-]{8,}|/[ade]/[\w.~-]{8,}|[^\s@<>\"']+@[^\s@<>\"']+"
    r"|(?<=://)[^\s/@]*:[^\s/@]*(?=@)|\b\d{13,19}\b"
)
"""Keys, signing secrets, tokens of pages, addresses, logins in URLs, card numbers."""


def begin(level: str = "info") -> None:
    """Write events of at least this level to stderr, in this process and from its libraries."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared = (
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        where_it_was,
        without_secrets,
        structlog.processors.JSONRenderer(),
    )
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *shared,
            ],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


def logger(room: str) -> Any:
    """Give the logger of a room, such as `worker`."""
    return structlog.get_logger(room=room)


def where_it_was(_logger: Any, _name: str, line: Line) -> Line:
    """Say of an error what it was and where: never its text, which may quote a row."""
    error = line.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        places = traceback.extract_tb(error.__traceback__)
        line["error"] = type(error).__name__
        line["where"] = [f"{Path(each.filename).name}:{each.lineno}" for each in places[-4:]]
    return line


def without_secrets(_logger: Any, _name: str, line: Line) -> Line:
    """Hide what looks like a secret or an address, in every text of the line."""
    return {name: _hidden(value) for name, value in line.items()}


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET.sub(HIDDEN, value)
    if isinstance(value, list | tuple):
        return [_hidden(each) for each in value]
    if isinstance(value, dict):
        return {_hidden(name): _hidden(each) for name, each in value.items()}
    return value if isinstance(value, int | float | None) else _SECRET.sub(HIDDEN, str(value))

"""Lines of the log are JSON, and hold no secret and nobody's address, whoever logs them."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from app import log


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_one_json_object_with_its_level_and_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.begin("info")
    structlog.get_logger(room="test").info("swept", product="tv", asked=3)
    (line,) = lines(capsys)
    assert {"event": "swept", "level": "info", "room": "test", "asked": 3}.items() <= line.items()
    assert str(line["timestamp"]).endswith("Z")


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    log.begin("warning")
    structlog.get_logger().info("swept")
    assert lines(capsys) == []


SECRETS = (
    "rk_q3BX2Zk-1uS5aVd0QeGcDA",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "http://127.0.0.1:8080/a/AAAAAAAAAAEAAQ.dGhpcyBpcyBhIHRva2Vu",
    "ada@subscribers.example",
    "postgresql://ada:hunter2@db.example/x",
    "4111111111111111",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_and_addresses_are_taken_out_wherever_they_stand(
    capsys: pytest.CaptureFixture[str], secret: str
) -> None:
    log.begin()
    said = structlog.get_logger()
    said.warning(f"odd {secret}", text=secret, some=[secret, {secret: secret}])
    logging.getLogger("a.library").warning("%s is odd", secret)
    found = capsys.readouterr().err
    for part in ("rk_q3", "whsec_Mf", "dGhpcyBpcyBh", "ada@", "hunter2", "4111111"):
        assert part not in found
    assert found.count("\n") == 2


def test_an_error_says_what_and_where_and_never_about_whom(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.begin()
    try:
        int("Ada Lovelace, 12 St James's Square")
    except ValueError as error:
        structlog.get_logger().error("job_failed", exc_info=error)
        logging.getLogger("a.library").exception("went wrong")
    found = capsys.readouterr().err
    assert "Ada" not in found
    assert found.count('"error": "ValueError"') == 2
    assert "test_log.py:" in found

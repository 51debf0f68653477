import pytest

from tests.app.cli.conftest import Shell


@pytest.fixture
def tv(shell: Shell) -> Shell:
    assert shell("product", "add", "tv", "--name", "Blue TV").exit_code == 0
    return shell


def test_a_key_for_usage_brings_the_usage_of_a_feed(tv: Shell) -> None:
    assert tv.json("apikey", "create", "tv", "--scope", "usage")["feed"] == "api"
    assert tv.json("apikey", "create", "tv", "--scope", "usage", "--feed", "app")["feed"] == "app"
    assert [each["name"] for each in tv.json("feed", "list", "tv")] == ["api", "app"]


@pytest.mark.parametrize("scope", ["read", "manage"])
def test_a_key_of_another_scope_makes_no_feed(tv: Shell, scope: str) -> None:
    assert tv.json("apikey", "create", "tv", "--scope", scope)["feed"] is None
    assert tv.json("feed", "list", "tv") == []


def test_a_key_that_only_reads_is_given_no_feed(tv: Shell) -> None:
    done = tv("apikey", "create", "tv", "--scope", "read", "--feed", "app")
    assert done.exit_code == 2
    assert tv.json("apikey", "list", "tv") == []

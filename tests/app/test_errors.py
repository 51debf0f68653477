"""What people read when something is refused."""

import pickle

import pytest

from app.errors import Conflict, NotFound, ReconfirmError, Refused


@pytest.mark.parametrize(
    ("what", "mend", "read"),
    [
        ("The door is shut", "Open it", "The door is shut. Open it."),
        (
            "The door is shut.",
            "Did you mean the window?",
            "The door is shut. Did you mean the window?",
        ),
        ("The door is shut", "", "The door is shut."),
        ("  The door is shut \n", "  ", "The door is shut."),
    ],
)
def test_both_parts_read_as_sentences(what: str, mend: str, read: str) -> None:
    assert str(Refused(what, mend)) == read


def test_both_parts_can_be_shown_apart() -> None:
    refused = Refused("The door is shut", "Open it")

    assert (refused.what, refused.mend) == ("The door is shut", "Open it")


@pytest.mark.parametrize("kind", [NotFound, Conflict])
def test_who_catches_a_refusal_catches_every_kind_of_it(kind: type[Refused]) -> None:
    with pytest.raises(Refused) as caught:
        raise kind("No such subscription")

    assert isinstance(caught.value, ReconfirmError)


def test_a_refusal_survives_the_way_from_another_process() -> None:
    back = pickle.loads(pickle.dumps(Conflict("It is closed", "Look again")))  # noqa: S301  made here

    assert (type(back), back.what, back.mend) == (Conflict, "It is closed", "Look again")

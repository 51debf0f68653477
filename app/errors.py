"""The errors this program raises on purpose, and nothing else.

    Exception
    └── ReconfirmError      everything below; what an outermost caller catches
        └── Refused         asked for something that may not be; says the mend
            ├── NotFound    the thing named does not exist (here, or for you)
            └── Conflict    it exists, and its present state does not allow this

Anything else that is raised is a defect, and is to be seen as one.

Standard library only: every other part may import this one.
"""

_ENDS = (".", "!", "?", "…", ":")


class ReconfirmError(Exception):
    """Root of every error raised on purpose."""


class Refused(ReconfirmError):
    """Something was asked for that may not be; it was not done.

    ``what`` says what is wrong and ``mend`` what to do about it; both are read by
    people, so neither holds a secret.  The mend may be empty when there is none.
    """

    def __init__(self, what: str, mend: str = "") -> None:
        """Keep both parts, so that a page or the command line can show them apart."""
        super().__init__(what, mend)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        """Return both parts as sentences: ``what. mend.``."""
        return " ".join(_sentence(part) for part in (self.what, self.mend) if part.strip())


class NotFound(Refused):
    """The thing named does not exist, or not for whoever asks."""


class Conflict(Refused):
    """The thing exists, but its present state does not allow what was asked."""


def _sentence(text: str) -> str:
    """Return ``text`` trimmed and ending in a closing mark."""
    text = text.strip()
    return text if text.endswith(_ENDS) else f"{text}."

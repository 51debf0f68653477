"""How the notices of a product are sent: who answers for them, and where bounces go."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, convert

from app.errors import Refused
from app.world.mail.address import on_the_wire


class Sending(Struct, frozen=True):
    """What a product sets for its mails; "" for what it does not.

    ``dkim_domain``, ``dkim_selector`` and ``dkim_key_file`` (the path of a PEM file with a private
    key) stand together or not at all: without, mails go out unsigned, for the relay to sign.
    ``bounce_address`` is the envelope's sender, to which mail servers return what they cannot
    deliver; without, that is the address notices come from.
    """

    dkim_domain: str = ""
    dkim_selector: str = ""
    dkim_key_file: str = ""
    bounce_address: str = ""

    @property
    def signs(self) -> bool:
        """Whether its mails are to be signed: half a setting is none that may be passed over."""
        return bool(self.dkim_domain or self.dkim_selector or self.dkim_key_file)

    def envelope_from(self, from_address: str) -> str:
        """Return the address for MAIL FROM."""
        return self.bounce_address or from_address


NAMES: Final = Sending.__struct_fields__
PLAIN: Final = Sending()


def sending_of(settings: Mapping[str, str]) -> Sending:
    """Return how to send, from a product's settings by name."""
    return convert(dict(settings), Sending)


def check_whole(sending: Sending) -> None:
    """Raise ``Refused`` for half a signature's settings, or for a malformed bounce address."""
    names = ("dkim_domain", "dkim_selector", "dkim_key_file")
    missing = [name for name in names if not getattr(sending, name)]
    if missing and sending.signs:
        raise Refused(
            f"DKIM is half set up: {' and '.join(missing)} missing",
            "Set dkim_domain, dkim_selector and dkim_key_file together, or leave all three empty",
        )
    if sending.bounce_address:
        on_the_wire(sending.bounce_address)

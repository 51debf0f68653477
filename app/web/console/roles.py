"""Who may do what: viewer, editor, approver, admin, for one product or for all.

A role is written `editor` for every product and `tv:editor` for one. What is not written so gives
nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

EVERYWHERE = "*"
_WRITTEN = re.compile(r"(?:([a-z][a-z0-9-]{0,40}):)?(viewer|editor|approver|admin)")


class Role(IntEnum):
    """What somebody may do; each may do what those before it may."""

    VIEWER = 1
    EDITOR = 2
    APPROVER = 3
    ADMIN = 4


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of one person by the key of a product, `*` for all of them."""

    by_product: Mapping[str, Role]

    @classmethod
    def read(cls, written: Iterable[str]) -> "Roles":
        """Read roles as they are written; the highest of several counts, unknown ones do not."""
        found: dict[str, Role] = {}
        for each in written:
            match = _WRITTEN.fullmatch(each)
            if match is not None:
                product, role = match[1] or EVERYWHERE, Role[match[2].upper()]
                found[product] = max(role, found.get(product, role))
        return cls(found)

    def written(self) -> list[str]:
        """Give them as they are kept: sorted, so that the same roles are written the same."""
        return sorted(
            role.name.lower() if product == EVERYWHERE else f"{product}:{role.name.lower()}"
            for product, role in self.by_product.items()
        )

    def on(self, product: str) -> Role | None:
        """Give the role on one product; None where it does not exist for this person."""
        found = [self.by_product.get(each) for each in (EVERYWHERE, product)]
        return max((each for each in found if each is not None), default=None)

    @property
    def everywhere(self) -> Role | None:
        """The role on all products, present and to come; None where there is none."""
        return self.by_product.get(EVERYWHERE)

    @property
    def anywhere(self) -> bool:
        """Whether there is any role at all."""
        return bool(self.by_product)

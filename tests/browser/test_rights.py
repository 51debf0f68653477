"""The pages of people's rights in a browser: narrow and wide, light and dark."""

import re
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser

from app.engine.rights import Rights
from tests.app.web.gallery import NAME, STATES
from tests.browser.test_pages import looked_at
from tests.world import Town


def test_asking_for_the_link_and_all_that_is_held(
    town: Town, address: str, chromium: Browser, pictures: Path | None
) -> None:
    token = STATES["suspended"].reach(town)
    looked_at(chromium, f"{address}/a/{token}/data", "data_ask", pictures)
    rights = Rights(town.database, town.clock)
    rights.restrict(town.key, town.id_of(NAME), "subscriber")
    rights.mail_link(town.key, town.id_of(NAME))
    town.deliver()
    town.clock.advance(timedelta(minutes=1))
    body = town.relay.mails()[-1].get_body(("plain",))
    assert body is not None
    fresh = re.findall(r"/d/([\w.~-]+)", str(body.get_content()))[0]
    looked_at(chromium, f"{address}/d/{fresh}", "data", pictures)
    looked_at(chromium, f"{address}/d/{fresh}?lang=fr&so=restricted", "data_fr", pictures)

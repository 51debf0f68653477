"""Servers of one's own, for a machine that has Python and nothing else.

``with postgres(data_dir) as server: ... server.url`` starts a private PostgreSQL, or joins
the one that another process already runs on the same folder; ``redis(data_dir)`` does so
with a Redis, in a folder beside it.  What to rely on:

* It listens on a unix socket below ``data_dir`` that only this account can reach, and on no
  port.
* It ends with the process that started it, however that ends.  Who has joined gets
  connection errors from then on, and becomes the starter by calling again.
* Whatever was killed, the next start takes over, and no row that PostgreSQL acknowledged is
  lost (``durable=False`` gives that up against a crash of the machine, for speed in tests).
  Redis keeps nothing: what is in it must be makeable again from the database.

`home` keeps a server, whatever it is; `places` finds where its socket can be reached and its
binaries be run; `postgres` and `redis` know the rest.
"""

from app.embedded.home import Account, Home, Server
from app.embedded.postgres import Postgres, postgres
from app.embedded.redis import Redis, redis

__all__ = ["Account", "Home", "Postgres", "Redis", "Server", "postgres", "redis"]

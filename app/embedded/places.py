"""Where a server's socket can be reached, and where its binaries can be run."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from app.embedded.home import Account
from app.errors import Refused

_SOCKET_BYTES = 100  # a socket's path ends at 107 bytes on Linux and 103 on macOS


def reachable(folder: Path, socket: str) -> str:
    """Return the path under which a folder's socket is reached: its own, or a short link's.

    A socket's path has a length, and a comma in a URL parts hosts.  The link's name follows
    from the path, so that every process finds the same one.
    """
    path = str(folder)
    fits = len(f"{path}/{socket}") <= _SOCKET_BYTES
    if fits and path.isascii() and "," not in path:
        return path
    link = Path(tempfile.gettempdir(), f"reconfirm-{_digest(path)}")
    with contextlib.suppress(FileExistsError):
        link.symlink_to(path)
    _must_be_ours(link)
    if str(link.readlink()) != path or len(f"{link}/{socket}") > _SOCKET_BYTES:
        raise Refused(f"{link} cannot lead to {path}", "Remove it, or set TMPDIR to a short path")
    return str(link)


def runnable(program: Path, root: Path, parts: Sequence[str], account: Account) -> Path:
    """Return a copy of a program that ``account`` may run: root's venv may be private.

    ``parts`` are the folders below ``root`` that it needs; they keep their places.  Programs
    only, no data; kept for the next start.  Raises Refused where the copy does not help.
    """
    made_at = program.stat().st_mtime_ns
    target = Path(tempfile.gettempdir(), f"reconfirm-engine-{_digest(f'{program} {made_at}')}")
    _copy_once({root / part: target / part for part in parts}, target)
    copy = target / program.relative_to(root)
    try:
        account.answer(str(copy), "--version")
    except PermissionError as error:
        raise Refused(
            f"Root does not run {program.name}, and nobody may run it in {root} or {target}",
            "Install reconfirm where others may read it (/opt), or set TMPDIR to such a place",
        ) from error
    return copy


def _copy_once(parts: dict[Path, Path], target: Path) -> None:
    """Copy each part to its place below ``target``, unless all of it is there already."""
    if os.path.lexists(target):
        _must_be_ours(target)
        if all(_is_whole(source, copy) for source, copy in parts.items()):
            return
        shutil.rmtree(target)  # a cleaner of temporary files has been through it
    fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    for source, copy in parts.items():
        shutil.copytree(source, fresh / copy.relative_to(target), ignore=_headers)
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755)
    try:
        fresh.rename(target)
    except OSError:  # another start was first
        shutil.rmtree(fresh)
        _must_be_ours(target)


_headers = shutil.ignore_patterns("include")


def _is_whole(source: Path, copy: Path) -> bool:
    """Say whether every file of a folder has a copy of its size."""
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name != "include"]
        beside = copy / Path(folder).relative_to(source)
        for name in files:
            twin = beside / name
            if not twin.exists() or twin.stat().st_size != Path(folder, name).stat().st_size:
                return False
    return True


def _must_be_ours(path: Path) -> None:
    """Raise Refused where a name in the shared temporary folder was taken by somebody else."""
    if path.lstat().st_uid != os.geteuid():
        raise Refused(f"{path} belongs to another account", "Remove it, or set another TMPDIR")


def _digest(text: str) -> str:
    """Return a short name for a text, this account's own."""
    mixed = os.fsencode(f"{os.geteuid()} {text}")
    return hashlib.blake2s(mixed, digest_size=8).hexdigest()

"""``wardlake key``: the lake's key."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import with_settings
from app.cli.output import err
from app.jobs import rotate_key as rotating
from app.jobs.lake_session import open_with_key
from app.jobs.rotate_key import Rotated
from app.settings import Settings
from lake.errors import UsageError
from lake.security.encryption import LakeKey
from lake.storage.store import Lake

key = typer.Typer(help="The lake's key.", no_args_is_help=True)


@key.command("create")
@with_settings("data", "key_file")
def create(
    settings: Settings,
) -> None:
    """Make the key file (mode 0600) where it is absent; one that is there is read and stays as it is.

    Tells the key's id, never the key. Keep it apart from the lake, and back it up: nothing else opens Bronze.
    """
    if settings.key is not None:
        raise UsageError(
            "there is a key already",
            got="WARDLAKE_KEY",
            expected="no key in the environment",
            next_move="unset it to make a key file",
        )
    made = not settings.key_path.exists()
    found = LakeKey.create_file(settings.key_path) if made else LakeKey.from_file(settings.key_path)
    _say(f"key {found.key_id} {'made' if made else 'found'} in {settings.key_path}")


@key.command("rotate")
@with_settings("data", "lake", "key_file")
def rotate(
    settings: Settings,
    reencrypt: Annotated[bool, typer.Option("--reencrypt", help="Encrypt old rows with the new key too.")] = False,
    new_key_file: Annotated[
        Path | None, typer.Option("--new-key-file", help="Another file for the new key; made if absent.")
    ] = None,
) -> None:
    """Give the lake a new key: new rows are encrypted with it, old ones stay readable, pseudonyms stay as they are.

    The new key takes the key file's place; the old one is kept beside it under its id. Streams that run with the old
    key end with exit code 2 and land nothing more: start them again.
    """
    named = new_key_file and new_key_file.expanduser().absolute()
    done = rotating.rotate(settings, named)
    _say(f"key {done.old} gave way to key {done.new}")
    _say(_next(settings, named, done))
    if reencrypt:
        _reencrypt(done.lake)
    else:
        _say("older rows stay encrypted with earlier keys, which the lake keeps; 'wardlake key reencrypt' changes that")


@key.command("reencrypt")
@with_settings("data", "lake", "key_file")
def reencrypt(
    settings: Settings,
) -> None:
    """Encrypt with the lake's key what an earlier one encrypted, so that no earlier key is needed for it.

    A day of messages at a time; a stream lands in between. Interrupted, the next run does what is left.
    """
    _reencrypt(open_with_key(settings))


def _reencrypt(lake: Lake) -> None:
    rows = rotating.reencrypt(lake, _say)
    _say(f"{rows:,} rows re-encrypted: all rows use key {lake.key.key_id}, the lake holds no earlier key")
    _say("the old files go with 'wardlake flow maintain', from an hour on")


def _next(settings: Settings, named: Path | None, done: Rotated) -> str:
    """What is left to do with the two keys."""
    if done.kept is not None:
        return f"the new key is in {settings.key_path}: back it up; the old one is kept in {done.kept}"
    if named is None:
        return "give the new key in WARDLAKE_KEY from now on, and unset WARDLAKE_NEW_KEY"
    return f"the new key is in {named}: set WARDLAKE_KEY_FILE to it, and unset WARDLAKE_KEY"


def _say(text: str) -> None:
    err.print(text, markup=False, soft_wrap=True)

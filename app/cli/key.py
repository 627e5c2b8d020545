"""``wardlake key``: the lake's key."""

import typer

from app import settings as configuration
from app.cli.options import DataOption, KeyFileOption
from app.cli.output import err
from lake.errors import UsageError
from lake.sealing import LakeKey

key = typer.Typer(help="The lake's key.", no_args_is_help=True)


@key.callback()
def _group() -> None:
    """Keep ``create`` a command of its own: Typer would make a lone one the group itself."""


@key.command("create")
def create(
    data: DataOption = None,
    key_file: KeyFileOption = None,
) -> None:
    """Make the key file (mode 0600) where it is absent; one that is there is read and stays as it is.

    Tells the key's id, never the key. Keep it apart from the lake, and back it up: nothing else opens Bronze.
    """
    settings = configuration.load(data=data, key_file=key_file)
    if settings.key is not None:
        raise UsageError(
            "there is a key already",
            got="WARDLAKE_KEY",
            expected="no key in the environment",
            next_move="unset it to make a key file",
        )
    made = not settings.key_path.exists()
    found = LakeKey.create_file(settings.key_path) if made else LakeKey.from_file(settings.key_path)
    err.print(f"key {found.key_id} {'made' if made else 'found'} in {settings.key_path}", markup=False, soft_wrap=True)

"""A person's own settings of the cockpit: keys, colours, symbols.

    $XDG_CONFIG_HOME/ouroboros/cockpit.toml

    theme = "blue-orange"      # any theme of the palette
    ascii = false              # plain symbols although the terminal speaks Unicode

    [keys]
    approve = "A"              # names are those of the help; several keys by commas

It is read once, at the start, and strictly: a misspelt name is an error that says where, since a
key that silently kept its old meaning would be pressed in earnest.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ouroboros.errors import ConfigError
from ouroboros.model.text import safe_line
from tui.keys import remapped

NAME = "cockpit.toml"
_LARGEST = 64 << 10


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may stand in the file."""

    theme: str = ""
    ascii: bool = False
    keys: dict[str, str] = {}


def path_of(environ: Mapping[str, str]) -> Path:
    """Return where a person's settings are."""
    base = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "~")) / ".config")
    return Path(base).expanduser() / "ouroboros" / NAME


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Return a person's settings; the defaults where there is no file.

    Raises:
        ConfigError: the file cannot be read, or something in it is not valid.
    """
    path = path_of(os.environ if environ is None else environ)
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1).decode()
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {path}: {safe_line(str(error))}.") from error
    return parse(text, str(path))


def parse(text: str, name: str = NAME) -> Settings:
    """Return the settings of a text.

    Raises:
        ConfigError: it is not valid; the message says where.
    """
    if len(text) > _LARGEST:
        raise ConfigError(f"{name} is larger than {_LARGEST >> 10} KiB.")
    try:
        settings = msgspec.convert(tomllib.loads(text), Settings)
        remapped(settings.keys)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{name}: {safe_line(str(error))}.") from error
    except ConfigError as error:
        raise ConfigError(f"{name}: {error.message}", hint=error.hint) from error
    return settings

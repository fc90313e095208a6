"""The key file: which keys there are, how old they are, and the pepper of the digests.

    <key> made:2026-11-20T09:00:00Z      the one in front encrypts, all of them decrypt
    <key>
    pepper:<32 bytes>                    without it, the last key gives the pepper

Reading, changing and writing it; what keys are used for belongs to `vault.py`.
"""

import base64
import binascii
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from llm_intercept.errors import ConfigError

_PEPPER_LABEL = b"llm-intercept token digests v1"
_PEPPER = "pepper:"
_MADE = "made:"


@dataclass(frozen=True, slots=True)
class Key:
    """`made` is the time it was made, "" where nobody wrote it down."""

    text: str = field(repr=False)
    made: str = ""

    @property
    def id(self) -> str:
        """What it may be called where people see it: tells keys apart and gives nothing away."""
        return sha256(b"key id " + self.text.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys, newest first, and the pepper."""

    keys: tuple[Key, ...]
    pepper: bytes = field(repr=False)

    @classmethod
    def parse(cls, words: Sequence[str], source: str) -> "Keyring":
        """`source` names the words' origin in error messages."""
        keys: list[Key] = []
        pepper = b""
        for word in words:
            if word.startswith(_PEPPER):
                pepper = _decoded(word.removeprefix(_PEPPER), source)
            elif word.startswith(_MADE) and keys:
                keys[-1] = replace(keys[-1], made=word.removeprefix(_MADE))
            else:
                _decoded(word, source)
                keys.append(Key(word))
        if not keys:
            raise ConfigError(
                f"{source} holds no key; restore it from a backup, or remove it to have a new one made"
            )
        return cls(tuple(keys), pepper or _derived(_decoded(keys[-1].text, source)))

    def with_new(self, now: float) -> "Keyring":
        """The same with a new key in front."""
        return replace(self, keys=(new_key(now), *self.keys))

    def without(self, ids: Collection[str]) -> "Keyring":
        """The same without some of its keys. The pepper stays, or every token would be lost with its key."""
        return replace(self, keys=tuple(key for key in self.keys if key.id not in ids))

    def text(self) -> str:
        """As it lies in the file."""
        lines = [f"{key.text} {_MADE}{key.made}" if key.made else key.text for key in self.keys]
        pepper = base64.urlsafe_b64encode(self.pepper).decode()
        return "\n".join([*lines, f"{_PEPPER}{pepper}", ""])


def new_key(now: float) -> Key:
    made = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Key(Fernet.generate_key().decode(), made)


def read(path: Path) -> str:
    """The file's text."""
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        raise ConfigError(
            f"{path} is missing; run `llm-intercept init`, or restore it from a backup"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def create(path: Path, now: float) -> None:
    """A new random key, unless the file exists. The file appears whole, so nobody reads half a key."""
    if path.exists():
        return
    key = new_key(now)
    draft = _drafted(path, f"{key.text} {_MADE}{key.made}\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its key is the key
    except OSError:  # a file system without hard links
        if not path.exists():
            draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def write(path: Path, ring: Keyring) -> None:
    """Replaces the file: whoever reads it sees the old keys or the new ones, after a power failure too."""
    try:
        draft = _drafted(path, ring.text())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def _drafted(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, text.encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return draft


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _derived(raw: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PEPPER_LABEL).derive(raw)


def _decoded(key: str, source: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(key)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise ConfigError(
            f"{source} holds something that is not a key (32 bytes in URL-safe base64, one per line)"
        )
    return raw

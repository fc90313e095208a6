"""Encryption of stored secrets and keyed digests of tokens, both from one key file.

`secret.key` holds one Fernet key per line: the first encrypts, all of them decrypt, and the last
(oldest) one also gives the pepper of the digests, so that putting a new key in front keeps every
token valid. What is stored where belongs to `store/`.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from llm_intercept.errors import ConfigError

KEY_VARIABLE = "LLM_INTERCEPT_SECRET_KEY"
_PEPPER_LABEL = b"llm-intercept token digests v1"


class Vault:
    """Encrypts, decrypts and digests. `source` names the keys' origin in error messages."""

    def __init__(self, keys: Sequence[str], source: str = "the given keys") -> None:
        if not keys:
            raise ConfigError(
                f"{source} holds no key; restore it from a backup, or remove it to have a new one made"
            )
        raw = [_decoded(key, source) for key in keys]
        self._source = source
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        pepper = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PEPPER_LABEL).derive(raw[-1])
        self._keyed = hmac.new(pepper, digestmod="sha256")

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str] | None = None) -> "Vault":
        """Keys from `LLM_INTERCEPT_SECRET_KEY` (separated by commas or blanks), else from the file."""
        configured = (os.environ if environ is None else environ).get(KEY_VARIABLE, "")
        if configured.strip():
            return cls(configured.replace(",", " ").split(), KEY_VARIABLE)
        try:
            text = path.read_text("ascii")
        except FileNotFoundError:
            raise ConfigError(
                f"{path} is missing; run `llm-intercept init`, or restore it from a backup"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        return cls(text.split(), str(path))

    def encrypt(self, secret: SecretStr) -> bytes:
        return self._fernet.encrypt(secret.get_secret_value().encode())

    def decrypt(self, blob: bytes) -> SecretStr:
        try:
            return SecretStr(self._fernet.decrypt(blob).decode())
        except InvalidToken:
            raise ConfigError(
                f"{self._source} does not fit control.db: a stored secret cannot be decrypted; "
                "restore the key it was written with (older keys go below newer ones), or store it again"
            ) from None

    def digest(self, text: str) -> bytes:
        """HMAC-SHA256: equal texts give equal digests, and without the key nothing can be tried out."""
        digest = self._keyed.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.digest()

    def misfit(self) -> ConfigError:
        """The error to raise when a database was made with other keys."""
        return ConfigError(
            f"{self._source} does not fit control.db, which was made with another key; restore the old key "
            "(its last line must stay the last line), or move control.db away to start afresh"
        )


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


def create_key_file(path: Path) -> None:
    """A new random key, unless the file exists. The file appears whole, so nobody reads half a key."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, Fernet.generate_key() + b"\n")
        os.fsync(descriptor)
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its key is the key
    except OSError:  # a file system without hard links
        if not path.exists():
            draft.rename(path)
    finally:
        os.close(descriptor)
        draft.unlink(missing_ok=True)

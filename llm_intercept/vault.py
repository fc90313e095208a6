"""Encryption of stored secrets and keyed digests of tokens, both from the keys of `keyring.py`.

The first key encrypts, all of them decrypt. Digests have a pepper of their own that no rotation changes,
so that every token stays valid. What is stored where belongs to `store/`.
"""

import hmac
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from llm_intercept import keyring
from llm_intercept.errors import ConfigError
from llm_intercept.keyring import Keyring

KEY_VARIABLE = "LLM_INTERCEPT_SECRET_KEY"
_KEY_CHECK = "llm-intercept key check"

logger = logging.getLogger("llm_intercept")


class Vault:
    """Encrypts, decrypts and digests. `source` names the keys' origin in error messages.

    With a `path` it notices that the file has changed: a rotation reaches processes that run.
    """

    def __init__(
        self, keys: Sequence[str], source: str = "the given keys", *, path: Path | None = None
    ) -> None:
        self._source = source
        self._path = path
        self._seen = _state(path)
        self.ring = Keyring.parse(keys, source)
        self._fernets = {key.text: Fernet(key.text) for key in self.ring.keys}
        self._fernet = MultiFernet([*self._fernets.values()])
        self._keyed = hmac.new(self.ring.pepper, digestmod="sha256")

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str] | None = None) -> "Vault":
        """Keys from `LLM_INTERCEPT_SECRET_KEY` (separated by commas or blanks), else from the file."""
        configured = (os.environ if environ is None else environ).get(KEY_VARIABLE, "")
        if configured.strip():
            return cls(configured.replace(",", " ").split(), KEY_VARIABLE)
        return cls(keyring.read(path).split(), str(path), path=path)

    @property
    def path(self) -> Path | None:
        """The file that the keys come from; None if they came from elsewhere."""
        return self._path

    def refresh(self) -> None:
        """Reads the file again if it is another one by now. What cannot be used is logged and left alone."""
        state = _state(self._path)
        if self._path is None or state == self._seen or not state:
            return
        self._seen = state
        try:
            ring = Keyring.parse(keyring.read(self._path).split(), self._source)
        except ConfigError as error:
            logger.error("the keys in use are kept: %s", error)
            return
        if ring.pepper != self.ring.pepper:
            logger.error("the keys in use are kept: %s holds those of another home", self._source)
            return
        self._take(ring)

    def encrypt(self, secret: SecretStr) -> bytes:
        self.refresh()
        return self._fernet.encrypt(secret.get_secret_value().encode())

    def decrypt(self, blob: bytes) -> SecretStr:
        try:
            return SecretStr(self._open(blob).decode())
        except InvalidToken:
            raise ConfigError(
                f"{self._source} does not fit control.db: a stored secret cannot be decrypted; "
                "restore the key it was written with (older keys go below newer ones), or store it again"
            ) from None

    def renewed(self, blob: bytes) -> bytes:
        """The same secret, encrypted with the key in front."""
        return self.encrypt(self.decrypt(blob))

    def opener(self, blob: bytes) -> str | None:
        """The id of the key that a stored secret is encrypted with; None if it is none of these."""
        for key in self.ring.keys:
            try:
                self._fernets[key.text].decrypt(blob)
            except InvalidToken:
                continue
            return key.id
        return None

    def digest(self, text: str) -> bytes:
        """HMAC-SHA256: equal texts give equal digests, and without the key nothing can be tried out."""
        digest = self._keyed.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.digest()

    def key_check(self) -> bytes:
        """What control.db remembers its keys by."""
        return self.digest(_KEY_CHECK)

    def misfit(self) -> ConfigError:
        """The error to raise when a database was made with other keys."""
        return ConfigError(
            f"{self._source} does not fit control.db, which was made with another key; restore the old key "
            "(where no line says `pepper:`, the last key must stay the last one), "
            "or move control.db away to start afresh"
        )

    def _open(self, blob: bytes) -> bytes:
        try:
            return self._fernet.decrypt(blob)
        except InvalidToken:
            self.refresh()
            return self._fernet.decrypt(blob)

    def _take(self, ring: Keyring) -> None:
        """Keys that are gone from the file still decrypt here: a call may hold what they encrypted."""
        former = self._fernets
        self._fernets = {key.text: former.get(key.text) or Fernet(key.text) for key in ring.keys}
        self._fernet = MultiFernet([*({**self._fernets, **former}).values()])
        self.ring = ring


def create_key_file(path: Path) -> None:
    """A new random key, unless the file exists."""
    keyring.create(path, time.time())


def _state(path: Path | None) -> tuple[int, ...]:
    """What tells one state of a file from another; nothing if there is no file."""
    if path is None:
        return ()
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size

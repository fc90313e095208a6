"""A few small files in one, encrypted with a passphrase: scrypt makes the key, Fernet encrypts."""

import base64
import os
from collections.abc import Mapping

import orjson
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import SecretStr

from llm_intercept.errors import ConfigError

_N, _R, _P = 2**16, 8, 1  # 64 MiB of memory and about a fifth of a second for each guess


def lock(files: Mapping[str, bytes], passphrase: SecretStr, salt: bytes | None = None) -> bytes:
    salt = salt or os.urandom(16)
    plain = orjson.dumps({name: base64.b64encode(content).decode() for name, content in files.items()})
    sealed = _fernet(passphrase, salt, _N, _R, _P).encrypt(plain)
    head = {"kdf": "scrypt", "n": _N, "r": _R, "p": _P, "salt": base64.b64encode(salt).decode()}
    return orjson.dumps({**head, "fernet": sealed.decode()})


def unlock(content: bytes, passphrase: SecretStr) -> dict[str, bytes]:
    try:
        box = orjson.loads(content)
        salt, (n, r, p) = base64.b64decode(box["salt"]), (int(box[k]) for k in "nrp")
        if n > _N or r > _R or p > _P:
            raise ValueError("harder than what is written")
        plain = _fernet(passphrase, salt, n, r, p).decrypt(box["fernet"].encode())
    except InvalidToken:
        raise ConfigError("the passphrase does not open the secrets of this backup") from None
    except (ValueError, TypeError, LookupError) as error:
        raise ConfigError("the secrets of this backup cannot be read") from error
    return {name: base64.b64decode(text) for name, text in orjson.loads(plain).items()}


def _fernet(passphrase: SecretStr, salt: bytes, n: int, r: int, p: int) -> Fernet:
    raw = Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.get_secret_value().encode())
    return Fernet(base64.urlsafe_b64encode(raw))

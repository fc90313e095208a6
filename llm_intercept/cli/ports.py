"""Whether a port can be listened on, said before anything is started."""

import errno
import socket

from llm_intercept.errors import ConfigError, Conflict


def claim(host: str, port: int, option: str) -> None:
    """Conflict, in a sentence with what to do, if nobody can listen on this address now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is used by another program" if taken else f"cannot be listened on ({error.strerror})"
        raise Conflict(f"{host}:{port} {why}; choose another port with {option} N") from None


def is_free(host: str, port: int, *, udp: bool = False) -> bool:
    """Whether this address could be listened on now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
            if not udp:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return False
        raise ConfigError(f"{host} cannot be listened on ({error.strerror})") from None
    return True

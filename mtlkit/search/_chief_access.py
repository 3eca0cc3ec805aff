"""Who may speak with the chief of a search: whoever knows the token that lies in its folder.

Imported where a chief or a worker needs it: it needs gRPC.
"""

from __future__ import annotations

import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

#: Names the token, where workers do not share the chief's folder.
VARIABLE = "MTLKIT_SEARCH_TOKEN"
_HEADER = "mtlkit-token"
#: The longest pause before gRPC looks again for a chief that went away, in milliseconds: it would
#: wait up to 120 s.
_RECONNECT = 2000
#: For how long a worker waits for the token, and calls a chief again whose answer broke off; its
#: first and its longest pause; in seconds.
_PATIENCE, _PAUSE, _LONGEST = 600.0, 0.5, 30.0


def make_token(directory: Path) -> str:
    """Returns the token of a search, and makes it if there is none: only its owner may read it."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    known = _read(directory)
    if known:
        return known
    unfinished = directory / f".token.{os.getpid()}"
    unfinished.unlink(missing_ok=True)
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    token = secrets.token_hex(32)
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(token)
    unfinished.replace(_path(directory))
    return token


def known_token(directory: Path) -> str:
    """Returns the token as a worker knows it, from the environment or the folder of the search."""
    end = time.monotonic() + _PATIENCE
    while not (token := os.environ.get(VARIABLE) or _read(directory)):  # the chief has not begun
        if time.monotonic() > end:
            raise ValueError(
                f"Expected the token of the chief in {_path(directory)} or in {VARIABLE}. "
                "Received: neither. Start the chief first, with the same directory"
            )
        time.sleep(_PAUSE)
    return token


class TokenCheck(grpc.ServerInterceptor):
    """Turns away every call that does not bring the token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        given = dict(details.invocation_metadata).get(_HEADER, "")
        if self._token and hmac.compare_digest(str(given).encode(), self._token):
            return continuation(details)
        return grpc.unary_unary_rpc_method_handler(_turn_away)


def _turn_away(request: Any, context: Any) -> None:
    context.abort(
        grpc.StatusCode.UNAUTHENTICATED,
        "Expected the token of the search: start the worker with the chief's directory, or set "
        f"{VARIABLE} to the same text for both",
    )


class WithToken(grpc.UnaryUnaryClientInterceptor):
    """Brings the token along, and calls again, after longer and longer pauses, if nobody answers.

    A chief that was killed may be started again: it knows what was finished, and is told once.
    """

    def __init__(self, token: str, patience: float = _PATIENCE) -> None:
        self._token = token
        self._patience = patience

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], details: Any, request: Any
    ) -> Any:
        own = [*(details.metadata or ()), (_HEADER, self._token)]
        details = details._replace(metadata=own)
        end, pause = time.monotonic() + self._patience, _PAUSE
        while True:
            call = continuation(details, request)
            if call.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                return call
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)


def with_token(address: str, token: str, patience: float = _PATIENCE) -> Any:
    """Returns KerasTuner's client of a chief at an address, which brings the token along."""
    from keras_tuner.src import protos

    channel = grpc.insecure_channel(address, [("grpc.max_reconnect_backoff_ms", _RECONNECT)])
    channel = grpc.intercept_channel(channel, WithToken(token, patience))
    return protos.get_service_grpc().OracleStub(channel)


def _read(directory: Path) -> str:
    """The token that lies in the folder; empty if there is none."""
    path = _path(directory)
    try:
        return path.read_text("utf-8").strip() if path.exists() else ""
    except PermissionError:
        raise ValueError(
            f"Expected a token that this user may read. Received: {path}, which belongs to another "
            f"user. Set {VARIABLE} to one long random text for the chief and all workers"
        ) from None


def _path(directory: Path) -> Path:
    return directory / "token"

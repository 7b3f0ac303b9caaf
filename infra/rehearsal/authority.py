"""A certificate authority that lives as long as one rehearsal, and that nobody else trusts."""

from __future__ import annotations

import ssl

from infra.errors import InputError


class Authority:
    """Signs for any host. Its own key is never written; a host's is, while OpenSSL reads it."""

    def __init__(self) -> None:
        """Raises InputError where trustme is not installed."""
        try:
            import trustme
        except ModuleNotFoundError:
            raise InputError("a rehearsal needs trustme and moto: run `make setup`") from None
        self._authority = trustme.CA()
        self._contexts: dict[str, ssl.SSLContext] = {}

    def certificate(self) -> bytes:
        """What a client has to trust, as PEM."""
        return self._authority.cert_pem.bytes()

    def context(self, host: str) -> ssl.SSLContext:
        """What a server needs to be ``host``."""
        if host not in self._contexts:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._authority.issue_cert(host).configure_cert(context)
            self._contexts[host] = context
        return self._contexts[host]

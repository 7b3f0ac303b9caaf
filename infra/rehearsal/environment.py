"""The environment that leads the clouds' SDKs to a rehearsal, as they are, and nowhere else.

What a person has set for a real cloud (profiles, keys, tokens, endpoints, proxies) is out of sight
meanwhile, for this process and for those it starts. The credentials are made up.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

LOOPBACK = "127.0.0.1,localhost,::1"
_FOREIGN = ("AWS_", "AZURE_", "ARM_", "GOOGLE_", "CLOUDSDK_", "BOTO", "IDENTITY_", "MSI_", "GCE_")
"""How the variables begin that an SDK of a cloud reads."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_BUNDLES = (
    "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HTTPLIB2_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
)  # fmt: skip
_MADE_UP = "00000000-0000-4000-8000-000000000000"


def variables(proxy: str, bundle: Path, empty: Path) -> dict[str, str]:
    """What an SDK finds: the way to the proxy, whom to trust, and who it is.

    ``bundle`` is the only certificate to be trusted, ``empty`` a folder without any configuration.
    """
    nothing = os.devnull
    return {
        "HTTPS_PROXY": proxy,
        "HTTP_PROXY": proxy,
        "NO_PROXY": LOOPBACK,
        "SSL_CERT_DIR": str(empty),
        **dict.fromkeys(_BUNDLES, str(bundle)),
        "AWS_ACCESS_KEY_ID": "AKIAREHEARSAL0000000",
        "AWS_SECRET_ACCESS_KEY": "made-up-for-a-rehearsal",
        "AWS_CONFIG_FILE": nothing,
        "AWS_SHARED_CREDENTIALS_FILE": nothing,
        "AWS_EC2_METADATA_DISABLED": "true",
        "BOTO_CONFIG": nothing,
        "AZURE_TENANT_ID": _MADE_UP,
        "AZURE_CLIENT_ID": _MADE_UP,
        "AZURE_CLIENT_SECRET": "made-up-for-a-rehearsal",
        "AZURE_CONFIG_DIR": str(empty),
        "CLOUDSDK_CONFIG": str(empty),
        "NO_GCE_CHECK": "true",
    }


@contextlib.contextmanager
def led(found: Mapping[str, str]) -> Iterator[None]:
    """Have ``found`` in the environment while the block runs, and nothing of a person's clouds."""
    ours = {**found, **{name.lower(): found[name] for name in _PROXIES if name in found}}
    theirs = [name for name in os.environ if _foreign(name)]
    before = {name: os.environ.pop(name) for name in {*theirs, *ours} if name in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
        os.environ.update(before)


def _foreign(name: str) -> bool:
    return name.upper() in _PROXIES or name.startswith(_FOREIGN)

"""Who we are, as Azure's clients ask for it."""

from __future__ import annotations

from typing import Any

import azure.identity
import pytest

from infra.azure.session import Azure, Where
from infra.errors import CredentialsError


class _Nobody:
    """azure-identity where nobody has logged in; counts how often it is asked."""

    asked = 0

    def get_token(self, *_scopes: str, **_given: Any) -> Any:
        type(self).asked += 1
        raise azure.identity.CredentialUnavailableError("nobody has logged in")


@pytest.mark.parametrize("client", ["blobs", "workspace"])
def test_who_has_not_logged_in_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    """The client of storage asks again for minutes: a forgotten login must not cost them."""
    monkeypatch.setattr(azure.identity, "DefaultAzureCredential", _Nobody)
    monkeypatch.setattr(_Nobody, "asked", 0)
    reached = Azure(Where("s", "g", "w", "account", "container"))
    asks = {
        "blobs": lambda: reached.blobs.get_blob_client("a").get_blob_properties(),
        "workspace": reached.workspace,
    }
    with pytest.raises(CredentialsError, match="nobody has logged in"):
        reached.ask("look", asks[client])
    assert _Nobody.asked == 1

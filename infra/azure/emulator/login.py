"""login.microsoftonline.com: where it is, and tokens for who shows a secret or a federated token.

Tokens have the shape of Entra's: a JSON Web Token whose ``aud`` is what it is for. They are signed
by nobody, and read back here alone.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from infra.azure.emulator.refusal import Refused, refusal
from infra.rehearsal.server import Answer, Call, answer

HOST = "login.microsoftonline.com"
_LASTS = 3600
_NEVER = "c2lnbmVkIGJ5IG5vYm9keQ"


class Login:
    """Answers for the login of one tenant, whichever is asked for."""

    def answer(self, call: Call) -> Answer:
        """What a call is answered."""
        parts = call.path.strip("/").split("/")
        if parts[-1] == "openid-configuration":
            return answer(_discovery(parts[0]))
        if parts[-2:] == ["discovery", "instance"]:
            return answer(_instance(call))
        if call.method == "POST" and parts[-1] == "token":
            return self._token(parts[0], call)
        words = f"the login of this rehearsal does not know {call.path}"
        return refusal(Refused(404, "not_found", words), call)

    def _token(self, tenant: str, call: Call) -> Answer:
        asked = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
        if not (asked.get("client_secret") or asked.get("client_assertion")):
            words = "AADSTS7000216: client_assertion or client_secret is required."
            return refusal(Refused(401, "invalid_client", words), call)
        scope = asked.get("scope", "").split(" ")[0]
        if not scope.endswith("/.default"):
            words = f"AADSTS1002012: The provided value for scope {scope} is not valid."
            return refusal(Refused(400, "invalid_scope", words), call)
        claims = {
            "aud": scope.removesuffix("/.default"), "iss": f"https://sts.windows.net/{tenant}/",
            "appid": asked.get("client_id", ""), "oid": asked.get("client_id", ""), "tid": tenant,
            "iat": round(time.time()), "exp": round(time.time()) + _LASTS, "ver": "1.0",
        }  # fmt: skip
        token = {
            "token_type": "Bearer", "expires_in": _LASTS, "ext_expires_in": _LASTS,
            "access_token": signed(claims),
        }  # fmt: skip
        return answer(token)


def signed(claims: Mapping[str, Any]) -> str:
    """A token with those claims."""
    return ".".join((_encoded({"typ": "JWT", "alg": "RS256", "kid": "trefoil"}), _encoded(claims),
                     _NEVER))  # fmt: skip


def require(call: Call, *audiences: str) -> Mapping[str, Any]:
    """The claims of the call's token. Raises Refused where it has none for any such audience."""
    kind, _, token = call.header("Authorization").partition(" ")
    claims = claims_of(token) if kind == "Bearer" else None
    if claims is None:
        raise Refused(401, "AuthenticationFailed", "Authentication failed: there is no token.")
    if claims.get("exp", 0) < time.time():
        raise Refused(401, "ExpiredAuthenticationToken", "The access token has expired.")
    if str(claims.get("aud", "")).rstrip("/") not in audiences:
        raise Refused(
            401,
            "InvalidAuthenticationTokenAudience",
            f"The access token has been obtained for wrong audience or resource "
            f"'{claims.get('aud')}'. It should be one of '{', '.join(audiences)}'.",
        )
    return claims


def claims_of(token: str) -> dict[str, Any] | None:
    """What a token says; None where it is none of this login's."""
    parts = token.split(".")
    if len(parts) != 3 or parts[2] != _NEVER:
        return None
    try:
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    except ValueError:
        return None
    return found


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def _discovery(tenant: str) -> dict[str, Any]:
    front = f"https://{HOST}/{tenant}"
    return {
        "issuer": f"{front}/v2.0",
        "authorization_endpoint": f"{front}/oauth2/v2.0/authorize",
        "token_endpoint": f"{front}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{front}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{front}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "response_types_supported": ["code", "id_token", "token"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
    }


def _instance(call: Call) -> dict[str, Any]:
    asked = call.query.get("authorization_endpoint", [""])[0]
    tenant = asked.partition("://")[2].split("/")[1:2] or ["common"]
    return {
        "tenant_discovery_endpoint": (
            f"https://{HOST}/{tenant[0]}/v2.0/.well-known/openid-configuration"
        ),
        "api-version": "1.1",
        "metadata": [
            {"preferred_network": HOST, "preferred_cache": "login.windows.net", "aliases": [HOST]}
        ],
    }

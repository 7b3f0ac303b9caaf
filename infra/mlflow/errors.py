"""What MLflow raises, turned into one sentence for a person."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from infra.errors import CredentialsError, InputError, ProviderError, TrefoilError
from infra.redaction import redacted


@contextlib.contextmanager
def told(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one sentence. Raises TrefoilError."""
    try:
        yield
    except TrefoilError:
        raise
    except ImportError as error:
        raise InputError(
            f"MLflow cannot be used here ({error}): install the extra tracking, or make setup"
        ) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("mlflow", "requests", "sqlalchemy"):
            raise
        raise translated(error, uri) from None


def translated(error: Any, uri: str) -> TrefoilError:
    """The same for one of MLflow's errors."""
    where = f"MLflow at {redacted(uri)}"
    first = redacted(str(error).strip().partition("\n")[0])
    code = getattr(error, "error_code", "")
    if "out-of-date database schema" in first:
        return InputError(f"{where} is of another version; run: mlflow db upgrade {redacted(uri)}")
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED") or "error code 401" in first:
        return CredentialsError(
            f"{where} refuses us; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "or MLFLOW_TRACKING_TOKEN"
        )
    if "Max retries exceeded" in first or type(error).__module__.startswith("requests"):
        return ProviderError(f"{where} does not answer; see that it runs and can be reached")
    return ProviderError(f"{where} says: {first}")

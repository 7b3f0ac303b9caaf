"""Settings: file, then environment, then flags, each over the one before; typed, nothing unknown.

A file is TOML or JSON (``terraform output -json settings`` is one). Its keys are the fields below
and those of the chosen provider; a table called like a provider is for that provider alone. In the
environment a field is TREFOIL_FIELD; that of another provider is passed over there. A table or a
list is JSON outside of a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra import provider as providers
from infra.errors import SettingsError, nearest, short
from infra.provider import WORKSPACE, Provider

_PREFIX = "TREFOIL_"
_ADDRESSES = ("sqlite:///", "http://", "https://", "postgresql", "mysql", "mssql", "databricks")
"""What MLflow's tracking addresses start with; it keeps no runs in plain files any more."""
_KINDS = {
    "int": "a whole number", "float": "a number", "finite": "a number", "bool": "true or false",
    "string": "text", "tuple": "a list", "list": "a list", "dict": "a table of names and values",
    "mapping": "a table of names and values",
}  # fmt: skip
OF_A_STEP = {
    "ATTEMPT", "CHECKPOINTS", "FAILURE", "GIT_COMMIT", "ON_HOST", "PLAN_DIGEST", "PROVIDER",
    "REHEARSAL", "RUN_ID", "SERVER_IMAGE", "SERVING", "STEP", "TRACKING", "TRAINER_IMAGE",
}  # fmt: skip
"""What a step's environment holds by ``components.contract``: a pipeline may be started in one."""


class Settings(NamedTuple):
    """What holds for every provider.

    ``tracking_uri`` is MLflow's; empty means an SQLite database in the workspace, ``none`` turns
    tracking off. A provider that has a field of the same name has a default of its own.
    """

    workspace: str = WORKSPACE
    tracking_uri: str = ""
    experiment: str = "trefoil"


def load(
    provider: Provider, file: str | None, environment: Mapping[str, str], given: Mapping[str, Any]
) -> tuple[Settings, Any]:
    """Return the common settings and those of the provider. Raises SettingsError.

    ``given`` are those of the command line.
    """
    fields = {*_fields(Settings), *_fields(provider.settings)}
    defaults: dict[str, Any] = getattr(provider.settings, "_field_defaults", {})
    values = {name: defaults[name] for name in Settings._fields if name in defaults}
    if file:
        values.update(_from_file(Path(file), provider.name, fields))
    values.update(_from_environment(environment, fields))
    for name in given:
        _require(name, fields, f"{provider.name}: ")
    values.update(given)
    common = _make(Settings, values)
    for name in ("workspace", "experiment"):
        if not getattr(common, name):
            raise SettingsError(f"the setting {name} is empty; leave it out for its default")
    _check_address(common.tracking_uri)
    return common, _make(provider.settings, values)


def _check_address(uri: str) -> None:
    if uri not in ("", "none") and not uri.startswith(_ADDRESSES):
        raise SettingsError(
            f"the setting tracking_uri is {uri}; it is none, or starts with one of "
            f"{', '.join(_ADDRESSES)}"
        )


def _from_file(file: Path, provider: str, fields: set[str]) -> dict[str, Any]:
    content = _read(file)
    known = fields | set(providers.names())
    for name in content:
        _require(name, known, f"{file}: ")
    own = content.get(provider, {})
    if not isinstance(own, dict):
        raise SettingsError(f"{file}: {provider} must be a table of settings")
    for name in own:
        _require(name, fields, f"{file}, table {provider}: ")
    return {**{name: value for name, value in content.items() if name in fields}, **own}


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"the settings {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"the settings {file} are not UTF-8 text") from None
    try:
        if file.suffix == ".json" or text.lstrip().startswith("{"):  # a pipe has no suffix
            content = json.loads(text)
        else:
            import tomllib

            content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"the settings {file} are neither TOML nor JSON: {error}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"the settings {file} must be a table of names and values")
    return content


def _from_environment(environment: Mapping[str, str], fields: set[str]) -> dict[str, str]:
    found = {}
    for variable, value in environment.items():
        name = variable.removeprefix(_PREFIX)
        if name == variable or name in OF_A_STEP or not value:  # an empty one is as good as none
            continue
        if (field := name.lower()) in fields:
            found[field] = value
        else:
            _require(field, fields | _of_others(), f"environment variable {variable}: ")
    return found


def _of_others() -> set[str]:
    """The settings of every provider: only looked at where a variable is not one of ours."""
    return {field for name in providers.names() for field in _fields(providers.get(name).settings)}


def _require(name: str, known: set[str], where: str) -> None:
    if name not in known:
        hint = nearest(name, sorted(known), "there is ")
        raise SettingsError(f"{where}there is no setting {name}; {hint}")


def _fields(model: type) -> dict[str, Any]:
    hints = model.__annotations__.items()
    return {name: getattr(hint, "__forward_arg__", hint) for name, hint in hints}


def _make(model: type, values: Mapping[str, Any]) -> Any:
    fields = _fields(model)
    own = {n: _structured(v, fields[n], n) for n, v in values.items() if n in fields}
    if all(fields[name] == "str" and isinstance(value, str) for name, value in own.items()):
        return model(**own)  # nothing to convert: pydantic need not be loaded
    for name, value in own.items():
        if isinstance(value, bool) and fields[name] != "bool":  # pydantic takes true for 1
            raise SettingsError(f"the setting {name} is {str(value).lower()}; it is no yes or no")
    import pydantic

    try:
        made: Any = pydantic.TypeAdapter(model).validate_python(own)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        wanted = _wanted(first["type"], first.get("ctx", {}))
        found = short(repr(first["input"]))
        raise SettingsError(f"the setting {name} is {found}; it must be {wanted}") from None
    for name, value in zip(made._fields, made, strict=True):
        if isinstance(value, int | float) and not 0 <= value < float("inf"):
            raise SettingsError(f"the setting {name} is {value}; it is a finite number, 0 or more")
    return made


def _wanted(wrong: str, about: Mapping[str, Any]) -> str:
    """What was wanted where pydantic says what is wrong: ``int_parsing``, ``literal_error``."""
    kind = wrong.partition("_")[0]
    return f"one of {about['expected']}" if kind == "literal" else _KINDS.get(kind, "another kind")


def _structured(value: Any, hint: Any, name: str) -> Any:
    """The value; read from JSON where it is text and the field holds a table or a list."""
    if not isinstance(value, str) or not any(w in str(hint) for w in ("Mapping[", "tuple[")):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise SettingsError(
            f"the setting {name} is {value!r}, which is not JSON: {error}"
        ) from None

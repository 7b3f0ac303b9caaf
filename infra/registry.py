"""Registered models: versions, the aliases champion and challenger, and who was champion before.

The history of champions is one tag of the registered model, ``trefoil.champions``, the newest
last. Promotion writes it first and moves the alias after; the alias is what counts. Read together
they are right after a crash between the two, and after somebody moved the alias elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from infra import mlflow
from infra.errors import InputError, ProviderError, nearest
from infra.storage import tree, tree_digest

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL = "model"
"""Folder, within what MLflow stores of a version, that is the model directory itself."""
RUN_ID, DIGEST = "trefoil.run_id", "trefoil.model_digest"
LEFT = "trefoil.rolled_back_from"
"""Of a version that was champion until somebody rolled back: only a person promotes it again."""
_HISTORY = "trefoil.champions"
_KEPT = 50


class Version(NamedTuple):
    """A version of a registered model. ``source`` is where MLflow stores it, a path or a URI."""

    name: str
    version: str
    source: str
    run: str
    tags: Mapping[str, str]


class Promotion(NamedTuple):
    """What an alias champion was moved from and to. ``source`` is where MLflow stores it."""

    name: str
    version: str
    previous: str | None
    source: str


class Registry:
    """The registered models at an address. Everything raises TrefoilError."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client: MlflowClient = mlflow.connect(uri)

    def names(self) -> list[str]:
        """Names of the registered models."""
        with mlflow.told(self.uri):
            return sorted(model.name for model in self.client.search_registered_models())

    def champion(self, name: str) -> Version | None:
        """The version that is champion, None where there is none."""
        return self._aliased(name, CHAMPION)

    def challenger(self, name: str) -> Version | None:
        """The newest registered version, None where there is none."""
        return self._aliased(name, CHALLENGER)

    def version(self, name: str, version: str) -> Version:
        """One version. Raises InputError naming those that there are."""
        found = {each.version: each for each in self.versions(name)}
        if version not in found:
            there = ", ".join(sorted(found, key=int)) or "none"
            raise InputError(f"{name} has no version {version}; there is {there}")
        return found[version]

    def versions(self, name: str, where: str = "") -> list[Version]:
        """The versions of a model, newest first. Raises InputError on an unknown name."""
        with mlflow.told(self.uri):
            query = f"name = '{name}'" + (f" and {where}" if where else "")
            found = self.client.search_model_versions(query, max_results=1000)
            if not found and not where and name not in self.names():
                names = self.names()
                hint = nearest(name, names, "there is ") if names else "there is none yet"
                raise InputError(f"there is no registered model {name}; {hint}")
        return sorted(map(_version, found), key=lambda each: -int(each.version))

    def made(self, version: Version) -> float:
        """When a version was registered, in seconds since the epoch."""
        with mlflow.told(self.uri):
            found = self.client.get_model_version(version.name, version.version)
            return float(found.creation_timestamp) / 1000

    def register(
        self, name: str, source: str, run: str, tags: Mapping[str, str], description: str
    ) -> Version:
        """A new version, with the alias challenger."""
        with mlflow.told(self.uri):
            made = self.client.create_model_version(
                name, source, run, dict(tags), description=description
            )
        return _version(made)

    def registered(self, name: str, digest: str) -> Version | None:
        """The version that a model of this content has already, if any."""
        found = self.versions(name, f"tags.`{DIGEST}` = '{digest}'")
        return found[-1] if found else None

    def ensure(self, name: str) -> None:
        """See that there is a registered model of that name. Raises InputError on a bad name."""
        from mlflow.exceptions import MlflowException

        with mlflow.told(self.uri):
            try:
                self.client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code == "INVALID_PARAMETER_VALUE":
                    raise InputError(f"{name!r} cannot name a model: {error.message}") from None
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise

    def challenge(self, version: Version) -> None:
        """Give a version the alias challenger, unless a newer one has it."""
        now = self.challenger(version.name)
        if now is None or int(now.version) < int(version.version):
            with mlflow.told(self.uri):
                self.client.set_registered_model_alias(version.name, CHALLENGER, version.version)

    def promote(self, version: Version) -> Promotion:
        """Make a version champion and remember who was. Safe to repeat."""
        if LEFT in version.tags:
            with mlflow.told(self.uri):
                self.client.delete_model_version_tag(version.name, version.version, LEFT)
        history = self._champions(version.name)
        if history[-1:] != [version.version]:
            history.append(version.version)
            self._crown(version, history)
        return _promotion(version, history)

    def roll_back(self, name: str) -> Promotion:
        """Make the champion before the present one champion again.

        Versions deleted since are passed over. Raises InputError where there was none.
        """
        there = {each.version: each for each in self.versions(name)}
        history = self._champions(name)
        if not history:
            raise InputError(f"{name} has no champion to roll back from")
        left = history.pop()
        while history and history[-1] not in there:
            history.pop()
        if not history:
            raise InputError(f"version {left} is the first champion of {name}: none was before it")
        version = there[history[-1]]
        if left in there:
            with mlflow.told(self.uri):
                self.client.set_model_version_tag(name, left, LEFT, "true")
        self._crown(version, history)
        return _promotion(version, history)._replace(previous=left)

    def download(self, version: Version, directory: Path) -> None:
        """Put a version's model directory at ``directory``, verified.

        Raises InputError where it holds no model of ours, ProviderError where it was altered.
        """
        import shutil
        import tempfile

        here = _local(version.source)
        directory.parent.mkdir(parents=True, exist_ok=True)
        if here is not None:
            if not (here / MODEL).is_dir():
                raise _not_ours(version)
            shutil.copytree(here / MODEL, directory)
        else:
            with mlflow.told(self.uri), tempfile.TemporaryDirectory(dir=directory.parent) as place:
                from mlflow.artifacts import download_artifacts

                download_artifacts(
                    artifact_uri=version.source, dst_path=place, tracking_uri=self.uri
                )
                found = next(iter(sorted(Path(place).glob(f"**/{MODEL}/serving.json"))), None)
                if found is None:
                    raise _not_ours(version)
                found.parent.rename(directory)
        expected = version.tags.get(DIGEST)
        if expected and tree_digest(tree(directory)) != expected:
            raise ProviderError(
                f"version {version.version} of {version.name} is not what was registered: its files"
                f" at {version.source} were altered; promote another version"
            )

    def _aliased(self, name: str, alias: str) -> Version | None:
        from mlflow.exceptions import MlflowException

        with mlflow.told(self.uri):
            try:
                return _version(self.client.get_model_version_by_alias(name, alias))
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def _champions(self, name: str) -> list[str]:
        """The champions there were, the present one last."""
        with mlflow.told(self.uri):
            text = self.client.get_registered_model(name).tags.get(_HISTORY, "")
        history = [each for each in text.split(",") if each]
        champion = self.champion(name)
        if champion is None:
            return []
        if champion.version not in history:
            return [*history, champion.version]
        last = len(history) - history[::-1].index(champion.version)
        return history[:last]

    def _crown(self, version: Version, history: list[str]) -> None:
        with mlflow.told(self.uri):
            told = ",".join(history[-_KEPT:])
            self.client.set_registered_model_tag(version.name, _HISTORY, told)
            self.client.set_registered_model_alias(version.name, CHAMPION, version.version)


def _version(found: Any) -> Version:
    return Version(
        found.name, str(found.version), found.source, found.run_id or "", dict(found.tags)
    )


def _promotion(version: Version, history: list[str]) -> Promotion:
    previous = history[-2] if len(history) > 1 else None
    return Promotion(version.name, version.version, previous, version.source)


def _local(source: str) -> Path | None:
    """The path of a source on this machine, None for any other."""
    parts = urlsplit(source)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def _not_ours(version: Version) -> InputError:
    return InputError(
        f"version {version.version} of {version.name} was not registered by Trefoil: there is no "
        f"folder {MODEL} in {version.source}"
    )

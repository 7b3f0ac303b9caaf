"""Which image is run for a name in a pipeline, where a place pulls it from a registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from infra.errors import InputError
from infra.images import revision
from infra.images.catalogue import CONTENTS, IMAGES, ROOT
from infra.images.record import Built


class Settings(Protocol):
    """What the settings of such a place say of images."""

    @property
    def registry(self) -> str:
        """Before the name of an image of ours."""

    @property
    def image_tag(self) -> str:
        """Behind it; empty: the tag of this code."""

    @property
    def images(self) -> Mapping[str, str]:
        """What to run instead of a name."""


def run_as(named: Iterable[str], settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    """What to run for each image, and of those that are made of this code which commit it is.

    Where one is ours, for all of ours: deploy starts more. Asks git unless ``image_tag`` is set.
    Raises InputError where git cannot tell.
    """
    names = dict.fromkeys(named)
    if not names.keys().isdisjoint(IMAGES):
        names |= dict.fromkeys(IMAGES)
    found = {name: settings.images.get(name, name) for name in names}
    ours = [name for name in names if name in IMAGES and name not in settings.images]
    if not ours:
        return found, {}
    tag, commit = (settings.image_tag, "") if settings.image_tag else _this_code()
    front = f"{settings.registry.rstrip('/')}/" if settings.registry else ""
    found |= {name: f"{front}{name}:{tag}" for name in ours}
    return found, dict.fromkeys(ours, commit) if commit else {}


def require_this_code(built: Built) -> None:
    """See that an image was made of this code. Raises InputError; says nothing without git."""
    try:
        tag = revision.of(ROOT, CONTENTS).tag
    except InputError:
        return
    if built.tag.removesuffix("-cuda") != tag:
        raise InputError(
            f"the image {built.reference} is not of this code, which is {tag}, and its steps "
            "would be recorded as if it were; build it again: python -m pipelines image build"
        )


def _this_code() -> tuple[str, str]:
    """The tag of images made of it, and its commit, with + behind it where files differ."""
    try:
        tag, text = revision.of(ROOT, CONTENTS)
    except InputError as error:
        raise InputError(f"{error}; or set TREFOIL_IMAGE_TAG") from None
    return tag, text.removesuffix("dirty")

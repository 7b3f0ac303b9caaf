"""``python -m pipelines image build|push|digest``: the container images that steps run in."""

from __future__ import annotations

import argparse
from pathlib import Path

from infra.errors import InputError
from infra.images import catalogue, record
from infra.images.record import Built
from infra.plan import Json
from infra.storage import write_whole
from pipelines import cli
from pipelines.flags import add_settings
from pipelines.where import where


def configure(parser: argparse.ArgumentParser) -> None:
    """The actions of ``image`` and their flags."""
    actions = parser.add_subparsers(dest="action", metavar="build|push|digest", required=True)
    build = actions.add_parser("build", help="build images, and list their packages beside them")
    add = build.add_argument
    add("--base-image", default=catalogue.BASE, metavar="IMAGE", help="what to build on")
    add("--cuda", action="store_true", help="torch for CUDA instead of for CPU")
    add("--ca", type=Path, metavar="FILE", help="certificates of a proxy that reads TLS")
    add("--docker-flag", action="append", default=[], metavar="FLAG",
        help="for docker build itself, as --docker-flag=--no-cache")  # fmt: skip
    push = actions.add_parser("push", help="push images to a registry")
    push.add_argument("--registry", metavar="HOST/PATH", help="where to")
    digest = actions.add_parser("digest", help="print what to run each image by")
    for action in (build, push, digest):
        names = f"{', '.join(catalogue.IMAGES)} (default: all)"
        action.add_argument("names", nargs="*", metavar="NAME", help=names)
        action.set_defaults(provider="local")
        add_settings(action)
        action.add_argument("--json", action="store_true", help="one JSON document on stdout")


def image(arguments: argparse.Namespace) -> int:
    """Build, push or name the images. Raises TrefoilError."""
    workspace = where(arguments).workspace
    images = catalogue.chosen(arguments.names)
    if arguments.action == "build":
        found = [_build(workspace, each, arguments) for each in images]
    elif arguments.action == "push":
        found = _push(workspace, [_built(workspace, each.name) for each in images], arguments)
    else:
        found = [_built(workspace, each.name) for each in images]
    if arguments.json:
        document: Json = [each._asdict() for each in found]
        cli.answer(document)
        return cli.DONE
    for each in found:
        cli.tell(f"{each.reference}  {each.digest or each.id}")
    return cli.DONE


def _build(workspace: Path, image: catalogue.Image, arguments: argparse.Namespace) -> Built:
    from infra.images import build

    options = build.Options(
        arguments.base_image, arguments.cuda, arguments.ca, tuple(arguments.docker_flag)
    )
    built = build.build(image, options, cli.say)
    packages = build.packages(built)
    record.remember(workspace, built)
    write_whole(workspace / f"{built.name}.cdx.json", packages + "\n")
    return built


def _push(workspace: Path, found: list[Built], arguments: argparse.Namespace) -> list[Built]:
    from infra.images import push

    if not arguments.registry:
        raise InputError("a registry is needed, such as --registry ghcr.io/somebody")
    pushed = []
    for built in found:
        pushed.append(push.push(built, arguments.registry, cli.say))
        record.remember(workspace, pushed[-1])
    return pushed


def _built(workspace: Path, name: str) -> Built:
    found = record.find(workspace, name)
    if found is None:
        raise InputError(
            f"{name} has not been built in {workspace}: python -m pipelines image build {name}"
        )
    return found

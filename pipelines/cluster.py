"""``python -m pipelines cluster``: Kubeflow Pipelines and MLflow in a kind cluster, up and down."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from infra.errors import InputError
from infra.kind import cluster as kind
from infra.kind.cluster.checks import Check
from infra.plan import Json
from pipelines import cli
from pipelines.flags import add_settings
from pipelines.where import where

if TYPE_CHECKING:
    from infra.kind.cluster.status import Status

_WIDTH = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Flags of ``cluster``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, act, words in (
        ("up", up, "make the cluster, or bring it to what it should be"),
        ("status", status, "say how the cluster is"),
        ("down", down, "delete the cluster and all that only it has"),
    ):
        sub = actions.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        sub.set_defaults(act=act, provider="kind")
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
        if act is up:
            _configure_up(sub)
        if act is down:
            sub.add_argument("--yes", action="store_true", help="do not ask")


def _configure_up(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", metavar="FOLDER", help="becomes the claim trefoil-data (default: data)")
    add("--postgres", action="store_true", help="keep MLflow's runs in Postgres, not in SQLite")
    add("--gpu", action="store_true", help="give the node this machine's NVIDIA GPUs")
    add("--ui-port", type=int, metavar="PORT", help=f"default: {kind.UI_PORT}")
    add("--mlflow-port", type=int, metavar="PORT", help=f"default: {kind.MLFLOW_PORT}")
    add("--mlflow-image", default="", metavar="IMAGE", help="instead of MLflow's own")
    add("--manifests", default="", metavar="FOLDER",
        help="a copy of upstream's manifests/kustomize, instead of fetching it")  # fmt: skip
    add("--timeout", type=float, default=15.0, metavar="MINUTES", help="default: 15")
    add_settings(parser)


def cluster(arguments: argparse.Namespace) -> int:
    """Do what was asked. Raises TrefoilError."""
    code: int = arguments.act(arguments)
    return code


def up(arguments: argparse.Namespace) -> int:
    """Bring the cluster up; say what changed, and where it answers."""
    from infra.kind.cluster import up as making

    options = kind.Options(
        data=arguments.data,
        ui_port=arguments.ui_port,
        mlflow_port=arguments.mlflow_port,
        postgres=arguments.postgres,
        gpu=arguments.gpu,
        mlflow_image=arguments.mlflow_image,
        manifests=arguments.manifests,
        minutes=arguments.timeout,
    )
    made = making.up(options, where(arguments).workspace, cli.say, _tell)
    if arguments.json:
        cli.answer(
            {
                "ui": made.node.ui,
                "mlflow": made.node.mlflow,
                "changes": list(made.changes),
                "images": [image.reference for image in made.images],
            }
        )
        return cli.DONE
    print(f"the cluster is up: {len(made.changes) or 'nothing'} changed")
    print(f"  Kubeflow Pipelines  {made.node.ui}")
    print(f"  MLflow              {made.node.mlflow}")
    if not made.images:
        print("  no images are built yet: python -m pipelines image build, then cluster up again")
    return cli.DONE


def status(arguments: argparse.Namespace) -> int:
    """Say how the cluster is; 0 if a run can be sent, else 1."""
    from infra.kind.cluster import status as looking

    found = looking.status()
    if found is None:
        if arguments.json:
            cli.answer({"cluster": None})
        else:
            print("there is no cluster; python -m pipelines cluster up makes one")
        return cli.FAILED
    if arguments.json:
        cli.answer(_document(found))
    else:
        _print(found)
    return cli.DONE if found.ready else cli.FAILED


def down(arguments: argparse.Namespace) -> int:
    """Delete the cluster, once the person agrees; 0 also where there is none."""
    from infra.kind.cluster import down as ending

    there = ending.there()
    if there and not arguments.yes:
        _ask(f"down deletes {'; '.join(ending.LOST)}. What stays: {ending.KEPT}")
    if there:
        ending.down(cli.say)
    if arguments.json:
        cli.answer({"deleted": there})
    else:
        print("the cluster is deleted" if there else "there is no cluster")
    return cli.DONE


def _ask(lost: str) -> None:
    if not sys.stdin.isatty():
        raise InputError(f"{lost}. Give --yes to agree")
    cli.say(f"{lost}.")
    if input("Delete the cluster? [y/N] ").strip().lower() not in ("y", "yes"):
        raise InputError("nothing was deleted")


def _tell(check: Check) -> None:
    mark = "✓" if check.well else "✗" if check.needed else "–"
    cli.say(f"{mark} {check.name:<{_WIDTH}} {check.words}")


def _document(found: Status) -> Json:
    deployments: list[Json] = [each._asdict() for each in found.deployments]
    return {
        "cluster": kind.NAME,
        "ready": found.ready,
        "running": found.node.running,
        "ui": found.node.ui,
        "mlflow": found.node.mlflow,
        "kubernetes": found.kubernetes,
        "pipelines": found.pipelines,
        "deployments": deployments,
        "images": list(found.images),
    }


def _print(found: Status) -> None:
    if not found.node.running:
        print(f"the node {kind.NODE} is stopped; python -m pipelines cluster up starts it")
        return
    print(f"Kubernetes {found.kubernetes}, Kubeflow Pipelines {found.pipelines or 'not there'}")
    for each in found.deployments:
        mark, words = ("✓", each.image) if each.ready else ("✗", each.words)
        print(f"  {mark} {each.name:<28} {words}")
    print(f"page and API  {found.node.ui}")
    print(f"MLflow        {found.node.mlflow}, for steps {kind.MLFLOW_URI}")
    print(f"our images    {', '.join(found.images) or 'none is loaded'}")

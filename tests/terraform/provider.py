"""A provider of Terraform that knows its schema and does nothing.

It lets the real terraform check each resource, attribute, block and type, where the provider's own
program cannot be had. ``terraform test`` mocks what would be made. A provider's own rules (enums,
patterns, what excludes what) are not in its schema, so nobody holds those here.

Terraform attaches to it as to a provider that is being debugged: nothing is installed or locked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc  # type: ignore[import-untyped]

SCHEMAS = Path(__file__).parent / "schemas"
_PROTO = "tests/terraform/plugin.proto"
_QUIET = ("ValidateResourceTypeConfig", "ValidateDataSourceConfig", "Configure", "Stop")
"""An answer without a word: nothing is wrong."""


@contextmanager
def serving(names: Iterable[str]) -> Iterator[str]:
    """Serve the schemas of these providers; yields what TF_REATTACH_PROVIDERS must be."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory()))  # a socket's path must be short
        yield json.dumps({
            f"registry.terraform.io/hashicorp/{name}": {
                "Protocol": "grpc",
                "ProtocolVersion": 5,
                "Pid": os.getpid(),
                "Test": True,  # whoever attaches does not end this process
                "Addr": {"Network": "unix", "String": stack.enter_context(_served(name, place))},
            }
            for name in names
        })  # fmt: skip


@contextmanager
def _served(name: str, place: Path) -> Iterator[str]:
    content = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    schema = answer(content).SerializeToString()
    methods: dict[str, Callable[[bytes, object], bytes]] = {
        "GetSchema": lambda request, context: schema,
        # the answer has the configuration under the number that the request has it under
        "PrepareProviderConfig": lambda request, context: request,
        **dict.fromkeys(_QUIET, lambda request, context: b""),
    }
    handlers = {each: grpc.unary_unary_rpc_method_handler(of) for each, of in methods.items()}
    server = grpc.server(ThreadPoolExecutor(4))
    handler = grpc.method_handlers_generic_handler("tfplugin5.Provider", handlers)
    server.add_generic_rpc_handlers((handler,))
    address = str(place / f"{name}.sock")
    server.add_insecure_port(f"unix:{address}")
    server.start()
    try:
        yield address
    finally:
        server.stop(0)


def answer(content: dict[str, Any]) -> Any:
    """A provider's schema as the protocol's own message."""
    messages = grpc.protos(_PROTO)

    def schema(of: dict[str, Any]) -> Any:
        return messages.Schema(block=block(of["block"]))

    def block(of: dict[str, Any]) -> Any:
        return messages.Schema.Block(
            attributes=[
                messages.Schema.Attribute(
                    **{**each, "name": name, "type": json.dumps(each["type"]).encode()}
                )
                for name, each in of["attributes"].items()
            ],
            block_types=[
                messages.Schema.NestedBlock(
                    type_name=name,
                    block=block(each["block"]),
                    nesting=each["nesting_mode"].upper(),
                    min_items=each.get("min_items", 0),
                    max_items=each.get("max_items", 0),
                )
                for name, each in of["block_types"].items()
            ],
        )

    return messages.GetProviderSchema.Response(
        provider=schema(content["provider"]),
        **{
            kind: {name: schema(each) for name, each in content[kind].items()}
            for kind in ("resource_schemas", "data_source_schemas")
        },
    )

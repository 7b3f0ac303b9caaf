"""The nouns: what a pipeline is once it has been read, wherever it will run.

Everything here is frozen data: named tuples, since making thirty dataclasses would take a third of
the time of a cached run. ``infra.ir`` makes a Plan from KFP IR, a provider lowers it to a Request,
and the rest of the words describe a run as it goes.
"""

from infra.plan.data import Json, as_text, canonical, to_data
from infra.plan.running import DONE, FINAL, Event, LogLine, RunRef, State, Status
from infra.plan.sources import (
    All,
    Argument,
    Collected,
    Compare,
    Condition,
    Constant,
    FinalStatus,
    FirstOf,
    Imported,
    Kind,
    Not,
    Output,
    Parameter,
    Secret,
    Source,
    Template,
    Token,
    operands,
    outputs_of,
)
from infra.plan.steps import SCHEMA, Plan, Request, Resources, Retry, Step, imports_of

__all__ = [
    "DONE", "FINAL", "SCHEMA", "All", "Argument", "Collected", "Compare", "Condition",
    "Constant", "Event", "FinalStatus", "FirstOf", "Imported", "Json", "Kind", "LogLine", "Not",
    "Output", "Parameter", "Plan", "Request", "Resources", "Retry", "RunRef", "Secret",
    "Source", "State", "Status", "Step", "Template", "Token", "as_text", "canonical",
    "imports_of", "operands", "outputs_of", "to_data",
]  # fmt: skip

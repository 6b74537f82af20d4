"""The client, broken on purpose: one change of src/core per line of the design, which the simulation has to notice.

`find` is found exactly once in its file; `replacement` takes its place where the mutation is active. Both are
expressions, or with `statement=True` one or more statements. docs/simulation.md tells what each one breaks.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    name: str  # what the broken client does
    policy: str  # of the design
    file: str  # in src/core
    find: str
    replacement: str
    statement: bool = False


MUTATIONS = [
    Mutation("a completion is dropped", "one exit", "session.cpp",
             "deliveries_.emplace_back(Completion{std::move(op->callback), std::move(outcome), op->request.bytes});",
             "if (random_.below(20) != 0) deliveries_.emplace_back(Completion{std::move(op->callback), std::move(outcome), op->request.bytes});",
             statement=True),
]

#!/usr/bin/env python3
"""Copies src/core with every mutation of mutations.py behind a switch, so that one program can run them all.

usage: mutate.py SOURCE OUTPUT          SOURCE is src/core, OUTPUT gets a copy of each of its files and mutations.inc
       mutate.py --list SOURCE          the names of those files
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from mutations import MUTATIONS  # noqa: E402

ACTIVE = "::norikv::simulation::active_mutation"


def switched(mutation, number):
    if mutation.statement:
        return f"{{ if ({ACTIVE} == {number}) {{ {mutation.replacement} }} else {{ {mutation.find} }} }}"
    return f"({ACTIVE} == {number} ? ({mutation.replacement}) : ({mutation.find}))"


def complaint(mutation, sources):
    """Why a mutation can't be made of these sources; None if it can."""
    if mutation.file not in sources:
        return f"there is no src/core/{mutation.file}"
    found = sources[mutation.file].count(mutation.find)
    return None if found == 1 else f"its text is found {found} times in src/core/{mutation.file}"


def mutated(sources):
    """The sources with all mutations that can be made of them, and what is wrong with the others, by number from 1."""
    complaints = [complaint(mutation, sources) for mutation in MUTATIONS]
    result = dict(sources)
    for number, mutation in enumerate(MUTATIONS, 1):
        if complaints[number - 1] is None:
            text = result[mutation.file]
            if text.count(mutation.find) != 1:
                complaints[number - 1] = "its text overlaps that of another mutation"
                continue
            result[mutation.file] = text.replace(mutation.find, switched(mutation, number))
    return result, complaints


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def read_sources(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir()) if path.suffix in (".cpp", ".hpp")}


def main():
    if sys.argv[1] == "--list":
        print("\n".join(read_sources(Path(sys.argv[2]))))
        return
    source, output = Path(sys.argv[1]), Path(sys.argv[2])
    files, complaints = mutated(read_sources(source))
    for name, text in files.items():
        head = "namespace norikv::simulation { extern int active_mutation; }\n"
        # Errors and traces name the place in the original; a header's guard stays its first line.
        copy = f'{head}#line 1 "src/core/{name}"\n{text}' if name.endswith(".cpp") else f'#pragma once\n{head}#line 1 "src/core/{name}"\n{text}'
        path = output / name
        if not path.exists() or path.read_text(encoding="utf-8") != copy:
            path.write_text(copy, encoding="utf-8")
    rows = [f"{{{quoted(m.name)}, {quoted(m.policy)}, {quoted(m.file)}, {quoted(c or '')}}}," for m, c in zip(MUTATIONS, complaints)]
    (output / "mutations.inc").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

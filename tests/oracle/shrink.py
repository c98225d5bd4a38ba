#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""shrink.py - cuts a failure of test_oracle down to what it takes to show it, prints that and keeps it as a file.

    shrink.py FAILURE FOLDER

FAILURE has the lines of cases.py that led there, the question last. Each attempt is told test_oracle.c on standard
output as another world with one question; on standard input come "right REASON", "wrong REASON" or "invalid". A smaller
world still shows the failure if it goes wrong between the same two reasons.
"""

import copy
import json
import pathlib
import sys
import time

from case import Case, wanted

SECONDS = 40  # then it is small enough


class Shrinker:
    def __init__(self, case):
        self.case = case
        self.until = time.monotonic() + SECONDS
        self.attempts = 0
        self.between = None  # reasons: wanted, found
        self.between = self.attempt(case)

    def attempt(self, case):
        """(reason that is wanted, that is found) if it goes wrong, else None."""
        self.attempts += 1
        try:
            case.want = wanted(case.answer())
        except (KeyError, TypeError, AttributeError, ValueError, IndexError):
            return None  # no document that oracle.py can read any more
        for line in [*case.lines("shrunk"), {"ask": case.ask, "want": case.want}]:
            print(json.dumps(line, separators=(",", ":")))
        sys.stdout.flush()
        said = sys.stdin.readline().split()
        if not said:
            raise EOFError
        return (case.want["reason"], said[1]) if said[0] == "wrong" else None

    def is_over(self):
        return time.monotonic() > self.until

    def take(self, **parts):
        """The smaller case instead, if it shows the failure too."""
        case = Case(**{**vars(self.case), **copy.deepcopy(parts)})
        if self.is_over() or self.attempt(case) != self.between:
            return False
        self.case = case
        return True

    # ---- what happened ---------------------------------------------------------------------------------------------------

    def at_once(self):
        """Does it take more than what there is in the end?"""
        steps = [{"load": name, "object": item} for name, item in sorted(self.case.sources().items())]
        self.take(steps=[{"time": self.case.now()}, *steps])

    def fewer_steps(self):
        size = len(self.case.steps) // 2
        while size:
            at = 0
            while at < len(self.case.steps):
                steps = self.case.steps
                if not self.take(steps=drops_of_something(steps[:at] + steps[at + size :])):
                    at += size
            size //= 2

    def fewer_pods(self):
        for item in list(self.case.world["endpoints"]):
            if item["pod"] != self.case.ask["pod"]:
                self.take(world={**self.case.world, "endpoints": [e for e in self.case.world["endpoints"] if e != item]})
        self.take(world={**self.case.world, "node_addresses": []})

    # ---- what documents say ------------------------------------------------------------------------------------------------

    def less_said(self):
        """True: something could go."""
        before = self.size()
        for number, step in enumerate(self.case.steps):
            if "load" in step:
                self.prune(number, [])
        return self.size() < before

    def size(self):
        return len(json.dumps(vars(self.case)))

    @staticmethod
    def at(steps, number, path):
        node = steps[number]["object"]
        for key in path:
            node = node[key]
        return node

    def prune(self, number, path):
        node = self.at(self.case.steps, number, path)
        if not isinstance(node, (dict, list)):
            return
        for key in reversed(range(len(node))) if isinstance(node, list) else sorted(node):
            if not path and key in ("apiVersion", "kind"):
                continue
            if path == ["metadata"] and (key != "labels" or is_known_by_labels(self.case.steps[number]["object"])):
                continue  # who it is, and whether it is read at all, is not in question
            steps = copy.deepcopy(self.case.steps)
            del self.at(steps, number, path)[key]
            if not self.take(steps=steps):
                self.prune(number, [*path, key])

    def run(self):
        self.at_once()
        self.fewer_steps()
        self.fewer_pods()
        while self.less_said() and not self.is_over():
            pass
        self.fewer_steps()


def is_known_by_labels(item):
    return item["kind"] in ("ConfigMap", "EndpointSlice")


def drops_of_something(steps):
    """Without those of sources that are not there."""
    there, kept = set(), []
    for step in steps:
        if "load" in step:
            there.add(step["load"])
        if "drop" in step and step["drop"] not in there:
            continue
        there.discard(step.get("drop"))
        kept.append(step)
    return kept


def tell(text):
    print("\n".join(f"# {line}" for line in text.splitlines()), file=sys.stderr)


def keep(shrinker, folder):
    folder.mkdir(parents=True, exist_ok=True)
    name = "-".join(filter(None, shrinker.between))
    number = 1
    while (folder / f"{name}-{number}.json").exists():
        number += 1
    shrinker.case.save(folder / f"{name}-{number}.json")
    tell(f"kept as {folder / name}-{number}.json: fix it, and commit the file with the fix")


def main():
    failure, folder = sys.argv[1:]
    lines = [json.loads(line) for line in pathlib.Path(failure).read_text(encoding="utf-8").splitlines()]
    shrinker = Shrinker(Case.of_lines(lines))
    if not shrinker.between:
        tell("told again, it does not fail: it depends on the worlds before this one")
        return
    try:
        shrinker.run()
    except EOFError:
        tell("test_oracle has given up; so far:")
    case = shrinker.case
    case.want = wanted(case.answer())
    tell(f"shrunk from {len(lines) - 2} steps to {len(case.steps)}, in {shrinker.attempts} attempts:")
    tell("\n".join(json.dumps(step) for step in case.steps))
    tell(f"ask {json.dumps(case.ask)}\nwant {json.dumps(case.want)}; it is {shrinker.between[1]}")
    try:
        keep(shrinker, pathlib.Path(folder))
    except OSError as error:
        tell(f"not kept: {error}")


if __name__ == "__main__":
    main()

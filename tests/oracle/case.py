# SPDX-License-Identifier: Apache-2.0
"""case.py - a world of its own and one question about it: as lines for test_oracle.c, and as a file for people to read.

Knows neither where it comes from nor what is right about it: that is oracle.py's.
"""

import ipaddress
import json
from dataclasses import dataclass, field

from oracle import Question, World, evaluate


def as_json(question):
    return {
        "namespace": question.pod[0],
        "pod": question.pod[1],
        "direction": question.direction,
        "peer": str(question.peer),
        "plane": question.plane,
        "port": question.port,
        "source_port": question.source_port,
    }


def wanted(answer):
    found = {"action": answer.action, "reason": answer.reason, "rule": answer.rule}
    if answer.would:
        found["would"] = {"action": answer.would.action, "reason": answer.would.reason, "rule": answer.would.rule}
    else:
        log, sample = answer.log if answer.log[0] else answer.own_log
        if sample < 2 or answer.action != "allow":  # else nobody can tell whether this one is chosen
            found["log"] = log
    return found


def question_of(ask):
    key = (ask["namespace"], ask["pod"])
    return Question(key, ask["direction"], ipaddress.ip_address(ask["peer"]), ask["plane"], ask["port"], ask["source_port"])


def opened(item):
    """An object whose documents are trees, not texts."""
    if item["kind"] == "ConfigMap":
        return {**item, "data": {key: json.loads(text) for key, text in item["data"].items()}}
    return item


def closed(item):
    if item["kind"] == "ConfigMap":
        return {**item, "data": {key: json.dumps(doc) for key, doc in item["data"].items()}}
    return item


@dataclass
class Case:
    world: dict  # the line that begins it, without its name
    steps: list  # {"load": SOURCE, "object": {...}}, {"drop": SOURCE}, {"time": SECONDS}, {"judge": true}
    ask: dict
    want: dict = field(default_factory=dict)

    @classmethod
    def of_lines(cls, lines):
        """As test_oracle.c was told them: a world, what happened in it, a question."""
        world, *steps, last = lines
        world = {key: value for key, value in world.items() if key != "world"}
        return cls(world, [cls.step_of(line) for line in steps], last["ask"], last["want"])

    @staticmethod
    def step_of(line):
        if "load" not in line:
            return line
        return {"load": line["load"], "object": opened(json.loads(line["text"]))}

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as file:
            return cls(**json.load(file))

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(vars(self), file, indent=1)
            file.write("\n")

    def lines(self, name):
        """All but the question."""
        yield {"world": name, **self.world}
        for step in self.steps:
            yield {"load": step["load"], "text": json.dumps(closed(step["object"]))} if "load" in step else step

    def sources(self):
        """{name: object} in the end."""
        found = {}
        for step in self.steps:
            if "load" in step:
                found[step["load"]] = step["object"]
            elif "drop" in step:
                found.pop(step["drop"], None)
        return found

    def now(self):
        return next((s["time"] for s in reversed(self.steps) if "time" in s), 0)

    def answer(self):
        local = {(e["namespace"], e["pod"]): [ipaddress.ip_address(a) for a in e["addresses"]] for e in self.world["endpoints"]}
        node = [ipaddress.ip_address(a) for a in self.world["node_addresses"]]
        world = World([closed(item) for item in self.sources().values()], local, node, self.now())
        return evaluate(world, question_of(self.ask))

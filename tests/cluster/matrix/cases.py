# SPDX-License-Identifier: Apache-2.0
"""The cases of the matrix. Each applies documents and has every pair of ends checked.

Cases leave nothing behind but what World.clear removes.
"""
from world import network, segmentation

CASES = []


def case(title):
    def add(function):
        CASES.append((function.__name__, title, function))
        return function
    return add


def pods(**labels):
    return {"podSelector": {"matchLabels": labels}}


def spaces(**labels):
    return {"namespaceSelector": {"matchLabels": labels}}


def pod(*names):
    return {"matchExpressions": [{"key": "pod", "operator": "In", "values": list(names)}]}


X, Y, Z = "matrix-x", "matrix-y", "matrix-z"
BOTH = ["Ingress", "Egress"]


@case("no policy: everybody reaches everybody")
def nothing(world):
    world.check()


@case("default deny in, of one namespace")
def deny_in(world):
    world.apply(network(X, "deny", policyTypes=["Ingress"]))
    world.check()


@case("default deny out, of one namespace")
def deny_out(world):
    world.apply(network(X, "deny", policyTypes=["Egress"]))
    world.check()


@case("default deny both ways, of all namespaces; nodes reach their own pods")
def deny_both(world):
    world.apply(*[network(n, "deny", policyTypes=BOTH) for n in (X, Y, Z)])
    world.check()

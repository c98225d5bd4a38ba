# SPDX-License-Identifier: Apache-2.0
"""
schema_cases.py - documents with random mistakes, judged by docs/schema and by `bermctl lint`: both accept or both refuse.
Knows no kind: good documents come from tests/unit/schema/, what to put into them from the schemas and from each other.

usage: schema_cases.py BERMCTL [KIND...]     SEED=, COUNT= (of each kind)
"""
import copy
import importlib.machinery
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

TOP = Path(__file__).resolve().parents[2]
PER_FILE = 100  # a file's problems are cut at 2,000

# Values for any place, and names that other versions know: once the C reader takes one of these, the schema must too.
ODD = [None, True, False, 0, 1, -1, 255, 256, 1000, 1001, 65535, 65536, 80, 80.0, 1.5, 10**12, "", "a", "A", "-a", "a-", "a.b",
       "a..b", "a_b", "a/b", "a/b/c", "/a", "1", "80", "a\n", "é", "x" * 15, "x" * 16, "x" * 63, "x" * 64, "x" * 100, "x" * 101,
       "é" * 100, "é" * 101, "x" * 253, "x" * 254, "berm-system", "shop", "Ingress", "Egress", "ICMP", "any", [], {}, [None],
       [{}], ["a"], {"a": None}, {"a": "b"}, "10.0.0.0/8", "10.0.0.1/8", "10.0.0.0", "fd00::/8", "::/0", "1.2.3/8",
       "::ffff:10.0.0.0/104", "010.0.0.0/8", "10.0.0.0/33", "10.0.0.0/08", "10.1.2.3", "010.1.2.3", "fd00::1", "::ffff:10.1.2.3", "shop/api", "shop/",
       "2099-02-30T00:00:00Z", "08:00", "24:00", "24:01", "8:00", "00:00", "+01:00", "-14:59", "+15:00", "UTC", "Z", "Mon", "mon", "Mon-Fri", "Sun-Mon", "Mon-", [{}], [{"from": "00:00"}], "2099-01-31", "2099-01-31T00:00:00", "2099-01-31T24:00:00Z", "1969-12-31T23:59:60Z", ["Ingress", "Ingress"], ["Egress", "Ingress"]]
LATER = {
    "mode": ["audit", "disabled", "learn"], "scope": ["any"], "fqdns": [["a.example"]], "schedule": [{"from": "2026-01-01T00:00:00Z"}, [{"days": ["Mon-Fri"], "from": "08:00"}], [{"timeZone": "Europe/Berlin"}]],
    "feedback": [0, 1, 3600, 3601], "timeoutTCP": [600], "spec": [{}], "zebra": [1], "nodes": [{}], "domainNames": [["a.example"]],
}


def load_table():
    loader = importlib.machinery.SourceFileLoader("berm_schema", str(TOP / "hack" / "schema"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


# ---- mistakes --------------------------------------------------------------------------------------------------------


def walk(node, parent=None, key=None):
    yield node, parent, key
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in list(items):
        yield from walk(child, node, name)


class Pool:
    """Which fields there are, and which values they were seen with."""

    def __init__(self, documents, schemas):
        self.seen = {name: list(values) for name, values in LATER.items()}
        for document in documents:
            for node, parent, key in walk(document):
                if isinstance(parent, dict):
                    self.seen.setdefault(key, []).append(node)
        for schema in schemas:
            for node, parent, key in walk(schema):
                if key == "properties" and isinstance(node, dict):
                    for name in node:
                        self.seen.setdefault(name, [])
                if key in ("enum", "const"):
                    ODD.extend(node if isinstance(node, list) else [node])
        self.names = sorted(self.seen)

    def value(self, rng, name):
        known = self.seen.get(name)
        pick = known if known and rng.random() < 0.6 else ODD
        return copy.deepcopy(rng.choice(pick))


def spoil_text(rng, text):
    edits = [text + "\n", text + "x" * 60, text.upper(), text[:-1], text + "-", "-" + text, text + "/" + text, " " + text,
             text + "." + text]
    return rng.choice(edits)


def spoil_map(rng, node, pool):
    names = [name for name in node if name != "kind"]
    action = rng.randrange(4)
    name = rng.choice(names) if names else rng.choice(pool.names)
    if action == 0:
        node.pop(name, None)
    elif action == 1:
        node[name] = pool.value(rng, name)
    elif action == 2:
        other = rng.choice(pool.names)
        if other != "kind":
            node[other] = pool.value(rng, other)
    elif name in node:
        node[rng.choice([name + "s", name.upper(), rng.choice([n for n in pool.names if n != "kind"])])] = node.pop(name)


def spoil_list(rng, node, pool, name):
    action = rng.randrange(5)
    if action == 0 and node:
        node.pop(rng.randrange(len(node)))
    elif action == 1 and node:
        node.append(copy.deepcopy(rng.choice(node)))
    elif action == 2:
        node.append(copy.deepcopy(rng.choice(ODD)))
    elif action == 3 and node:
        node.extend(copy.deepcopy(node[0]) for _ in range(rng.choice((15, 24, 25, 26))))
    else:
        other = pool.value(rng, name)
        node[:] = other if isinstance(other, list) else [other]


def spoil(rng, document, pool):
    places = list(walk(document))
    node, parent, key = rng.choice(places)
    if key == "kind" and parent is document:
        return
    if isinstance(node, dict):
        spoil_map(rng, node, pool)
    elif isinstance(node, list):
        spoil_list(rng, node, pool, key)
    elif parent is not None and isinstance(node, str) and rng.random() < 0.4:
        parent[key] = spoil_text(rng, node)
    elif parent is not None:
        parent[key] = pool.value(rng, key)


def make_documents(rng, goods, count, pool):
    for number in range(count):
        document = copy.deepcopy(rng.choice(goods))
        holder = document["metadata"] if isinstance(document.get("metadata"), dict) else document
        holder["name"] = f"d{number}"
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            spoil(rng, document, pool)
        yield document


def later_documents(goods):
    """Every field of LATER in every mapping of the good documents, once for each place: chance would find it seldom."""
    places = set()
    for good in goods:
        for path in [path for path, node in paths(good) if isinstance(node, dict)]:
            place = tuple("[]" if isinstance(step, int) else step for step in path)
            if place in places:
                continue
            places.add(place)
            for name, values in LATER.items():
                for value in values:
                    document = copy.deepcopy(good)
                    node = document
                    for step in path:
                        node = node[step]
                    node[name] = copy.deepcopy(value)
                    holder = document["metadata"] if isinstance(document.get("metadata"), dict) else document
                    holder["name"] = f"later{len(places)}-{name.lower()}-{values.index(value)}"
                    yield document


def shorter_documents(goods):
    """Each good document without each of its fields: what must be there is found to be missing."""
    for number, good in enumerate(goods):
        for name in good:
            if name == "kind":
                continue
            document = copy.deepcopy(good)
            holder = document["metadata"] if "metadata" in document else document
            holder["name"] = f"less{number}-{name.lower()}"
            del document[name]
            yield document


def paths(node, path=()):
    yield path, node
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, child in items:
        yield from paths(child, path + (step,))


# ---- judges ----------------------------------------------------------------------------------------------------------


def lint(bermctl, documents):
    """For each document: the set of codes of its errors."""
    codes = [set() for _ in documents]
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(documents), PER_FILE):
            lines = ("---\n" + json.dumps(document, ensure_ascii=False) + "\n" for document in documents[start:start + PER_FILE])
            (Path(folder) / f"{start:06}.yaml").write_text("".join(lines))
        run = subprocess.run([bermctl, "lint", "-o", "json", "-f", folder], stdout=subprocess.PIPE, check=False)
        report = json.loads(run.stdout)
    per_file = {}
    for problem in report["problems"]:
        start = int(Path(problem["file"]).stem)
        per_file[start] = per_file.get(start, 0) + 1
        if problem["severity"] == "error":
            codes[start + problem["line"] // 2 - 1].add(problem["code"])
    assert max(per_file.values(), default=0) < 2000, "a file has more problems than are shown: lower PER_FILE"
    return codes


def disagreements(validator, documents, codes, cannot):
    out = []
    for document, found in zip(documents, codes):
        is_refused = not validator.is_valid(document)
        must_refuse = bool(found - cannot)
        may_refuse = bool(found)
        if (is_refused and not may_refuse) or (not is_refused and must_refuse):
            out.append((document, is_refused, sorted(found)))
    return out


def explain(validator, document, is_refused, found):
    line = json.dumps(document, ensure_ascii=False)
    print(f"#   {line[:1500]}")
    if is_refused:
        error = min(validator.iter_errors(document), key=lambda e: len(e.path))
        print(f"#   the schema alone refuses it: {'/'.join(map(str, error.path))}: {error.message[:300]}")
    else:
        print(f"#   bermctl alone refuses it: {', '.join(found)}")


# ---- the comparison has teeth: schemas with one mistake in them ---------------------------------------------------------


def wrong_schemas(schema):
    def changed(change):
        out = copy.deepcopy(schema)
        change(out)
        return out

    yield "open", changed(lambda s: s.pop("additionalProperties"))
    yield "a required field less", changed(lambda s: s["required"].remove(s["required"][-1]))
    field = next(name for name in schema["properties"] if name in ("priority", "spec", "cidrs", "role", "settings"))
    yield f"without {field}", changed(lambda s: s["properties"].pop(field))


class Tap:
    def __init__(self):
        self.count, self.failed = 0, 0

    def result(self, is_good, what):
        self.count += 1
        self.failed += not is_good
        print(f"{'' if is_good else 'not '}ok {self.count} - {what}", flush=True)


def judge_kind(tap, kind, schema, goods, world):
    documents = goods + list(shorter_documents(goods)) + list(later_documents(goods))
    documents += make_documents(world["rng"], goods, world["count"], world["pool"])
    codes = lint(world["bermctl"], documents)
    validator = Draft202012Validator(schema)
    cannot = world["cannot"]
    tap.result(not any(codes[:len(goods)]) and all(validator.is_valid(good) for good in goods),
               f"{kind}: both accept the {len(goods)} good documents")
    bad = disagreements(validator, documents, codes, cannot)
    for document, is_refused, found in bad[:5]:
        explain(validator, document, is_refused, found)
    print(f"# {kind}: {len(documents)} documents, {sum(map(bool, codes))} refused by bermctl, "
          f"{sum(bool(c) and c <= cannot for c in codes)} for what a schema cannot say, {len(bad)} disagreements")
    tap.result(not bad, f"{kind}: schema and bermctl agree on every document")
    share = sum(map(bool, codes)) / len(documents)
    tap.result(0.2 < share < 0.95, f"{kind}: some are good, some are not")
    for name, wrong in wrong_schemas(schema):
        tap.result(disagreements(Draft202012Validator(wrong), documents[:400], codes, cannot),
                   f"{kind}: a wrong schema is found out: {name}")


def good_documents(kind):
    for path in sorted((TOP / "tests" / "unit" / "schema").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] == kind:
                yield document


def main():
    table = load_table()
    seed = os.environ.get("SEED") or str(random.SystemRandom().randrange(2**32))
    count = int(os.environ.get("COUNT") or (20000 if os.environ.get("BERM_LONG") else 450))
    goods = {kind: list(good_documents(kind)) for kind in table.KINDS}
    world = {
        "bermctl": sys.argv[1], "rng": random.Random(seed), "count": count, "cannot": set(table.CANNOT) | {"more"},  # more: what is not shown may be of the same kind
        "pool": Pool([d for documents in goods.values() for d in documents], table.KINDS.values()),
    }
    kinds = sys.argv[2:] or list(table.KINDS)
    tap = Tap()
    print(f"# SEED={seed} COUNT={count}\n1..{6 * len(kinds)}", flush=True)
    for kind in kinds:
        Draft202012Validator.check_schema(table.KINDS[kind])
        judge_kind(tap, kind, table.KINDS[kind], goods[kind], world)
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())

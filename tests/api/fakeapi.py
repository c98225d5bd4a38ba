#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fakeapi.py - an API server that does what real ones do on bad days. TLS on 127.0.0.1:6443; a control socket
(HTTP; one JSON object a line) changes objects and moods while it runs. Knows nothing of Berm.

  {"do": "put", "resource": R, "object": {...}}      also tells the watches
  {"do": "delete", "resource": R, "namespace": NS, "name": N}
  {"do": "forget", ...}                              the same, but no watch hears of it
  {"do": "mood", "set": {KEY: VALUE}}                see MOODS
  {"do": "cut"}                                      closes all connections
  {"do": "raw", "resource": R, "text": T}            a line into the watches of R
  {"do": "gone", "resource": R}                      an in-stream ERROR 410 into the watches of R
  {"do": "get", "resource": R, "namespace": NS, "name": N}   the object, or {}
  {"do": "all", "resource": R}                       {"items": [...]}
  {"do": "count"}                                    what was asked so far: {"R list": 2, "R POST NS": 1, ...}
  {"do": "relevel"}                                  every older resourceVersion is too old from now on
  {"do": "rewind"}                                   this is another server, whose cache lags behind
"""
import http.server
import json
import os
import socketserver
import ssl
import sys
import threading
import time
import urllib.parse

MOODS = {
    "status": 0,        # answer every request so
    "writes": 0,        # answer every write so
    "retry_after": 0,
    "stream": True,     # streaming lists: true, "error" (in-stream 500), "422", or "ignored" (as old servers do)
    "selectors": True,  # False: 400 for field selectors
    "slow": False,      # one byte at a time
    "mute": False,      # connections stay open and say nothing
    "token": None,      # the only one that is taken
    "gone": 0,          # so many requests are answered with 410
    "bookmarks": 0.0,   # seconds between two of them
    "absent": "",       # resources that this server does not know, as words
    "forbidden": "",    # resources that this client may not read, as words
    "skew": 0,          # seconds that this server's clock is ahead of ours
    "garbage": 0,       # so many lists and watches begin with nonsense
}

LOCK = threading.Condition()
STORE = {}   # resource -> {(ns, name): object}
EVENTS = []  # (version, resource, line or None)
MOOD = dict(MOODS)
COUNT = {}
STATE = {"version": int(time.time()),  # of a server that has started again they are later ones
          "oldest": 0, "cut": 0}


def status(code, message):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": "Test", "code": code}


def event(kind, thing):
    return json.dumps({"type": kind, "object": thing}, ensure_ascii=False)


def matches(resource, thing, query):
    labels = thing["metadata"].get("labels", {})
    for word in query.get("labelSelector", [""])[0].split(","):
        key, is_equal, value = word.partition("=")
        if is_equal and labels.get(key) != value:
            return False
        if word and not is_equal and (word.lstrip("!") in labels) == word.startswith("!"):
            return False
    if query.get("namespace", thing["metadata"].get("namespace")) != thing["metadata"].get("namespace"):
        return False
    fields = query.get("fieldSelector", [""])[0]
    if fields.startswith("metadata.name="):
        return fields == "metadata.name=" + thing["metadata"]["name"]
    if fields:
        return (not thing.get("spec", {}).get("hostNetwork")
                and thing.get("status", {}).get("phase") not in ("Succeeded", "Failed"))
    return True


def target(path):
    """Resource, namespace and name that a path means; each but the first may be None."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = None
    if len(parts) > 2 and parts[0] == "namespaces":
        namespace, parts = parts[1], parts[2:]
    return parts[0], namespace, parts[1] if len(parts) > 1 else None


def merge(into, patch):
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(timestamp if timestamp is not None else time.time() + MOOD["skew"])

    def handle(self):
        try:
            super().handle()
        except (OSError, ssl.SSLError):
            pass  # the client went, or we were told to cut

    def answer(self, code, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for key, value in headers:
            self.send_header(key, value)
        self.end_headers()
        self.write(data)

    def write(self, data):
        if MOOD["slow"]:
            for i in range(len(data)):
                self.wfile.write(data[i:i + 1])
                self.wfile.flush()
        else:
            self.wfile.write(data)
            self.wfile.flush()

    def chunk(self, text):
        data = text.encode()
        if MOOD["slow"]:
            for i in range(len(data)):
                self.wfile.write(b"1\r\n" + data[i:i + 1] + b"\r\n")
                self.wfile.flush()
        else:
            self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
            self.wfile.flush()

    def line(self, text):
        self.chunk(text + "\n")

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        resource, namespace, name = target(url.path)
        if namespace:
            query["namespace"] = namespace
        is_watch = "watch" in query
        verb = "watch" if is_watch and "resourceVersion" in query else "stream" if is_watch else "list"
        with LOCK:
            COUNT[resource + " " + verb] = COUNT.get(resource + " " + verb, 0) + 1
        while MOOD["mute"]:
            time.sleep(0.05)
            if STATE["cut"] < 0:
                return
        if resource in MOOD["absent"].split():
            return self.answer(404, status(404, "the server could not find the requested resource"))
        if resource in MOOD["forbidden"].split():
            return self.answer(403, status(403, "%s is forbidden: cannot list it" % resource))
        if self.refuse(query):
            return
        if name:
            self.one(resource, namespace, name)
        elif is_watch:
            self.watch(resource, query)
        else:
            self.list(resource, query)

    def one(self, resource, namespace, name):
        with LOCK:
            thing = STORE.get(resource, {}).get((namespace or "", name))
        self.answer(200 if thing else 404, thing or status(404, "%s not found" % name))

    def write_one(self):
        url = urllib.parse.urlsplit(self.path)
        resource, namespace, name = target(url.path)
        text = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with LOCK:
            key = "%s %s %s" % (resource, self.command, namespace)
            COUNT[key] = COUNT.get(key, 0) + 1
        while MOOD["mute"]:
            time.sleep(0.05)
        if MOOD["writes"]:
            return self.answer(MOOD["writes"], status(MOOD["writes"], 'writes are refused with "%d"' % MOOD["writes"]))
        if self.refuse({}):
            return
        with LOCK:
            code, body = self.write_to(resource, namespace, name, json.loads(text) if text else None)
            LOCK.notify_all()
        self.answer(code, body)

    do_POST = do_PUT = do_PATCH = do_DELETE = write_one

    def write_to(self, resource, namespace, name, thing):
        name = name or thing["metadata"]["name"]
        old = STORE.get(resource, {}).get((namespace, name))
        kind = self.headers.get("Content-Type", "")
        if self.command == "POST" and old:
            return 409, status(409, '%s "%s" already exists' % (resource, name))
        if self.command == "PUT" and old and thing["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            return 409, status(409, "the object has been modified")
        if not old and (self.command in ("PUT", "DELETE") or "merge-patch" in kind):
            return 404, status(404, '%s "%s" not found' % (resource, name))
        if self.command == "DELETE":
            do({"do": "delete", "resource": resource, "namespace": namespace, "name": name})
            return 200, status(200, "")
        if "merge-patch" in kind:
            changed = json.loads(json.dumps(old))
            merge(changed, thing)
            thing = changed
        do({"do": "put", "resource": resource, "object": thing})
        return 200 if old else 201, thing

    def refuse(self, query):
        headers = [("Retry-After", str(MOOD["retry_after"]))] if MOOD["retry_after"] else []
        if MOOD["status"]:
            self.answer(MOOD["status"], status(MOOD["status"], 'the mood is "%d"' % MOOD["status"]), headers)
        elif MOOD["token"] and self.headers.get("Authorization") != "Bearer " + MOOD["token"]:
            self.answer(401, status(401, "Unauthorized"))
        elif MOOD["gone"]:
            MOOD["gone"] -= 1
            self.answer(410, status(410, "too old resource version"))
        elif not MOOD["selectors"] and "spec.hostNetwork" in query.get("fieldSelector", [""])[0]:
            self.answer(400, status(400, "field label not supported: spec.hostNetwork"))
        elif MOOD["stream"] == "422" and "sendInitialEvents" in query:
            self.answer(422, status(422, "sendInitialEvents is forbidden"))
        else:
            return False
        return True

    def list(self, resource, query):
        with LOCK:
            version = STATE["version"]
            if int(query.get("resourceVersion", ["0"])[0]) > version:
                return self.answer(504, status(504, "Too large resource version"))
            items = [dict(o) for o in STORE.get(resource, {}).values() if matches(resource, o, query)]
        if "as=PartialObjectMetadataList" in self.headers.get("Accept", ""):
            items = [{"metadata": item["metadata"]} for item in items]
        for item in items:  # as real lists do it
            item.pop("kind", None)
            item.pop("apiVersion", None)
        body = json.dumps({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": str(version)},
                           "items": items}, ensure_ascii=False)
        if MOOD["garbage"]:
            MOOD["garbage"] -= 1
            body = body[:len(body) // 2]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(body)
        self.wfile.write(b"0\r\n\r\n")

    def watch(self, resource, query):
        initial = "sendInitialEvents" in query
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        if MOOD["garbage"]:
            MOOD["garbage"] -= 1
            self.line('{"type":"ADDED","object":{"metadata":{"name":"x')
        if initial and MOOD["stream"] == "error":
            self.line(event("ERROR", status(500, "RequestWatchProgress is disabled")))
            return self.finish_body()
        with LOCK:
            since = STATE["version"] if initial else int(query["resourceVersion"][0])
            if since < STATE["oldest"] and not initial:
                self.line(event("ERROR", status(410, "too old resource version")))
                return self.finish_body()
            items = list(STORE.get(resource, {}).values()) if initial else []
            seen = len(EVENTS) if initial else next(
                (i for i, e in enumerate(EVENTS) if e[0] > since), len(EVENTS))
            cut = STATE["cut"]
        for item in items:
            if matches(resource, item, query):
                self.line(event("ADDED", item))
        if initial and MOOD["stream"] is True:
            self.line(event("BOOKMARK", {"metadata": {"resourceVersion": str(since), "annotations": {
                "k8s.io/initial-events-end": "true"}}}))
        self.follow(resource, query, seen, cut)

    def follow(self, resource, query, seen, cut):
        deadline = time.monotonic() + int(query.get("timeoutSeconds", ["300"])[0])
        bookmark = time.monotonic()
        while time.monotonic() < deadline:
            with LOCK:
                if len(EVENTS) == seen:
                    LOCK.wait(0.05)
                fresh, seen = EVENTS[seen:], len(EVENTS)
                if STATE["cut"] != cut:
                    self.close_connection = True
                    return
            while MOOD["mute"] and STATE["cut"] == cut:
                time.sleep(0.05)
            for _, of, kind, thing, raw in fresh:
                if of != resource:
                    continue
                if raw is not None:
                    self.line(raw)
                elif kind == "DELETED" or matches(resource, thing, query):
                    self.line(event(kind, thing))
                else:
                    self.line(event("DELETED", thing))
            if MOOD["bookmarks"] and time.monotonic() - bookmark > MOOD["bookmarks"]:
                bookmark = time.monotonic()
                self.line(event("BOOKMARK", {"metadata": {"resourceVersion": str(STATE["version"])}}))
        self.finish_body()

    def finish_body(self):
        self.wfile.write(b"0\r\n\r\n")


def emit(resource, kind, thing, raw=None):
    EVENTS.append((STATE["version"], resource, kind, thing, raw))


def do(order):
    what, resource = order["do"], order.get("resource")
    if what == "put":
        thing = order["object"]
        key = (thing["metadata"].get("namespace", ""), thing["metadata"]["name"])
        STATE["version"] += 1
        thing["metadata"]["resourceVersion"] = str(STATE["version"])
        known = key in STORE.setdefault(resource, {})
        STORE[resource][key] = thing
        emit(resource, "MODIFIED" if known else "ADDED", thing)
    elif what in ("delete", "forget"):
        thing = STORE[resource].pop((order.get("namespace", ""), order["name"]))
        STATE["version"] += 1
        if what == "delete":
            thing["metadata"]["resourceVersion"] = str(STATE["version"])
            emit(resource, "DELETED", thing)
    elif what == "mood":
        assert all(key in MOODS for key in order["set"]), order
        MOOD.update(order["set"])
    elif what == "cut":
        STATE["cut"] += 1
    elif what == "raw":
        STATE["version"] += 1
        emit(resource, None, None, order["text"])
    elif what == "gone":
        emit(resource, None, None, event("ERROR", status(410, "too old resource version")))
    elif what == "relevel":
        STATE["version"] += 1
        STATE["oldest"] = STATE["version"]
    elif what == "rewind":
        STATE["version"] -= 1000
        STATE["oldest"] = 1 << 62
    elif what == "get":
        return STORE.get(resource, {}).get((order.get("namespace", ""), order["name"]), {})
    elif what == "all":
        return {"items": list(STORE.get(resource, {}).values())}
    elif what != "count":
        raise ValueError("do what? " + what)
    LOCK.notify_all()
    return COUNT


class Control(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        answer = {}
        for line in self.rfile.read(int(self.headers["Content-Length"])).splitlines():
            with LOCK:
                try:
                    answer = do(json.loads(line))
                except Exception as e:  # the test wants to know
                    answer = {"error": repr(e)}
                    break
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


class Threads(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that does not trust us is what some tests want


def main():
    cert, key, control = sys.argv[1:4]
    server = Server(("127.0.0.1", 6443), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    if os.path.exists(control):
        os.unlink(control)
    threading.Thread(target=Threads(control, Control).serve_forever, daemon=True).start()
    server.serve_forever()


main()

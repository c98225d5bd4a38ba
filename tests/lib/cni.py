#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cni.py - run a CNI conflist as a container runtime's libcni does.

Executes the chain plugin by plugin: name, cniVersion, prevResult and runtimeConfig go
into each plugin's stdin, the last result is kept in a cache for CHECK and DEL. Knows no
plugin in particular. What a plugin prints on failure is printed, exit status 1.

  cni.py ADD --conf FILE --id ID --netns PATH [--ifname eth0] [--args K=V;K=V]
  cni.py CHECK|DEL  the same
  cni.py GC --conf FILE [--valid ID/IFNAME]...
  cni.py STATUS|VERSION --conf FILE
"""
import argparse
import base64
import json
import os
import subprocess
import sys


class PluginError(Exception):
    """A plugin refused; the text is what it printed."""


def version_at_least(have, want):
    return [int(n) for n in have.split(".")] >= [int(n) for n in want.split(".")]


def find_plugin(kind, folders):
    for folder in folders.split(":"):
        path = os.path.join(folder, kind)
        if "/" not in kind and os.access(path, os.X_OK):
            return path
    raise PluginError(json.dumps({"code": 5, "msg": f"failed to find plugin {kind!r} in path [{folders}]"}))


def cache_file(opts, conf):
    return os.path.join(opts.cache, "results", f"{conf['name']}-{opts.id}-{opts.ifname}")


def cache_read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f).get("result")
    except FileNotFoundError:
        return None


def cache_write(path, opts, conf, result):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump({
            "kind": "cniCacheV1", "containerId": opts.id, "ifName": opts.ifname,
            "networkName": conf["name"], "netns": opts.netns,
            "config": base64.b64encode(json.dumps(conf).encode()).decode(),
            "cniArgs": [pair.split("=", 1) for pair in opts.args.split(";") if "=" in pair],
            "capabilityArgs": opts.capability, "result": result,
        }, f)


def stdin_of(conf, plugin, opts, prev, extra):
    """What libcni's buildOneConfig() and injectRuntimeConfig() make of a conflist entry."""
    config = dict(plugin, name=conf["name"], cniVersion=conf.get("cniVersion", "0.2.0"))
    if prev is not None:
        config["prevResult"] = prev
    wanted = {k: v for k, v in opts.capability.items() if plugin.get("capabilities", {}).get(k)}
    if wanted:
        config["runtimeConfig"] = wanted
    config.update(extra)
    return json.dumps(config)


def run_plugin(command, conf, plugin, opts, prev=None, extra=None):
    env = dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=opts.id, CNI_NETNS=opts.netns,
               CNI_ARGS=opts.args, CNI_IFNAME=opts.ifname, CNI_PATH=opts.path)
    done = subprocess.run([find_plugin(plugin["type"], opts.path)], env=env, check=False,
                          input=stdin_of(conf, plugin, opts, prev, extra or {}),
                          stdout=subprocess.PIPE, text=True, timeout=opts.timeout)
    if done.returncode:
        raise PluginError(done.stdout or json.dumps(
            {"code": 999, "msg": f"{plugin['type']} {command}: exit status {done.returncode}, no output"}))
    return done.stdout


def add(conf, opts):
    result = None
    for plugin in conf["plugins"]:
        text = run_plugin("ADD", conf, plugin, opts, result)
        try:
            result = json.loads(text)
        except ValueError as err:
            raise PluginError(json.dumps({"code": 6, "msg": f"{plugin['type']}: {err}", "details": text})) from err
    cache_write(cache_file(opts, conf), opts, conf, result)
    # The last plugin's own bytes, so that a test can compare them.
    sys.stdout.write(text)


def check(conf, opts):
    if not version_at_least(conf["cniVersion"], "0.4.0"):
        raise PluginError(json.dumps({"code": 1, "msg": "CHECK needs cniVersion 0.4.0"}))
    if conf.get("disableCheck"):
        return
    result = cache_read(cache_file(opts, conf))
    if result is None:
        raise PluginError(json.dumps({"code": 999, "msg": "CHECK without a cached result"}))
    for plugin in conf["plugins"]:
        run_plugin("CHECK", conf, plugin, opts, result)


def delete(conf, opts):
    path = cache_file(opts, conf)
    result = cache_read(path) if version_at_least(conf.get("cniVersion", "0.2.0"), "0.4.0") else None
    for plugin in reversed(conf["plugins"]):
        run_plugin("DEL", conf, plugin, opts, result)
    if os.path.exists(path):
        os.unlink(path)


def gc(conf, opts):
    if not version_at_least(conf["cniVersion"], "1.1.0"):
        raise PluginError(json.dumps({"code": 1, "msg": "GC needs cniVersion 1.1.0"}))
    valid = [dict(zip(("containerID", "ifname"), pair.split("/"))) for pair in opts.valid]
    for plugin in conf["plugins"]:
        run_plugin("GC", conf, plugin, opts, extra={"cni.dev/valid-attachments": valid})


def status(conf, opts):
    for plugin in conf["plugins"]:
        run_plugin("STATUS", conf, plugin, opts)


def version(conf, opts):
    for plugin in conf["plugins"]:
        sys.stdout.write(run_plugin("VERSION", conf, plugin, opts))


def main():
    commands = {"ADD": add, "CHECK": check, "DEL": delete, "GC": gc, "STATUS": status, "VERSION": version}
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("command", choices=commands)
    ap.add_argument("--conf", required=True)
    ap.add_argument("--id", default="")
    ap.add_argument("--netns", default="")
    ap.add_argument("--ifname", default="")
    ap.add_argument("--args", default="")
    ap.add_argument("--capability", type=json.loads, default={}, help="JSON object: capability -> argument")
    ap.add_argument("--path", default=os.environ.get("CNI_PATH", "/opt/cni/bin"))
    ap.add_argument("--cache", default="/var/lib/cni")
    ap.add_argument("--valid", action="append", default=[], metavar="ID/IFNAME")
    ap.add_argument("--timeout", type=float, default=os.environ.get("CNI_TIMEOUT_S", "60"))
    opts = ap.parse_args()
    if opts.command in ("ADD", "CHECK", "DEL") and not opts.ifname:
        opts.ifname = "eth0"
    with open(opts.conf, encoding="utf-8") as f:
        conf = json.load(f)
    try:
        commands[opts.command](conf, opts)
    except PluginError as err:
        print(err)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""image.py - write a container image archive from static programs, without a daemon.

The archive is of the kind that `ctr images import` and `docker load` take: one layer with
the given files, one configuration. The same input gives the same bytes. Knows nothing of
registries: nothing is pulled or pushed.
"""
import argparse
import hashlib
import io
import json
import os
import sys
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le",
                 "riscv64": "riscv64", "s390x": "s390x"}


def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("archive", help="file to write")
    p.add_argument("files", nargs="+", metavar="FILE:/PATH", help="a program and where it is in the image")
    p.add_argument("--tag", action="append", required=True, help="name of the image, such as localhost/pause:1; may be repeated")
    p.add_argument("--entrypoint", help="program that a container runs; default: the first file")
    p.add_argument("--command", default="", help="its arguments unless a pod says otherwise, separated by spaces")
    p.add_argument("--user", default="", help="numeric user")
    return p.parse_args()


def entry(path, size=0, folder=False):
    info = tarfile.TarInfo(path.strip("/"))
    info.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE
    info.mode = 0o1777 if path == "/tmp" else 0o755
    info.size = size
    return info


def folders_of(paths):
    """Every folder above the paths, the topmost first; programs expect a /tmp."""
    found = {"/tmp"}
    for path in paths:
        while (path := os.path.dirname(path)) not in ("", "/"):
            found.add(path)
    return sorted(found)


def write_layer(out, files):
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in folders_of(path for _, path in files):
            tar.addfile(entry(folder, folder=True))
        for source, path in files:
            with open(source, "rb") as f:
                tar.addfile(entry(path, os.path.getsize(source)), f)


def configuration(args, files, layer_digest):
    config = {"Entrypoint": [args.entrypoint or files[0][1]], "Env": ["PATH=/:/bin:/usr/bin"], "WorkingDir": "/"}
    if args.command:
        config["Cmd"] = args.command.split()
    if args.user:
        config["User"] = args.user
    machine = os.uname().machine
    return json.dumps({"architecture": ARCHITECTURES.get(machine, machine), "os": "linux", "config": config,
                       "rootfs": {"type": "layers", "diff_ids": ["sha256:" + layer_digest]},
                       "history": [{"created_by": "image.py"}]}, sort_keys=True).encode()


def write_archive(args, files):
    layer = io.BytesIO()
    write_layer(layer, files)
    blob = layer.getvalue()
    digest = hashlib.sha256(blob).hexdigest()
    config = configuration(args, files, digest)
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": args.tag, "Layers": [digest + ".tar"]}]).encode()
    with tarfile.open(args.archive + ".new", mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in ((digest + ".tar", blob), (config_name, config), ("manifest.json", manifest)):
            tar.addfile(entry(name, len(content)), io.BytesIO(content))
    os.rename(args.archive + ".new", args.archive)


def main():
    args = parse_args()
    files = []
    for spec in args.files:
        source, sep, path = spec.partition(":")
        if not sep or not path.startswith("/") or not os.path.isfile(source):
            sys.exit(f"image.py: '{spec}' is not FILE:/PATH of an existing file")
        files.append((source, path))
    write_archive(args, files)


if __name__ == "__main__":
    try:
        main()
    except OSError as e:
        sys.exit(f"image.py: {e}")

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""churn.py - many pods come and go behind a stub primary plugin (a bare veth), fast.

  churn.py same-name N PLUGIN NODECTL   old and new pod of one name, DEL and ADD in random orders
  churn.py lossy N PLUGIN               ADD/DEL, every tenth DEL is lost; ends with a GC

Prints what it did; exit status 1 with a line saying what is wrong.
"""
import json
import os
import random
import subprocess
import sys

NETNS = 6
LOST_EVERY = 10
TCX_EVERY = 10  # the others use clsact, whose attach costs microseconds instead of two RCU grace periods
CONF = {"cniVersion": "1.1.0", "name": "churn", "type": "berm-cni", "waitForPolicy": "10ms"}


class Wrong(Exception):
    pass


def ip(*lines):
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=False,
                          stderr=subprocess.PIPE)
    if done.returncode:
        raise Wrong(f"ip: {lines}: {done.stderr}")


def cni(plugin, command, pod, **conf):
    env = {"CNI_COMMAND": command, "CNI_CONTAINERID": pod["id"], "CNI_NETNS": pod["netns"], "CNI_IFNAME": "eth0",
           "CNI_PATH": "/nonexistent", "CNI_ARGS": f"K8S_POD_NAMESPACE=shop;K8S_POD_NAME={pod['name']}"}
    done = subprocess.run([plugin], env=env, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          input=json.dumps({**CONF, "prevResult": {"cniVersion": "1.1.0", "ips": []}, **conf}))
    if done.returncode:
        raise Wrong(f"{command} {pod['id']}: {done.stdout} {done.stderr}")


def pod_make(number, name):
    """A veth h<number> into one of a few namespaces that are used again and again."""
    pod = {"id": f"c{number}", "name": name, "dev": f"h{number}", "ns": f"churn{number % NETNS}"}
    pod["netns"] = f"/run/netns/{pod['ns']}"
    ip(f"link add {pod['dev']} type veth peer name eth0 netns {pod['ns']}")
    pod["index"] = int(open(f"/sys/class/net/{pod['dev']}/ifindex", encoding="ascii").read())
    return pod


def pod_unmake(pod):
    ip(f"link del {pod['dev']}")


def attach_mode(number):
    return "tcx" if number % TCX_EVERY == 0 else "clsact"


def check_guarded(nodectl, pod):
    hooks = subprocess.run([nodectl, "hooks", str(pod["index"])], check=True, text=True, stdout=subprocess.PIPE).stdout
    if hooks.count("attached=1 current=1 before=0") != 2:
        raise Wrong(f"{pod} is not guarded: {hooks}")
    record = json.load(open(f"/run/berm/endpoints/{pod['id']}@eth0.json", encoding="ascii"))
    entry = subprocess.run([nodectl, "endpoint", str(pod["index"])], check=False, text=True, stdout=subprocess.PIPE).stdout
    if record["ifindex"] != pod["index"] or f"slot={record['slot']} ifindex={pod['index']} " not in entry:
        raise Wrong(f"{pod}: record {record}, entry {entry}")


def same_name(count, plugin, nodectl):
    """The old pod's DEL comes before, between, after, or twice around the new pod's ADD."""
    orders = [
        ["unmake old", "DEL old", "make new", "ADD new"],
        ["DEL old", "unmake old", "make new", "ADD new"],
        ["make new", "ADD new", "DEL old", "unmake old"],
        ["make new", "ADD new", "unmake old", "DEL old"],
        ["unmake old", "make new", "ADD new", "DEL old"],
        ["make new", "DEL old", "ADD new", "DEL old", "unmake old"],
        ["unmake old", "make new", "DEL old", "ADD new", "DEL old"],
    ]
    old = pod_make(0, "web")
    cni(plugin, "ADD", old, attach="clsact")
    for number in range(1, count + 1):
        new = {"id": f"c{number}", "name": "web"}
        for step in random.choice(orders):
            if step == "make new":
                new = pod_make(number, "web")
            elif step == "unmake old":
                pod_unmake(old)
            else:
                command, who = step.split()
                cni(plugin, command, new if who == "new" else old, attach=attach_mode(number))
        check_guarded(nodectl, new)
        old = new
    cni(plugin, "DEL", old)
    pod_unmake(old)


def lossy(count, plugin):
    lost = 0
    for number in range(count):
        pod = pod_make(number, f"p{number}")
        cni(plugin, "ADD", pod, attach=attach_mode(number))
        if number % LOST_EVERY == 0:
            lost += 1
        else:
            cni(plugin, "DEL", pod)
        pod_unmake(pod)
    left = len(os.listdir("/run/berm/endpoints"))
    if left != lost:
        raise Wrong(f"{lost} DELs were lost, but {left} records are left")
    cni(plugin, "GC", pod, **{"cni.dev/valid-attachments": []})
    print(f"# {count} pods, {lost} lost DELs collected")


def main():
    seed = int(os.environ.get("BERM_SEED", random.randrange(1 << 30)))
    random.seed(seed)
    print(f"# BERM_SEED={seed}")
    ip(*[f"netns add churn{i}" for i in range(NETNS)])
    try:
        {"same-name": same_name, "lossy": lossy}[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
    except Wrong as wrong:
        print(wrong)
        return 1
    return 0


sys.exit(main())

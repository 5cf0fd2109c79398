#!/usr/bin/env python3
"""Stands where the tests look for mosquitto: takes ports, limits and persistence from its arguments and becomes a tidegate."""

import os
import re
import shutil
import sys
import tempfile

arguments = sys.argv[1:]
text = open(arguments[arguments.index("-c") + 1]).read() if "-c" in arguments else ""
ports = re.findall(r"^(?:listener|port)\s+(\d+)", text, re.M)
if "-p" in arguments:
    ports.append(arguments[arguments.index("-p") + 1])

# The file of its state: the tests delete it for a new beginning.
state = re.search(r"^persistence_file\s+(\S+)", text, re.M)
folder = os.path.abspath(state[1] + ".tidegate") if state else tempfile.mkdtemp()
if state and not os.path.exists(state[1]):
    shutil.rmtree(folder, ignore_errors=True)
    open(state[1], "w").close()
os.makedirs(folder, exist_ok=True)

config = f'[gateway]\nid = "suite"\ndata_dir = "{folder}/data"\n'
for port in sorted(set(ports or ["1888"])):
    config += f'[broker.listeners.p{port}]\nbind = "127.0.0.1:{port}"\n'
window = re.search(r"^max_inflight_messages\s+([1-9]\d*)", text, re.M)
if window:
    config += f"[broker.limits]\nreceive_maximum = {window[1]}\n"
path = os.path.join(folder, "gateway.toml")
with open(path, "w") as file:
    file.write(config)
os.execv(os.environ["TIDEGATE"], ["tidegate", "run", "-c", path])

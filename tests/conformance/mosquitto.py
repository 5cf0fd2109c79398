#!/usr/bin/env python3
"""Runs mosquitto's own broker tests, raw packets in and out, against a tidegate.

    apt-get source mosquitto            # Debian bookworm: 2.0.11; wants a deb-src line
    pip install psutil                  # one test wants it
    tests/conformance/mosquitto.py mosquitto-2.0.11 target/debug/tidegate [TEST...]

A copy of the tests is run with `stand_in.py` where they look for mosquitto. What a broker may decide for itself is not
compared (`lenient.py`). What differs for a reason is listed in `differences.txt`, with the reason; anything else that fails,
and a difference that is none any more, makes this fail.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent

# By subject: connect, subscribe, publish, retained, sessions, wills, expiry, properties, malformed. Bridges (06), TLS (08), plugins
# and passwords (09, some of 01) and mosquitto's own security (14) are not about MQTT, or not offered.
SUBJECTS = ["01-", "02-", "03-", "04-", "05-", "07-", "09-auth-bad-method", "09-extended-auth-unsupported", "11-", "12-", "13-"]
LEFT_OUT = ["helper", "-uname-password", "-uname-no-password", "-uname-or-anon", "-uname-pwd"]

PATIENCE = 90


def main(source, binary, chosen):
    known = differences()
    with tempfile.TemporaryDirectory() as folder:
        broker = prepare(Path(source), Path(folder))
        failed, passed = {}, []
        for test in tests(broker, chosen):
            output = run(broker, test, Path(binary).resolve())
            if output is None:
                passed.append(test)
            else:
                failed[test] = output
    for test in sorted(failed.keys() & known.keys()):
        print(f"differs   {test}: {known[test]}")
    unexpected = [f"FAILED    {test}\n{failed[test]}" for test in sorted(failed.keys() - known.keys())]
    unexpected += [f"PASSES    {test}, and is listed as a difference" for test in passed if test in known]
    print("\n".join(unexpected))
    print(f"{len(passed)} passed, {len(failed)} differ or failed, {len(unexpected)} unexpected")
    return 1 if unexpected else 0


def differences():
    lines = (HERE / "differences.txt").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def prepare(source, folder):
    shutil.copytree(source / "test", folder / "test")
    (folder / "src").mkdir()
    shutil.copy(HERE / "stand_in.py", folder / "src" / "mosquitto")
    (folder / "src" / "mosquitto").chmod(0o755)
    module = folder / "test" / "mosq_test.py"
    text = module.read_text()
    # Debian's patches let the tests run the mosquitto that is installed.
    for installed in ["'/usr/sbin/mosquitto'", "'../../src/mosquitto'"]:
        text = text.replace(installed, repr(str(folder / "src" / "mosquitto")))
    module.write_text(text + (HERE / "lenient.py").read_text())
    if str(folder / "src" / "mosquitto") not in text:
        sys.exit(f"{module.name} says nowhere which broker it starts: it would not be a tidegate")
    return folder / "test" / "broker"


def tests(broker, chosen):
    found = sorted(path.name for path in broker.glob("*.py"))
    if chosen:
        return [test for test in found if any(name in test for name in chosen)]
    about = [test for test in found if any(test.startswith(subject) for subject in SUBJECTS)]
    return [test for test in about if not any(part in test for part in LEFT_OUT)]


def run(broker, test, binary):
    """None when it passes, else the last of what it said."""
    command = [sys.executable, test]
    environment = {**os.environ, "TIDEGATE": str(binary)}
    try:
        done = subprocess.run(command, cwd=broker, env=environment, timeout=PATIENCE, capture_output=True, text=True, errors="replace")
    except subprocess.TimeoutExpired:
        return f"no end within {PATIENCE} s"
    said = [line for line in (done.stdout + done.stderr).splitlines() if line and " INFO " not in line]
    return None if done.returncode == 0 else "\n".join(said[-12:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))

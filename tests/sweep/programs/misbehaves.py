# ruff: noqa: T201
"""Every way in which a program can misbehave; the first word says which."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

what = sys.argv[1]
if what == "segfault":
    os.kill(os.getpid(), signal.SIGSEGV)
elif what == "exit3":
    print("\x1b[31mNo data\x1b[0m for 1997", file=sys.stderr)
    sys.exit(3)
elif what == "raises":
    raise ValueError("bad lr\nsecond line")
elif what == "hangs":
    print("ready", flush=True)
    time.sleep(600)
elif what == "reports":
    print('{"loss": 1.5, "epoch": 7}')
    time.sleep(600)
elif what == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    time.sleep(600)
elif what == "polite":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("ready", flush=True)
    time.sleep(600)
elif what == "forks":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(sys.argv[2]).write_text(str(child.pid))
    print("ready", flush=True)
    time.sleep(600)
elif what == "leaves":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(sys.argv[2]).write_text(str(child.pid))
elif what == "megabytes":
    sys.stdout.write("first line\n")
    for k in range(3000):
        sys.stdout.write(f"{k:06d} " + "x" * 993 + "\n")
    print('{"loss": 0.5}')
    sys.stdout.write("y" * 2_000_000 + '{"loss": 9.0}\n')
    print("last line")
elif what == "bytes":
    sys.stdout.buffer.write(b'\xff\xfe\n{"loss": 0.5, "na\xffme": 2}\n\x00\n{"loss": 0.25}')
    sys.stderr.buffer.write(b"caf\xe9 \xff")
    sys.exit(1)
elif what == "reads":
    print(repr(sys.stdin.read()))

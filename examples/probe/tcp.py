#!/usr/bin/env python3
"""tcp.py TARGET -c|-d: does something listen at TARGET, a host and a port?

It is a CoScale script with an argument more, and runs when it is probed:
examples/scriptbridge.yml says which TARGETs a request may name.

    curl 'http://localhost:10469/probe?script=tcp&target=localhost:10469'

On the page this becomes

    tcp_connected{script="tcp"} 1
    tcp_connect_time_seconds{script="tcp"} 0.0002
"""

import json
import socket
import sys
import time

METRICS = [
    {"id": 1, "name": "Connected", "datatype": "GAUGE", "unit": "",
     "description": "Whether a connection was made: 1 for yes, 0 for no"},
    {"id": 2, "name": "Connect time", "datatype": "GAUGE", "unit": "s",
     "description": "How long it took to make one"},
]


def main():
    target, mode = sys.argv[1:]
    if mode == "-c":
        print(json.dumps({"maxruntime": 5000, "metrics": METRICS}))
        return
    host, port = target.rsplit(":", 1)
    begin = time.monotonic()
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except (OSError, OverflowError) as problem:
        # That nobody is there is the answer, and not a failure of the script.
        print(f"{target}: {problem}", file=sys.stderr)
        print("M1 0")
        return
    print("M1 1")
    print(f"M2 {time.monotonic() - begin:.6f}")


main()

#!/usr/bin/env python3
"""tcp.py TARGET [--timeout=SECONDS] -c|-d: does something listen at TARGET, a host and a port?

It is a CoScale script with arguments of its own, and runs when it is probed:
examples/scriptbridge.yml says which TARGETs a request may name.

    curl 'http://localhost:10469/probe?script=tcp&target=localhost:10469'

On the page this becomes

    tcp_connected{script="tcp"} 1
    tcp_connect_time_seconds{script="tcp"} 0.0002

Try it:  scriptbridge try -- ./tcp.py localhost:10469
"""

import argparse
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


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("target", help="such as db-1:5432 or [::1]:22")
    parser.add_argument("--timeout", type=float, default=3, help="seconds that a connection may take (3)")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("-c", action="store_true", help="print what is measured")
    mode.add_argument("-d", action="store_true", help="measure")
    args = parser.parse_args()
    args.host, _, args.port = args.target.rpartition(":")
    if not args.host or not args.port.isdigit():
        parser.error("TARGET is a host and a port, such as db-1:5432")
    if not args.timeout > 0:
        parser.error("SECONDS are more than 0")
    return args


def main():
    args = arguments()
    if args.c:
        # Python itself needs a while to start.
        print(json.dumps({"maxruntime": int(min(args.timeout + 2, 60) * 1000), "metrics": METRICS}))
        return
    begin = time.monotonic()
    try:
        socket.create_connection((args.host.strip("[]"), int(args.port)), timeout=args.timeout).close()
    except (OSError, OverflowError) as problem:
        # That nobody is there is the answer, and not a failure of the script.
        print(f"{args.target}: {problem}", file=sys.stderr)
        print("M1 0")
        return
    print("M1 1")
    print(f"M2 {time.monotonic() - begin:.6f}")


main()

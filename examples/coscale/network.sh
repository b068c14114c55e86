#!/bin/sh
# network.sh: what went through each network interface since it came up.
#
# Two things are new here (load.sh explains the rest):
#
# - A dimension. One metric has a value for each interface, and a line says
#   which one it is for:   M1 "1:eth0" 123   is metric 1 with dimension 1 being
#   eth0. On Prometheus's page a dimension is a label.
#
# - The datatype COUNTER, for what only ever grows. It is printed as the kernel
#   counts it; how much it grew is asked of Prometheus:
#
#     rate(coscale_network_received_bytes_total{interface="eth0"}[5m])
#
# Try it:  scriptbridge try -- ./network.sh

configuration() {
	cat <<'JSON'
{
  "period": 60,
  "maxruntime": 5000,
  "metrics": [
    {"id": 1, "name": "Network received", "datatype": "COUNTER", "calctype": "Instant", "unit": "bytes",
     "description": "Bytes that came in", "groups": "Networking/Traffic", "tags": "NETWORK",
     "dimensions": [{"id": 1, "name": "interface"}]},
    {"id": 2, "name": "Network sent", "datatype": "COUNTER", "calctype": "Instant", "unit": "bytes",
     "description": "Bytes that went out", "groups": "Networking/Traffic", "tags": "NETWORK",
     "dimensions": [{"id": 1, "name": "interface"}]},
    {"id": 3, "name": "Network receive errors", "datatype": "COUNTER", "calctype": "Instant", "unit": "",
     "description": "Packets that came in broken", "groups": "Networking/Errors", "tags": "NETWORK",
     "dimensions": [{"id": 1, "name": "interface"}]},
    {"id": 4, "name": "Network send errors", "datatype": "COUNTER", "calctype": "Instant", "unit": "",
     "description": "Packets that could not be sent", "groups": "Networking/Errors", "tags": "NETWORK",
     "dimensions": [{"id": 1, "name": "interface"}]}
  ]
}
JSON
}

data() {
	# After two lines of headings, a line for each interface:
	#   eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs …
	#         received …                                             sent …
	while IFS= read -r line; do
		case "$line" in
		*:*) ;;
		*) continue ;; # a heading
		esac
		interface=${line%:*}
		interface=${interface##* }
		# $1, $2 … become the numbers behind the colon.
		# shellcheck disable=SC2086 # they are to be split
		set -- ${line##*:}
		echo "M1 \"1:$interface\" $1"
		echo "M2 \"1:$interface\" $9"
		echo "M3 \"1:$interface\" $3"
		echo "M4 \"1:$interface\" ${11}"
	done </proc/net/dev
}

case "$1" in
-c) configuration ;;
-d) data ;;
*)
	echo "usage: $0 -c | -d" >&2
	exit 2
	;;
esac

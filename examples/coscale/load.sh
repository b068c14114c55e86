#!/bin/sh
# load.sh: the machine's load, the simplest script there can be.
#
# A CoScale script is called in two ways:
#
#   load.sh -c    prints, as JSON, which metrics there are (the configuration)
#   load.sh -d    prints their values, a line for each (the data)
#
# Both must exit with 0. On Prometheus's page this becomes
#
#   coscale_load_1m{script="load"} 0.52        … and _5m, _15m
#   coscale_threads{script="load"} 412
#   coscale_threads_running{script="load"} 2
#
# Try it:  scriptbridge try -- ./load.sh

configuration() {
	# What stands between the two marks is printed as it is.
	cat <<'JSON'
{
  "period": 60,
  "maxruntime": 5000,
  "metrics": [
    {"id": 1, "name": "Load 1m", "datatype": "GAUGE", "calctype": "Instant", "unit": "", "groups": "System/Load",
     "description": "Threads that ran or wanted to, on average over the last minute"},
    {"id": 2, "name": "Load 5m", "datatype": "GAUGE", "calctype": "Instant", "unit": "", "groups": "System/Load",
     "description": "Threads that ran or wanted to, on average over the last 5 minutes"},
    {"id": 3, "name": "Load 15m", "datatype": "GAUGE", "calctype": "Instant", "unit": "", "groups": "System/Load",
     "description": "Threads that ran or wanted to, on average over the last 15 minutes"},
    {"id": 4, "name": "Threads", "datatype": "GAUGE", "calctype": "Instant", "unit": "", "groups": "System/Load",
     "description": "Threads there are"},
    {"id": 5, "name": "Threads running", "datatype": "GAUGE", "calctype": "Instant", "unit": "", "groups": "System/Load",
     "description": "Threads that run or want to, right now"}
  ]
}
JSON
}

data() {
	# The file holds one line: 0.52 0.58 0.59 2/412 12345
	read -r one five fifteen threads _ </proc/loadavg || exit 1
	echo "M1 $one"
	echo "M2 $five"
	echo "M3 $fifteen"
	echo "M4 ${threads#*/}"
	echo "M5 ${threads%/*}"
}

case "$1" in
-c) configuration ;;
-d) data ;;
*)
	echo "usage: $0 -c | -d" >&2
	exit 2
	;;
esac

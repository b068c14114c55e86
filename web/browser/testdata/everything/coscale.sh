#!/bin/sh
case $2 in
-c)
	echo '{"metrics": [{"id": 1, "name": "Queue length", "unit": "#", "datatype": "DOUBLE", "calctype": "Instant",
		"dimensions": [{"id": 1, "name": "queue"}]}, {"id": 2, "name": "Load"}],
		"events": [{"id": 1, "name": "Restarts"}]}' ;;
*)
	echo "# lines of $1"
	echo 'M1 "1:incoming" 12'
	echo 'M1 "1:outgoing with a name of some length, as queues of brokers have it" 3'
	echo 'M2 0.42'
	echo 'E1 -10 0 "restarted" "{}"'
	case $1 in
	lossy) echo 'M2 none'; echo 'M9 1'; echo 'M9 1' ;;
	chatty) i=0; while [ $i -lt 400 ]; do i=$((i + 1)); echo "M1 \"1:queue-$i\" $i"; done ;;
	esac ;;
esac

#!/bin/sh
# machine.sh: a script as Instrumental's agents ran them, with a rate.
#
#   machine.sh TIME STATUS <OUTPUT
#
# TIME is when it last ran (0: never yet), STATUS how that ended, and OUTPUT
# what it printed then. It prints NAME VALUE, a line each. On Prometheus's page
# this becomes
#
#   instrumental_machine_memory_available{script="machine"} 6123876352
#   instrumental_machine_forks{script="machine"} 48151
#   instrumental_machine_forks_per_second{script="machine"} 4.2
#
# Try it:  scriptbridge try --dialect=instrumental --option=permissions=off --interval=5s -- ./machine.sh

while read -r name value _; do
	[ "$name" = forks ] && before=$value
done

while read -r name value _; do
	[ "$name" = MemAvailable: ] && echo "memory_available $((value * 1024))"
done </proc/meminfo

while read -r name value _; do
	[ "$name" = processes ] && forks=$value
done </proc/stat
echo "forks $forks"

now=$(date +%s)
if [ -n "$before" ] && [ "$now" -gt "$1" ]; then
	tenths=$(((forks - before) * 10 / (now - $1)))
	echo "forks_per_second $((tenths / 10)).$((tenths % 10))"
fi
exit 0

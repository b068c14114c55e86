#!/bin/sh
# machine.sh: a script as Instrumental's agents ran them, with a rate.
#
#   machine.sh TIME STATUS <OUTPUT
#
# TIME is when it last ran (0: never yet), STATUS its exit code then (left out
# when there was no run), and OUTPUT what it printed then. It prints NAME VALUE,
# a line each. On Prometheus's page this becomes
#
#   instrumental_machine_memory_available{script="machine"} 6123876352
#   instrumental_machine_forks{script="machine"} 48151
#   instrumental_machine_forks_per_second{script="machine"} 4.2
#
# the rate from the second run on, which has something to compare with.
#
# Try it:  scriptbridge try --dialect=instrumental --option=permissions=off --interval=5s -- ./machine.sh

before=
# The last line comes without its line end, and `read` then gives the line but
# fails: without the second condition that line would be lost.
while read -r name value _ || [ -n "$name" ]; do
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
if [ -n "$before" ] && [ "$forks" -ge "$before" ] && [ "$now" -gt "$1" ]; then # it counts from 0 after a restart
	tenths=$(((forks - before) * 10 / (now - $1)))
	echo "forks_per_second $((tenths / 10)).$((tenths % 10))"
fi

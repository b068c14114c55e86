#!/bin/sh
# restart-watcher.sh: an event when the machine, or a process, was started anew.
#
# An event is something that happened, told by a line of data:
#
#   E1 <start> <stop> "<message>" "<attributes>" S
#
# start and stop are Unix seconds (or 0 for now, -60 for a minute ago), the
# attributes a JSON object whose quotes stand as they are, S says that it
# happened to this server (A: to the whole application).
#
# Which process to watch is set in the environment, because -c and -d must stay
# the first argument. It is the name that the kernel knows (`ps -o comm`, 15
# letters at most). In scriptbridge's configuration:
#
#   - command: /usr/share/scriptbridge/restart-watcher.sh
#     env: {WATCH: sshd}
#
# To notice a change it must remember. It does so in a file in
# $STATE_DIRECTORY or, when that is not set, in the working directory. Where
# nothing can be written it still measures, and says on stderr that it cannot
# notice restarts.
#
# Try it:  scriptbridge try -- ./restart-watcher.sh

state=${STATE_DIRECTORY:-.}
state=${state%%:*}/restart-watcher.state # systemd may name several folders

configuration() {
	cat <<'JSON'
{
  "period": 60,
  "maxruntime": 5000,
  "metrics": [
    {"id": 1, "name": "Uptime", "datatype": "GAUGE", "calctype": "Instant", "unit": "s", "groups": "System/Restarts",
     "description": "Time since the machine was started"},
    {"id": 2, "name": "Process uptime", "datatype": "GAUGE", "calctype": "Instant", "unit": "s", "groups": "System/Restarts",
     "description": "Time since the watched process was started", "dimensions": [{"id": 1, "name": "process"}]}
  ],
  "events": [
    {"id": 1, "name": "Machine restarted", "description": "The machine runs since another moment than before",
     "attributeDescriptions": [{"name": "boot", "type": "string", "unit": ""}]},
    {"id": 2, "name": "Process restarted", "description": "The watched process is another one than before",
     "attributeDescriptions": [{"name": "process", "type": "string", "unit": ""}, {"name": "pid", "type": "integer", "unit": ""}]}
  ]
}
JSON
}

# find_process NAME sets pid, and ticks: when it was started, in hundredths of
# a second (Linux shows no finer) since the machine was. Of several it takes the one that runs longest.
find_process() {
	pid='' ticks=''
	for file in /proc/[0-9]*/comm; do
		{ read -r name <"$file"; } 2>/dev/null || continue # it has just ended
		[ "$name" = "$1" ] || continue
		number=${file#/proc/}
		number=${number%/comm}
		{ IFS= read -r line <"/proc/$number/stat"; } 2>/dev/null || continue
		# The line is `pid (name) state ppid …`, and name may hold anything;
		# behind its last bracket the 20th field is the start.
		# shellcheck disable=SC2086 # it is to be split
		set -- "$1" ${line##*)}
		if [ -z "$ticks" ] || [ "${21}" -lt "$ticks" ]; then
			pid=$number ticks=${21}
		fi
	done
}

data() {
	read -r uptime _ </proc/uptime || exit 1
	read -r boot </proc/sys/kernel/random/boot_id || exit 1 # another one at each start
	now=$(date +%s)
	started=$((now - ${uptime%.*}))
	echo "M1 $uptime"

	process='' # what is remembered of it: `pid ticks`
	if [ -n "$WATCH" ]; then
		find_process "$WATCH"
		if [ -n "$pid" ]; then
			process="$pid $ticks"
			process_started=$((started + ticks / 100))
			echo "M2 \"1:$WATCH\" $((now - process_started))"
		fi
	fi

	old_boot='' old_watch='' old_process=''
	if [ -r "$state" ]; then
		{
			read -r old_boot
			IFS= read -r old_watch
			read -r old_process
		} <"$state"
	fi
	if [ "$old_watch" != "$WATCH" ]; then
		old_process='' # it was another process that was watched
	elif [ -z "$process" ]; then
		process=$old_process # it does not run: remember the one before
	fi
	if [ "$old_boot" = "$boot" ] && [ "$old_watch" = "$WATCH" ] && [ "$old_process" = "$process" ]; then
		return
	fi

	# Remember first, tell then: what cannot be remembered would be told again
	# at every run. The file is complete at any moment, since mv swaps it.
	if ! { printf '%s\n' "$boot" "$WATCH" "$process" >"$state.new" && mv -f "$state.new" "$state"; } 2>/dev/null; then
		echo "$0: $state cannot be written: restarts go unnoticed (set STATE_DIRECTORY)" >&2
		return
	fi
	if [ -n "$old_boot" ] && [ "$old_boot" != "$boot" ]; then
		echo "E1 $started $started \"The machine was restarted\" \"{\"boot\":\"$boot\"}\" S"
	fi
	if [ -n "$old_process" ] && [ "$old_process" != "$process" ]; then
		echo "E2 $process_started $process_started \"$WATCH was restarted\" \"{\"process\":\"$WATCH\",\"pid\":$pid}\" S"
	fi
}

case "$1" in
-c) configuration ;;
-d) data ;;
*)
	echo "usage: $0 -c | -d" >&2
	exit 2
	;;
esac

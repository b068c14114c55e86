#!/bin/sh
# A Nagios plugin: how many files lie in a folder, and how old the oldest is.
#
#   check_files.sh FOLDER WARN CRIT
#
# WARN and CRIT are numbers of files. The exit code is the state, the first
# line says it to people, and performance data follow the stroke. When the state
# is not OK, further lines name the oldest files.
#
# Try it:  scriptbridge try -- ./check_files.sh /etc 500 1000

folder=${1:-/tmp} warn=${2:-1000} crit=${3:-10000}

if ! cd "$folder" 2>/dev/null; then
	echo "FILES UNKNOWN - $folder cannot be entered"
	exit 3
fi
set -- *
if [ ! -e "$1" ] && [ ! -L "$1" ]; then
	set --
fi
age=0
if [ $# -gt 0 ]; then
	oldest=$(ls -tr | head -n 1)
	if changed=$(stat -c %Y -- "$oldest" 2>/dev/null); then
		age=$(($(date +%s) - changed))
	fi
fi

state=0 word=OK
if [ $# -gt "$crit" ]; then
	state=2 word=CRITICAL
elif [ $# -gt "$warn" ]; then
	state=1 word=WARNING
fi
echo "FILES $word - $# in $folder|files=$#;$warn;$crit;0 'oldest file'=${age}s;;;0"
if [ $state -gt 0 ]; then
	ls -tr | head -n 5
fi
exit $state

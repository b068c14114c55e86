#!/bin/sh
# deb: remove, upgrade NEW VERSION and the like; rpm: the number of versions that stay.
set -e

case $1 in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl stop scriptbridge.service || :
fi
if command -v systemctl >/dev/null; then
	systemctl --quiet disable scriptbridge.service || :
fi

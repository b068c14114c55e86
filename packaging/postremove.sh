#!/bin/sh
# deb: remove, purge, upgrade NEW VERSION and the like; rpm: the number of versions that stay.
set -e

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
fi
# What waits to be sent, and the operator's own scripts, are no package's to throw
# away but at a purge; the account stays, since files elsewhere may be its own.
if [ "$1" = purge ]; then
	rm -rf /var/lib/scriptbridge
	rmdir /etc/scriptbridge/scripts /etc/scriptbridge 2>/dev/null || :
fi

#!/bin/sh
# deb: configure [OLD VERSION]; rpm: the number of versions that are installed now.
set -e

case $1 in
configure) if [ -n "$2" ]; then upgrade=yes; else upgrade=; fi ;;
[0-9]*) if [ "$1" -gt 1 ]; then upgrade=yes; else upgrade=; fi ;;
*) exit 0 ;; # abort-upgrade and the like
esac

if ! getent passwd scriptbridge >/dev/null; then
	if command -v systemd-sysusers >/dev/null; then
		systemd-sysusers scriptbridge.conf
	else
		useradd --system --user-group --no-create-home --home-dir /var/lib/scriptbridge --shell /usr/sbin/nologin \
			--comment scriptbridge scriptbridge
	fi
fi

# Where systemd does not run (an image that is built, a chroot), it finds all this
# when it starts.
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
if command -v systemctl >/dev/null && [ -z "$upgrade" ]; then
	systemctl enable scriptbridge.service
fi
if [ -d /run/systemd/system ]; then
	if [ -n "$upgrade" ]; then
		systemctl try-restart scriptbridge.service
	else
		systemctl start scriptbridge.service ||
			echo "scriptbridge.service did not start: see journalctl -u scriptbridge" >&2
	fi
fi

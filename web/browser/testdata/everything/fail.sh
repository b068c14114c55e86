#!/bin/sh
case $1 in
refused) echo connecting >&2; echo 'connection to db-1 refused' >&2; exit 2 ;;
gone) exec /nowhere/at/all ;;
stuck) echo 'waiting for a lock' >&2; exec sleep 60 ;;
flood) yes 'M1 1' ;;
esac

#!/bin/sh
[ "$1" != down ] || { echo "no answer from $1" >&2; exit 1; }
echo 'answers 1'

#!/bin/sh
echo "$2"
echo 'a second line of it'
exit "$1"

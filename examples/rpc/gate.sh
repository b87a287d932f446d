#!/bin/sh
# Submit a change and go on only if it was accepted: 0 promoted, 1 not, 2 no answer in time.
#   gate.sh REPOSITORY DIFF TITLE [SECONDS]
set -eu
candidate=$(ouroboros --repo "$1" propose "$2" --title "$3" --json | sed -n 's/.*"id": *"\(c[0-9]*\)".*/\1/p')
set +e
ouroboros --repo "$1" wait "$candidate" --timeout "${4:-600}" >&2
status=$?
set -e
case $status in
    0) echo "$candidate is in the branch: deploy" ;;
    11) echo "$candidate has no verdict yet" >&2; exit 2 ;;
    *) ouroboros --repo "$1" explain "$candidate" >&2; exit 1 ;;
esac

#!/bin/sh
# One call by curl.   status.sh SOCKET
set -eu
curl --silent --show-error --fail --unix-socket "$1" http://engine/rpc \
    --header 'Content-Type: application/json' \
    --data '{"jsonrpc": "2.0", "id": 1, "method": "engine.status"}'

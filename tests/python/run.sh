#!/usr/bin/env bash
# A second opinion: python-engineio and python-socketio, which share no line with the JavaScript implementation. Takes a
# few seconds.
#
#   tests/python/run.sh server COMMAND       its client drives a server, which listens on 127.0.0.1:$PORT
#   tests/python/run.sh client COMMAND       its server drives a client, which is started as COMMAND URL SCENARIO
#   tests/python/run.sh sio-server COMMAND   as `server`, with the client of Socket.IO
#   tests/python/run.sh sio-client COMMAND   as `client`, with the server of Socket.IO
#   tests/python/run.sh sio-cluster COMMAND  its server beside a node of a cluster, on one Redis
#
# Behind the COMMAND of a client, the names of scenarios that are left out.
#
# PYTHON3 names a CPython 3.10 or later with its module venv (default: python3 of the PATH).
# The virtual environment stays in target/python; OUT names another folder.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${OUT:-${CARGO_TARGET_DIR:-$root/target}/python}
[ $# -ge 2 ] || { echo "usage: run.sh (server | client | sio-server | sio-client | sio-cluster) COMMAND" >&2; exit 2; }

# Marked with the requirements it holds, so that it is made anew when they change or a run broke off. Two runs at the
# same time make it one after the other.
venv=$out/venv
mkdir -p "$out"
exec 9> "$out/lock"
flock 9
export PIP_DISABLE_PIP_VERSION_CHECK=1
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    "${PYTHON3:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --no-deps -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
exec 9>&-

case $1 in
server) exec "$venv/bin/python" -B "$here/client.py" "$2" ;;
sio-server) exec "$venv/bin/python" -B "$here/sio_client.py" "$2" ;;
sio-cluster) exec "$venv/bin/python" -B "$here/sio_cluster.py" "$2" ;;
sio-client) exec "$venv/bin/python" -B "$here/sio_server.py" "$2" ;;
client) exec "$venv/bin/python" -B "$here/server.py" "${@:2}" ;;
*) echo "run.sh: no such peer: $1" >&2; exit 2 ;;
esac

#!/usr/bin/env bash
# Runs the Autobahn|Testsuite (sections 1 to 7, 10, 12, 13) against a WebSocket echo server and fails unless every case is
# OK, but for those that the suite does not judge. Takes 20 minutes, nearly all for compression; ws-echo: 463 cases, 460 OK, 3 INFORMATIONAL,
# which verdict.py names and explains.
#
#   tests/autobahn/run.sh [COMMAND]
#
# COMMAND listens on 127.0.0.1:$PORT and echoes; without one, cargo builds `ws-echo` of this workspace.
# PYTHON2 names a CPython 2.7, which the suite needs (default: python2.7 of the PATH, else pyenv's).
# The virtualenv and the report stay in target/autobahn; OUT names another folder.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${OUT:-${CARGO_TARGET_DIR:-$root/target}/autobahn}
mkdir -p "$out"
out=$(cd "$out" && pwd)

find_python() {
    local candidate
    for candidate in "${PYTHON2:-}" "$(command -v python2.7 || true)" \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "run.sh: no CPython 2.7 found; name one in PYTHON2" >&2
    return 1
}

# The virtualenv is marked with the requirements it holds, so that it is made anew when they change or a run broke off.
venv=$out/venv
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONWARNINGS=ignore
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    python=$(find_python)
    rm -rf "$venv" "$out/virtualenv"
    # Into a folder of its own: nothing is installed into the interpreter.
    "$python" -m pip install --quiet --target "$out/virtualenv" 'virtualenv==20.15.1'
    PYTHONPATH=$out/virtualenv "$python" -m virtualenv --quiet "$venv"
    "$venv/bin/pip" install --quiet --no-deps -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi

if [ $# -gt 0 ]; then
    command=$1
else
    cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p enginewire-tests --bin ws-echo
    command=${CARGO_TARGET_DIR:-$root/target}/release/ws-echo
fi

PORT=$("$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export PORT
sh -c "exec $command" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT

for _ in $(seq 150); do
    kill -0 "$server" 2>/dev/null || { echo "run.sh: the server ended before it listened" >&2; exit 1; }
    (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && listening=yes && break
    sleep 0.1
done
[ "${listening:-}" = yes ] || { echo "run.sh: nothing listens on port $PORT after 15 s" >&2; exit 1; }

rm -rf "$out/report"
sed -e "s|@PORT@|$PORT|" -e "s|@OUT@|$out/report|" "$here/config.json.in" > "$out/config.json"
# wstest leaves files in its working directory.
(cd "$out" && "$venv/bin/wstest" -m fuzzingclient -s config.json > wstest.log 2>&1) ||
    { tail -n 20 "$out/wstest.log" >&2; exit 1; }
kill -0 "$server" 2>/dev/null || { echo "run.sh: the server ended during the run" >&2; exit 1; }

"$venv/bin/python" "$here/verdict.py" "$out/report/index.json"

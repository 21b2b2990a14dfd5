#!/usr/bin/env bash
# Throws generated requests at a server, for some minutes, with Schemathesis (`pip install schemathesis`) over the server's own description
# of its interface, and looks for three things: answers of 5xx (501 aside, which says what is not there yet), requests without an
# answer, and memory that grows.
#
#   compat/fuzz_http.sh [MINUTES] [DOCUMENT]
#
# MINUTES is 10. DOCUMENT is a file with an OpenAPI document, instead of the server's GET /api/v3/openapi.json. INFLUXDB3_BINARY names the
# server, SCHEMATHESIS the program. Four fifths of the time go to a server without tokens and all of its endpoints, the last fifth to one
# with tokens and those that manage them. Ends with 0 when all is well, 1 when something was found, 2 when it could not be tried.
set -uo pipefail
document=${2:+$(realpath -- "$2")}
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

minutes=${1:-10}
binary=${INFLUXDB3_BINARY:-${CARGO_TARGET_DIR:-target}/release/influxdb3}
schemathesis=${SCHEMATHESIS:-schemathesis}
answer_seconds_max=20

if ! command -v "$binary" > /dev/null || ! command -v "$schemathesis" > /dev/null; then
  echo "fuzz: needs $binary and $schemathesis" >&2
  exit 2
fi
# It keeps a cache in the folder where it runs, which is to go with everything else.
schemathesis=$(realpath --no-symlinks "$(command -v "$schemathesis")")
case "$minutes" in
  '' | *[!0-9]* | 0) echo "fuzz: no number of minutes: '$minutes'" >&2; exit 2 ;;
esac

folder=$(mktemp -d)
server=""
sampler=""
finish() {
  for process in $sampler $server; do
    kill -KILL "$process" 2> /dev/null
  done
  rm -rf "$folder"
}
trap finish EXIT
found=0

# Starts a server with these further options; sets `server`, `url`.
start() {
  rm -f "$folder/address"
  "$binary" serve --node-id fuzz --object-store file --data-dir "$folder/data" --http-bind 127.0.0.1:0 --memory-limit 512mb \
    --tcp-listener-file-path "$folder/address" "$@" > "$folder/log" 2>&1 &
  server=$!
  for _ in $(seq 300); do
    if [ -s "$folder/address" ] || ! kill -0 "$server" 2> /dev/null; then
      break
    fi
    sleep 0.1
  done
  if [ ! -s "$folder/address" ]; then
    echo "fuzz: the server does not start: $(tail -n 1 "$folder/log")" >&2
    exit 2
  fi
  url="http://$(cat "$folder/address")"
}

resident_kib() {
  awk '/^VmRSS:/ { print $2 }' "/proc/$server/status" 2> /dev/null
}

# Asks for SECONDS, with further options of Schemathesis.
throw() {
  local seconds=$1 name=$2
  shift 2
  : > "$folder/resident"
  while resident_kib >> "$folder/resident"; do sleep 2; done &
  sampler=$!
  # `--max-time` is kept between requests; the outer bound is for a program that hangs itself.
  timeout --kill-after 10 "$((seconds + 120))" env --chdir "$folder" "$schemathesis" --config-file "$folder/schemathesis.toml" run "$folder/document.json" \
    --url "$url" --max-time "$seconds" --checks not_a_server_error --request-timeout "$answer_seconds_max" \
    --continue-on-failure --warnings off --suppress-health-check all "$@" > "$folder/told" 2>&1
  local code=$?
  kill "$sampler" 2> /dev/null
  wait "$sampler" 2> /dev/null
  sampler=""
  if [ "$code" -ne 0 ]; then
    cat "$folder/told"
    echo "fuzz: $name: exit code $code"
    found=1
  else
    tail -n 12 "$folder/told"
  fi
}

# The server answers, has not grown, and stops in order.
look() {
  local name=$1 samples early late status
  # Memory that was freed goes back to the system after a second or two.
  sleep 5
  status=$(curl -sS --max-time "$answer_seconds_max" --output /dev/null --write-out '%{http_code}' "$url/health")
  case "$status" in
    200 | 401) ;;
    *) echo "fuzz: $name: /health is answered with '$status'"; found=1 ;;
  esac
  late=$(resident_kib)
  samples=$(wc -l < "$folder/resident")
  early=$(sed -n "$((samples / 4 + 1))p" "$folder/resident")
  echo "fuzz: $name: resident after a quarter of the time ${early:-?} KiB, at the end ${late:-?} KiB, at most $(sort -n "$folder/resident" | tail -n 1) KiB"
  if [ -n "$early" ] && [ -n "$late" ] && [ "$late" -gt $((early * 3 / 2 + 65536)) ]; then
    echo "fuzz: $name: memory grew by more than half and 64 MiB"
    found=1
  fi
  kill -TERM "$server"
  for _ in $(seq 600); do
    kill -0 "$server" 2> /dev/null || break
    sleep 0.1
  done
  if kill -0 "$server" 2> /dev/null; then
    echo "fuzz: $name: the server does not stop"
    found=1
    kill -KILL "$server"
  fi
  wait "$server"
  status=$?
  server=""
  if [ "$status" -ne 0 ] || grep -q 'panicked at' "$folder/log"; then
    echo "fuzz: $name: the server ended with $status: $(grep -A 2 'panicked at' "$folder/log" | head -n 3)"
    found=1
  fi
}

cat > "$folder/schemathesis.toml" <<'SETTINGS'
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "501"]
SETTINGS

start --without-auth
if [ -n "$document" ]; then
  cp "$document" "$folder/document.json" || exit 2
else
  if ! curl -sS --fail-with-body --max-time "$answer_seconds_max" --output "$folder/document.json" "$url/api/v3/openapi.json"; then
    echo "fuzz: the server does not describe itself" >&2
    exit 2
  fi
fi
# A heap profile that is not being taken is answered with 503, as clients know it.
throw "$((minutes * 48))" "all endpoints" --exclude-path /debug/pprof/heap
look "all endpoints"

start --bootstrap-token-file "$folder/operator"
# An administrator of its own, so that the operator's token cannot be taken from under the others.
token=$(INFLUXDB3_AUTH_TOKEN=$(cat "$folder/operator") INFLUXDB3_HOST_URL=$url "$binary" create token --admin --name fuzz --strict --format token) || exit 2
throw "$((minutes * 12))" "tokens" --include-path-regex token --header "Authorization: Bearer $token"
look "tokens"

if [ "$found" -eq 0 ]; then
  echo "fuzz: nothing was found"
fi
exit "$found"

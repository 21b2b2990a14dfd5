#!/bin/sh
# Runs influxdb3 with the arguments of the container, as its only process, so that it gets the signals.
#
# $NAME and ${NAME} in arguments are replaced from the environment. The name of the binary may stand before them, options alone mean
# `serve`, and INFLUXDB3_UNSET_VARS names variables, with commas, that the server should not see.
set -eu

for name in $(printf '%s' "${INFLUXDB3_UNSET_VARS:-}" | tr ',' ' '); do
  unset "$name"
done

left=$#
while [ "$left" -gt 0 ]; do
  # The full stop keeps line ends, which $(…) would take away.
  argument=$(printf '%s.' "$1" | envsubst)
  shift
  set -- "$@" "${argument%.}"
  left=$((left - 1))
done

case "${1:-}" in
  influxdb3 | /usr/bin/influxdb3) shift ;;
esac

case "${1:-}" in
  -h | --help | --help-all | -V | --version) ;;
  -*)
    # Options of the root may stand before `serve`; then it is there.
    has_command=no
    for argument in "$@"; do
      if [ "$argument" = serve ]; then
        has_command=yes
      fi
    done
    if [ "$has_command" = no ]; then
      set -- serve "$@"
    fi
    ;;
esac

exec "${INFLUXDB3_BINARY:-/usr/bin/influxdb3}" "$@"

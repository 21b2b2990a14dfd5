#!/bin/bash
# Whether the server of this container answers. Any answer of HTTP will do: a refusal for want of a token, and the one that says that
# this port speaks TLS, come from a server that lives. INFLUXDB3_HEALTH_PORT is the port, if it is not 8181.
set -eu

exec 3<> "/dev/tcp/127.0.0.1/${INFLUXDB3_HEALTH_PORT:-8181}"
printf 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r -t 4 answer <&3
case "$answer" in
  HTTP/1.*) ;;
  *) exit 1 ;;
esac

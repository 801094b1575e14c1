# What the hidden preparations of pages share. Each page is run in a shell of its own.

started=()

# Stops the servers that were started.
stop() {
  kill "${started[@]}"
  wait "${started[@]}"
  started=()
}

# Starts a server as if in another terminal, and waits until it answers.
server() {
  sessionmeter serve "$@" > "$OUT/server" 2> "$OUT/server.log" < /dev/null &
  started+=($!)
  until grep -q '^sessionmeter listens' "$OUT/server"; do
    kill -0 $! || return
    sleep 0.05
  done
}

# Exports KEY, a new key with all permissions.
key() {
  KEY=$(sessionmeter key create "page-$RANDOM" --permission all --json | sed 's/.*"key":"\([^"]*\)".*/\1/')
  export KEY
}

# Prints sessions of APP: each COUNT by the hour, from the Unix second FROM, in the fields that segments ask for.
sessions() {
  awk -v app="$1" -v count="$2" -v from="$3" 'BEGIN {
    for (n = 0; n < count; n++)
      printf "{\"app_id\":\"%s\",\"session_id\":\"s-%d-%d\",\"started_at\":%d,\"user_id\":\"u-%d\",\"country\":\"%s\"}\n",
        app, from, n, from + 3600 * n, n % 90, n % 5 ? "US" : "BR"
  }'
}

# Gives a page the store that `make_acme` made.
acme() {
  cp -r "$ACME" "${SESSIONMETER_DATA:-sessionmeter-data}"
}

# Makes the store of most pages: workspace acme in New York with three apps, and two months of sessions of each.
make_acme() {
  sessionmeter workspace create acme --time-zone America/New_York &&
  sessionmeter app create 'Shop (iOS)' --platform ios --id 560d24b8-fb97-4a69-8fdb-a1d4b7bf9e7c &&
  sessionmeter app create 'Shop (Android)' --platform android --id 00dc3cf6-1763-5d5b-8264-db458aa346c3 &&
  sessionmeter app create Web --platform web --id 37cfa396-34e6-4221-8fa5-c83458623c11 &&
  for app in 560d24b8-fb97-4a69-8fdb-a1d4b7bf9e7c 00dc3cf6-1763-5d5b-8264-db458aa346c3 37cfa396-34e6-4221-8fa5-c83458623c11; do
    sessions $app 1440 1790308800
  done | sessionmeter import -
}

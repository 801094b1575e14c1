#!/usr/bin/env python3
"""sessionmeter beside DuckDB and ClickHouse (as chdb): the same questions about the same sessions.

    pip install duckdb chdb
    cargo build --release
    python3 benches/engines.py target/release/sessionmeter

Makes 5 million sessions of a million users over 400 days, lets each engine load them into its own form on disk, and asks four
questions about 100 days that ended in the middle: cold, by a new process (sessionmeter: from its start to the answer over HTTP; the
others: from opening their files, their libraries being loaded already), and hot, by the same process, the median of five. The answers
must be equal. SESSIONS in the environment changes the size.
"""

import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

SESSIONS = int(os.environ.get("SESSIONS", 5_000_000))
USERS = SESSIONS // 5
DAYS = 400
LENGTH = 100
HOT = 5
DAY = 86_400
APP = "6f2a1c3e-0b5d-4f0e-9d5a-1c2b3a4d5e6f"
COUNTRIES = ["BR", "US", "DE", "MX", "FR", "IN", "JP", "GB"]
PLATFORMS = ["ios", "android", "web"]

TODAY = int(time.time()) // DAY
FIRST = TODAY - DAYS
LAST = TODAY - 150
BEGIN = LAST - LENGTH + 1

FILTER = {"all": [
    {"field": "country", "op": "in", "value": ["BR", "MX"]},
    {"field": "platform", "op": "ne", "value": "web"},
]}


def date(day):
    return time.strftime("%Y-%m-%d", time.gmtime(day * DAY))


def write_csv(path):
    """Sessions in the order of their days, as they come in life."""
    random.seed(5)
    with open(path, "w", encoding="ascii") as file:
        file.write("app_id,session_id,started_at,user_id,country,platform\n")
        for number in range(SESSIONS):
            day = FIRST + number * DAYS // SESSIONS
            user = int(random.random() ** 2 * USERS)
            at = day * DAY + random.randrange(DAY)
            country, platform = COUNTRIES[user % 8], PLATFORMS[user // 8 % 3]
            file.write(f"{APP},s{number},{at},u{user},{country},{platform}\n")


# Each question: what sessionmeter is asked, the name of its numbers, and SQL with {day} for the day of a session.
QUESTIONS = {
    "sessions a day, a filter that is asked for the first time": (
        "/sessions/query?" + urllib.parse.urlencode(
            {"from": date(BEGIN), "to": date(LAST), "filter": json.dumps(FILTER)}),
        "sessions",
        f"SELECT day, count(*) FROM sessions WHERE day BETWEEN {BEGIN} AND {LAST} AND country IN ('BR', 'MX') "
        "AND platform != 'web' GROUP BY day ORDER BY day",
    ),
    "daily users": (
        f"/kpi/dau/data_series?length={LENGTH}&ending_at={date(LAST)}",
        "dau",
        f"SELECT day, count(DISTINCT user_id) FROM sessions WHERE day BETWEEN {BEGIN} AND {LAST} GROUP BY day ORDER BY day",
    ),
    "monthly users, each day": (
        f"/kpi/mau/data_series?length={LENGTH}&ending_at={date(LAST)}",
        "mau",
        "SELECT ending, count(DISTINCT user_id) FROM (SELECT user_id, arrayJoin(range(day, day + 30)) AS ending FROM "
        f"(SELECT DISTINCT day, user_id FROM sessions WHERE day BETWEEN {BEGIN - 29} AND {LAST})) "
        f"WHERE ending BETWEEN {BEGIN} AND {LAST} GROUP BY ending ORDER BY ending",
    ),
    "sessions a day by country": (
        "/sessions/query?" + urllib.parse.urlencode(
            {"from": date(BEGIN), "to": date(LAST), "group_by": "country"}),
        "sessions",
        f"SELECT country, day, count(*) FROM sessions WHERE day BETWEEN {BEGIN} AND {LAST} GROUP BY country, day "
        "ORDER BY country, day",
    ),
}


def numbers_of(body, name):
    """An answer's numbers in an order that doesn't depend on who gave it."""
    points = [(point.get("group") or "", point["time"], point[name]) for point in json.loads(body)["data"]]
    return [number for *_, number in sorted(points)]


class Sessionmeter:
    name = "sessionmeter"

    def __init__(self, binary, place):
        self.binary, self.data = binary, os.path.join(place, "sessionmeter")

    def run(self, *arguments):
        done = subprocess.run([self.binary, "--data", self.data, *arguments, "--json"], check=True, capture_output=True)
        return json.loads(done.stdout)

    def load(self, csv):
        self.run("workspace", "create", "bench")
        self.run("app", "create", "web", "--workspace", "bench", "--id", APP)
        self.run("import", csv, "--workspace", "bench")
        self.key = self.run("key", "create", "k", "--workspace", "bench", "--permission", "all")["key"]

    def open(self):
        self.server = subprocess.Popen(
            [self.binary, "--data", self.data, "serve", "--listen", "127.0.0.1:0", "--ops-listen", "off", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        listen = json.loads(self.server.stdout.readline())["listen"]
        # Kept open from question to question, as clients that ask often keep theirs.
        self.connection = http.client.HTTPConnection(listen)

    def ask(self, question):
        path, name, _ = QUESTIONS[question]
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {self.key}"})
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{path}: {answer.status}: {body}")
        return body, name

    def numbers(self, answer):
        return numbers_of(*answer)

    def close(self):
        self.connection.close()
        self.server.terminate()
        self.server.wait()


class DuckDb:
    name = "DuckDB"

    def __init__(self, place):
        self.file = os.path.join(place, "duck.db")

    def load(self, csv):
        import duckdb
        with duckdb.connect(self.file) as connection:
            connection.execute(
                f"CREATE TABLE sessions AS SELECT (started_at // {DAY})::INTEGER AS day, user_id, country, platform "
                f"FROM read_csv('{csv}')")

    def open(self):
        import duckdb
        self.connection = duckdb.connect(self.file, read_only=True)

    def ask(self, question):
        sql = QUESTIONS[question][2].replace("arrayJoin(", "unnest(")
        return self.connection.execute(sql).fetchall()

    def numbers(self, answer):
        return [row[-1] for row in answer]

    def close(self):
        self.connection.close()


class ClickHouse:
    name = "ClickHouse (chdb)"

    def __init__(self, place):
        self.place = os.path.join(place, "chdb")

    def load(self, csv):
        self.open()
        self.session.query("CREATE DATABASE bench")
        self.session.query(
            "CREATE TABLE bench.sessions (day UInt16, user_id String, country LowCardinality(String), "
            "platform LowCardinality(String)) ENGINE = MergeTree ORDER BY day")
        self.session.query(
            f"INSERT INTO bench.sessions SELECT intDiv(started_at, {DAY}), user_id, country, platform "
            f"FROM file('{csv}', CSVWithNames)")
        self.session.query("OPTIMIZE TABLE bench.sessions FINAL")
        self.close()

    def open(self):
        from chdb.session import Session
        self.session = Session(self.place)

    def ask(self, question):
        sql = QUESTIONS[question][2].replace("FROM sessions", "FROM bench.sessions")
        return str(self.session.query(sql, "TSV"))

    def numbers(self, answer):
        return [int(line.split("\t")[-1]) for line in answer.splitlines()]

    def close(self):
        self.session.close()


def timed(work):
    begun = time.perf_counter()
    result = work()
    return (time.perf_counter() - begun) * 1000, result


def measure(engine, question):
    """Cold and hot milliseconds, and the numbers."""
    def cold():
        engine.open()
        return engine.ask(question)
    first, answer = timed(cold)
    hot = [timed(lambda: engine.ask(question))[0] for _ in range(HOT)]
    numbers = engine.numbers(answer)
    engine.close()
    return first, statistics.median(hot), numbers


def in_new_process(engine, question):
    """Measured where nothing of the engine has been open before."""
    import multiprocessing
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        pool.apply(preload, (engine,))
        return pool.apply(measure, (engine, question))


def preload(engine):
    """Loading a library is no part of a question."""
    if isinstance(engine, DuckDb):
        __import__("duckdb")
    elif isinstance(engine, ClickHouse):
        __import__("chdb.session")


def main():
    with tempfile.TemporaryDirectory() as place:
        csv = os.path.join(place, "sessions.csv")
        write_csv(csv)
        engines = [Sessionmeter(os.path.abspath(sys.argv[1]), place), DuckDb(place), ClickHouse(place)]
        for engine in engines:
            took, _ = timed(lambda: engine.load(csv))
            print(f"{engine.name}: {SESSIONS:,} sessions loaded in {took / 1000:.1f} s", flush=True)
        for question in QUESTIONS:
            expected = None
            for engine in engines:
                cold, hot, numbers = in_new_process(engine, question)
                expected = expected or numbers
                if numbers != expected:
                    sys.exit(f"{engine.name} answers otherwise: {question}")
                print(f"{question} | {engine.name} | cold {cold:.1f} ms | hot {hot:.2f} ms", flush=True)


if __name__ == "__main__":
    main()

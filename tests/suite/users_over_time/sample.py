"""Users over time of a file of sessions, straight from its lines: python3 sample.py FILE ZONE

Prints, for each day of the two years with most sessions, its users, those of the 30 days that end with it, its new users,
and how many users' latest session was made at an offset of +00:00; and for each offset its sessions by day.
"""

import collections
import datetime
import gzip
import json
import sys
import zoneinfo

file, zone = sys.argv[1], zoneinfo.ZoneInfo(sys.argv[2])
seen, sessions = set(), []
for line in gzip.open(file, "rt", encoding="utf-8"):
    session = json.loads(line)
    start = datetime.datetime.fromisoformat(session["started_at"].replace("Z", "+00:00"))
    identity = (session["app_id"], session["session_id"], start.astimezone(datetime.timezone.utc).date())
    if identity in seen:
        continue
    seen.add(identity)
    second = start.timestamp()
    sessions.append({
        "day": start.astimezone(zone).date(),
        "user": session["user_id"],
        "offset": session["attributes"]["utc_offset"],
        # What of two sessions is the later one.
        "order": (second // 900, session["app_id"], second, session["session_id"].encode()),
    })

by_year = collections.Counter(session["day"].year for session in sessions)
first = max(by_year, key=lambda year: by_year[year] + by_year[year + 1])
days = [datetime.date(first, 1, 1) + datetime.timedelta(days=number) for number in range(731)]
days = [day for day in days if day.year <= first + 1]

users = collections.defaultdict(set)
first_day = {}
by_offset = collections.defaultdict(collections.Counter)
for session in sessions:
    day, user = session["day"], session["user"]
    users[day].add(user)
    first_day[user] = min(day, first_day.get(user, day))
    by_offset[session["offset"]][day] += 1
new = collections.Counter(first_day.values())

sessions.sort(key=lambda session: session["order"])
sizes, latest, place = {}, {}, 0
by_day = sorted(sessions, key=lambda session: session["day"])
for day in days:
    while place < len(by_day) and by_day[place]["day"] <= day:
        session = by_day[place]
        known = latest.get(session["user"])
        if known is None or session["order"] > known["order"]:
            latest[session["user"]] = session
        place += 1
    sizes[day] = sum(session["offset"] == "+00:00" for session in latest.values())


def month(day):
    return set().union(*(users[day - datetime.timedelta(days=back)] for back in range(30)))


json.dump({
    "days": [str(day) for day in days],
    "dau": [len(users[day]) for day in days],
    "mau": [len(month(day)) for day in days],
    "new_users": [new[day] for day in days],
    "size": [sizes[day] for day in days],
    "offsets": {str(offset): [counts[day] for day in days] for offset, counts in by_offset.items()},
}, sys.stdout)

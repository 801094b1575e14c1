"""Uses the client that openapi-python-client made. Usage: client.py FOLDER URL KEY APP, with the package in FOLDER/meter."""

import sys

folder, url, key, app = sys.argv[1:5]
sys.path.insert(0, folder)

from meter import AuthenticatedClient  # noqa: E402
from meter.api.export import sessions_data_series  # noqa: E402
from meter.api.record import sessions_track, users_track  # noqa: E402
from meter.api.segments import segments_create  # noqa: E402
from meter.models import (  # noqa: E402
    Condition,
    CreateSegment,
    NotFilter,
    Operator,
    Session,
    SessionAttributes,
    SessionsDataSeriesUnit,
    TrackRequest,
    UserAttributes,
    UsersRequest,
)

client = AuthenticatedClient(base_url=url, token=key, httpx_args={"trust_env": False})

attributes = SessionAttributes.from_dict({"plan": "pro", "seats": 5, "trial": False})
sessions = [
    Session(app_id=app, session_id="python-1", started_at="2024-01-01T12:00:00Z", country="BR", attributes=attributes),
    Session(app_id=app, session_id="python-2", started_at=1_704_110_400, duration=12.5),
]
tracked = sessions_track.sync(client=client, body=TrackRequest(sessions=sessions))
assert (tracked.sessions_processed, tracked.duplicates) == (2, 0), tracked

series = sessions_data_series.sync(
    client=client, length=2, unit=SessionsDataSeriesUnit.DAY, ending_at="2024-01-01", app_id=app
)
assert [(point.time, point.sessions) for point in series.data] == [("2023-12-31", 0), ("2024-01-01", 2)], series

refused = sessions_data_series.sync_detailed(client=client, length=0)
assert refused.status_code == 400 and "'length'" in refused.parsed.message, refused

user = UserAttributes.from_dict({"external_id": "u1", "plan": "pro", "old": None})
assert users_track.sync(client=client, body=UsersRequest(attributes=[user])).attributes_processed == 1

not_in_brazil = NotFilter(not_=Condition(field="country", op=Operator.EQ, value="BR"))
created = segments_create.sync_detailed(client=client, body=CreateSegment(name="Elsewhere", filter_=not_in_brazil))
assert created.status_code == 201, created

"""Usage: sentry.py application|request DSN. Tracks one session, or those of three requests to a WSGI application."""

import sys

import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.sessions import track_session

mode, dsn = sys.argv[1:]
sentry_sdk.init(dsn, release="shop@1.2.3+456", environment="test", auto_session_tracking=True)


def application(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]


if mode == "application":
    with track_session(sentry_sdk.get_isolation_scope(), session_mode="application"):
        sentry_sdk.set_user({"id": "u1"})
else:
    wrapped = SentryWsgiMiddleware(application)
    for _ in range(3):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "x", "SERVER_PORT": "80",
                   "wsgi.url_scheme": "http"}
        answer = wrapped(environ, lambda status, headers, info=None: None)
        assert b"".join(answer) == b"hello"
        answer.close()
sentry_sdk.get_client().close(timeout=60)

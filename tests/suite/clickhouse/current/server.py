"""Answers over HTTP as a ClickHouse server does, with the current engine inside: as much as a client library asks for.

Prints its address when it listens. Statements run one after the other.
"""

import struct
import sys
import tempfile
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import lz4.block
from chdb import session

# What is meant for the interface and not for the engine.
INTERFACE = {
    "compress", "database", "decompress", "default_format", "password", "query", "query_id", "user", "wait_end_of_query",
}
CHECKSUM = 16
HEAD = 9

engine = session.Session()
turn = threading.Lock()


def decompressed(body):
    """Blocks: checksum, method, size with this head, size when decompressed, data."""
    out, at = [], 0
    while at < len(body):
        at += CHECKSUM
        method, size, full = struct.unpack_from("<BII", body, at)
        assert method == 0x82, method
        out.append(lz4.block.decompress(body[at + HEAD:at + size], uncompressed_size=full))
        at += size
    return b"".join(out)


def run(sql, settings, output):
    for name, value in settings.items():
        engine.query(f"SET {name} = '{value}'")
    return engine.query(sql, output).bytes() or b""


def insert(sql, body, settings):
    """What is delivered comes from a file: this engine has no connection that it could read it from."""
    target = sql.removeprefix("INSERT INTO ").removesuffix(" FORMAT RowBinary")
    table, columns = target.removesuffix(")").split("(", 1)
    database, table = table.split(".")
    names = [column.strip().strip("`") for column in columns.split(",")]
    described = engine.query(
        f"SELECT name, type FROM system.columns WHERE database = '{database}' AND table = '{table}'", "TabSeparated"
    ).bytes().decode()
    types = dict(line.split("\t") for line in described.splitlines())
    structure = ", ".join(f"{name} {types[name]}" for name in names).replace("'", "\\'")
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(body)
        file.flush()
        run(f"INSERT INTO {target} SELECT * FROM file('{file.name}', 'RowBinary', '{structure}')", settings, "Null")
    return b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("transfer-encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def do_POST(self):
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.body()
        settings = {name: value for name, value in parameters.items() if name not in INTERFACE}
        output = parameters.get("default_format", "RowBinary")
        try:
            with turn:
                if sql := parameters.get("query"):
                    if sql.startswith("INSERT"):
                        if parameters.get("decompress") == "1":
                            body = decompressed(body)
                        answer = insert(sql, body, settings)
                    else:
                        answer = run(sql, settings, output)
                else:
                    answer = run(body.decode(), settings, output)
            status = 200
        except Exception as error:  # The client is told, whatever it was.
            traceback.print_exc()
            status, answer = 500, str(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
server.serve_forever()

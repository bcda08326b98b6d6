"""As much of S3's HTTP interface as reading a log takes, over files in a folder: list, head, and get with ranges."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the buckets in a folder; yield what follows `?` in a URI that reads them."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Of", (_Buckets,), {"folder": folder}))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"scheme=http&region=here&endpoint_override=127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Buckets(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def _answer(self) -> None:
        asked = urlsplit(self.path)
        bucket, _, key = unquote(asked.path).lstrip("/").partition("/")
        path, query = self.folder / bucket / key, parse_qs(asked.query)
        if not key and self.command == "GET":
            self._send(200, self._listing(bucket, query.get("prefix", [""])[0]), {"Content-Type": "application/xml"})
        elif key and path.is_file():
            whole = path.read_bytes()
            first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last or len(whole) - 1), len(whole) - 1)
            partial = {"Content-Range": f"bytes {begin}-{end}/{len(whole)}"} if "Range" in self.headers else {}
            self._send(206 if partial else 200, whole[begin : end + 1], {"Last-Modified": MODIFIED, **partial})
        else:
            self._send(200 if not key else 404, b"", {})

    def _listing(self, bucket: str, prefix: str) -> bytes:
        root = self.folder / bucket
        files = [(path, path.relative_to(root).as_posix()) for path in sorted(root.rglob("*")) if path.is_file()]
        contents = [
            f"<Contents><Key>{escape(key)}</Key><Size>{path.stat().st_size}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for path, key in files
            if key.startswith(prefix)
        ]
        said = f"<IsTruncated>false</IsTruncated><KeyCount>{len(contents)}</KeyCount>{''.join(contents)}"
        return f"<ListBucketResult>{said}</ListBucketResult>".encode()

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

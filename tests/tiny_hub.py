"""A real HTTP server which answers as the Hugging Face hub does, for one model in a folder."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, List

from servers import LocalServer

__all__ = ["TinyHub"]

COMMIT = "1" * 40


class TinyHub:
    """Serves the files of `folder` as the model `hub_id`; `asked` keeps what it was asked for, with
    the range of bytes where there was one.

    While `breaks_off`, the connection ends halfway through weights that are asked for whole.
    """

    def __init__(self, hub_id: str, folder: Path, *, breaks_off: bool = False) -> None:
        self.asked: List[str] = []
        self.breaks_off = breaks_off
        hub = self
        files = {path.name: path.read_bytes() for path in folder.iterdir()}

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                name = self.path.rsplit("/", 1)[-1]
                wanted = self.headers.get("Range", "")
                hub.asked.append(f"{self.command} {self.path} {wanted}".rstrip())
                if self.path.startswith(f"/api/models/{hub_id}"):
                    siblings = [{"rfilename": file} for file in files]
                    about = {"id": hub_id, "sha": COMMIT, "siblings": siblings}
                    self._send(json.dumps(about).encode(), body)
                elif self.path.startswith(f"/{hub_id}/resolve/") and name in files:
                    self._send(files[name], body)
                else:
                    self.send_error(404)

            def _send(self, content: bytes, body: bool) -> None:
                start = 0
                wanted = self.headers.get("Range", "")
                if wanted.startswith("bytes=") and wanted.endswith("-"):
                    start = int(wanted[6:-1])
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.end_headers()
                if body:
                    weights = self.path.endswith(".safetensors")
                    cut = hub.breaks_off and weights and not start
                    self.wfile.write(content[start : len(content) // 2 if cut else None])

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = LocalServer(Handler)
        self.url, self.close = server.url, server.close

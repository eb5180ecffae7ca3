"""A stand-in for the W&B server on the loopback: it keeps what arrives, and answers as little as clients accept."""

import base64
import gzip
import json
import re
import threading
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse

KEY = "0123456789abcdef" * 2 + "01234567"  # 40 characters, as real ones have
ENTITY = "somebody"


@dataclass
class Run:
    """What arrived of one run."""

    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)  # group, job type, display name, tags
    complete: bool = False
    exit_code: int | None = None


@dataclass
class StandIn:
    """What arrived."""

    url: str = ""
    runs: dict[str, Run] = field(default_factory=lambda: defaultdict(Run))
    files: dict[str, bytes] = field(default_factory=dict)  # path that was uploaded to -> content
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)  # operations that were answered with nothing
    refused: set[str] = field(default_factory=set)  # runs that are not taken

    def named(self, name: str) -> Run:
        """Return the run of this display name."""
        return next(run for run in self.runs.values() if run.fields.get("displayName") == name)


def _values(text: str | None) -> dict[str, Any]:
    """Return a configuration as it was given: W&B wraps each value."""
    return {name: one["value"] if isinstance(one, dict) else one for name, one in json.loads(text or "{}").items()}


def _answer(server: StandIn, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    found = re.search(r"(?:query|mutation)\s+(\w+)", query)
    operation = found[1] if found else ""
    project = {
        "id": "cA==",
        "internalId": "UHJvamVjdEludGVybmFsSWQ6MQ==",
        "name": variables.get("project") or variables.get("projectName") or "ftlab",
        "entityName": ENTITY,
        "entity": {"id": "ZQ==", "name": ENTITY},
    }
    match operation:
        case "Viewer" | "ViewerDefault":
            return {
                "viewer": {
                    "id": "dQ==",
                    "entity": ENTITY,
                    "username": ENTITY,
                    "flags": "{}",
                    "admin": False,
                    "email": "",
                    "teams": {"edges": [{"node": {"name": ENTITY}}]},
                }
            }
        case "UpsertBucket":
            name = variables["name"]
            run = server.runs[name]
            for key, value in variables.items():
                if value is not None:
                    run.fields[{"groupName": "group"}.get(key, key)] = value
            if variables.get("config"):
                run.config |= _values(variables["config"])
            bucket = {
                "id": base64.b64encode(f"Run:v1:{name}:ftlab:{ENTITY}".encode()).decode(),
                "name": name,
                "displayName": run.fields.get("displayName", name),
                "description": None,
                "config": None,
                "sweepName": None,
                "project": project,
                "historyLineCount": len(run.history),
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        case "CreateRunFiles":
            name = variables["run"]
            urls = [{"name": file, "uploadUrl": f"{server.url}/storage/{name}/{file}"} for file in variables["files"]]
            return {"createRunFiles": {"runID": name, "uploadHeaders": [], "files": urls}}
        case "CreateArtifact":
            server.artifacts.append(variables)
            artifact = {"id": f"artifact{len(server.artifacts)}", "state": "PENDING", "artifactSequence": None}
            artifact["artifactSequence"] = {"id": "s", "latestArtifact": None}
            return {"createArtifact": {"artifact": artifact}}
        case "CreateArtifactManifest":
            number = variables["artifactID"]
            file = {
                "id": "f",
                "name": variables.get("name"),
                "displayName": "manifest",
                "uploadUrl": f"{server.url}/storage/{number}/manifest.json",
                "uploadHeaders": [],
            }
            return {"createArtifactManifest": {"artifactManifest": {"id": f"m{number}", "file": file}}}
        case "CreateArtifactFiles":
            edges = [
                {
                    "node": {
                        "id": "f",
                        "name": one["name"],
                        "displayName": one["name"],
                        "uploadUrl": f"{server.url}/storage/{one['artifactID']}/{one['name']}",
                        "uploadHeaders": [],
                        "artifact": {"id": one["artifactID"]},
                        "storagePath": f"{one['artifactID']}/{one['name']}",
                        "uploadMultipartUrls": None,
                    }
                }
                for one in variables.get("artifactFiles") or variables["input"]["artifactFiles"]
            ]
            return {"createArtifactFiles": {"files": {"edges": edges}}}
        case "CommitArtifact":
            return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": "d"}}}
        case "UpsertView2" | "upsertView":
            server.views.append(variables)
            view = {
                "id": "Vmlldzox",
                "type": variables["type"],
                "name": variables["name"],
                "displayName": variables["displayName"],
                "description": "",
                "project": project,
                "spec": variables["spec"],
                "updatedAt": "2026-01-01T00:00:00",
                "createdAt": "2026-01-01T00:00:00",
            }
            return {"upsertView": {"view": view, "inserted": True}}
        case "Projects" | "GetProjects":
            node = {**project, "createdAt": "2026-01-01T00:00:00", "isBenchmark": False}
            none: dict[str, Any] = {"edges": []}
            person = {"id": "dQ==", "name": ENTITY, "username": ENTITY, "email": "", "admin": False}
            node["user"] = {
                **person,
                "flags": "{}",
                "entity": ENTITY,
                "deletedAt": None,
                "apiKeys": none,
                "teams": none,
            }
            edges = [{"node": node, "cursor": ""}]
            page = {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}
            return {"models": page, "projects": page}
        case "ArtifactType" | "ProjectArtifactType":
            return {"project": None}
        case "RunResumeStatus":
            return {"model": {**project, "bucket": None}}
        case "ServerInfo" | "ServerInfoQuery":
            return {"serverInfo": {"cliVersionInfo": {"max_cli_version": "1.0"}, "features": []}}
        case _:
            server.unknown.append(operation or query[:80])
            return {}


def _stream(run: Run, sent: dict[str, Any]) -> None:
    for name, part in (sent.get("files") or {}).items():
        rows = [json.loads(line) for line in part.get("content", []) if line.strip()]
        if name == "wandb-history.jsonl":
            run.history += rows
        elif name == "wandb-summary.json":
            for row in rows:
                run.summary |= row
    run.complete = run.complete or bool(sent.get("complete"))
    if sent.get("exitcode") is not None:
        run.exit_code = sent["exitcode"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: StandIn

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match self.headers.get("Content-Encoding"):
            case "gzip":
                return gzip.decompress(body)
            case "deflate":
                return zlib.decompress(body)
        return body

    def _reply(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._reply({})

    def do_PUT(self) -> None:
        body = self._body()
        self.state.files[unquote(urlparse(self.path).path).removeprefix("/storage/")] = body
        self._reply({})

    def do_POST(self) -> None:
        body = self._body()
        path = urlparse(self.path).path
        said = self.headers.get("Authorization", "")
        if said.startswith("Basic "):
            self.state.keys.add(base64.b64decode(said.removeprefix("Basic ")).decode().partition(":")[2])
        sent = json.loads(body or b"{}")
        if path.endswith("/graphql"):
            variables = sent.get("variables") or {}
            if "UpsertBucket" in sent["query"] and variables.get("name") in self.state.refused:
                self._reply({"errors": [{"message": "permission denied"}], "data": None}, status=403)
                return
            try:
                self._reply({"data": _answer(self.state, sent["query"], variables)})
            except Exception as error:
                self.state.unknown.append(f"{type(error).__name__} {error}: {sorted(variables)} {sent['query'][:300]}")
                self._reply({"errors": [{"message": str(error)}], "data": None}, status=400)
        elif path.endswith("/file_stream"):
            _stream(self.state.runs[path.split("/")[-2]], sent)
            self._reply({})
        else:
            self.state.unknown.append(path)
            self._reply({}, status=404)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Stay silent: clients drop connections when they are done."""


@contextmanager
def standin() -> Iterator[StandIn]:
    """Serve in a thread."""
    state = StandIn()
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def environment(state: StandIn, home: str) -> dict[str, str]:
    """Return the variables that send clients here, and nowhere else, with a home of their own."""
    return {
        "WANDB_BASE_URL": state.url,
        "WANDB_API_KEY": KEY,
        "WANDB_CONFIG_DIR": home,
        "WANDB_CACHE_DIR": home,
        "WANDB_DATA_DIR": home,
        "NETRC": f"{home}/none",
        "NO_PROXY": "127.0.0.1",
    }

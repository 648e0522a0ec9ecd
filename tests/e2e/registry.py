# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""A read-only image registry on loopback that wants a user and a password; its images are those of scripts/dev-image, as private/NAME:1.

As a program: registry.py USER PASSWORD prints its address (runtimes take one on 127.0.0.1 for plain HTTP) and ends with its input."""
import base64
import hashlib
import http.server
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def descriptor(media_type, content):
    return {"mediaType": media_type, "size": len(content), "digest": digest(content)}


class Registry:
    def __init__(self, user, password, port=0):
        self.expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.blobs, self.manifests = {}, {}  # by digest; by (name, tag or digest)
        self.refused = 0
        self._take_images()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            default_request_version = "HTTP/1.1"  # to one who speaks TLS the answer shall look like HTTP: containerd 2 tries that next

            def do_GET(self):
                registry.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.handle_error = lambda *_: None  # clients drop connections as they like
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _take_images(self):
        with tempfile.TemporaryDirectory() as folder:
            archive = pathlib.Path(folder, "images.tar")
            subprocess.run([str(ROOT / "scripts" / "dev-image"), "build", str(archive)], check=True, capture_output=True)
            with tarfile.open(archive) as tar:
                read = lambda name: tar.extractfile("./" + name).read()
                for image in json.loads(read("manifest.json")):
                    config, layers = read(image["Config"]), [read(layer) for layer in image["Layers"]]
                    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                                           "config": descriptor("application/vnd.oci.image.config.v1+json", config),
                                           "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer) for layer in layers]}).encode()
                    self.blobs.update({digest(blob): blob for blob in (config, *layers)})
                    name, tag = image["RepoTags"][0].removeprefix("pintle.local/").split(":")
                    for reference in (tag, digest(manifest)):
                        self.manifests[f"private/{name}", reference] = manifest

    def answer(self, request):
        if request.headers.get("Authorization") != self.expected:
            self.refused += 1
            return self._send(request, 401, b"{}", "application/json", {"WWW-Authenticate": 'Basic realm="private"'})
        name, _, rest = request.path.removeprefix("/v2/").rpartition("/")
        found, kind = b"{}" if request.path == "/v2/" else None, "application/json"
        if name.endswith("/manifests"):
            found, kind = self.manifests.get((name.removesuffix("/manifests"), rest)), MANIFEST
        elif name.endswith("/blobs"):
            found, kind = self.blobs.get(rest), "application/octet-stream"
        if found is None:
            return self._send(request, 404, b'{"errors":[{"code":"NAME_UNKNOWN"}]}', "application/json", {})
        return self._send(request, 200, found, kind, {"Docker-Content-Digest": digest(found)})

    @staticmethod
    def _send(request, status, body, kind, headers):
        request.send_response(status)
        for key, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            request.send_header(key, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    serving = Registry(*sys.argv[1:3])
    print(serving.address, flush=True)
    sys.stdin.read()
    serving.close()

"""Runs schemathesis against a study's server: what no form, address or method of its OpenAPI document may do.

    cargo build -p hirescam-server --example sample
    pip install schemathesis==4.32.5
    python3 scripts/study_api.py target/debug/examples/sample [further options of schemathesis]

Once as somebody whom the server does not know, and once with a rater's session and the owner's token, on loopback. A reply of 5xx, a status or kind of
content that the document does not name, and an owner's page without the token are failures.
"""

import http.client
import json
import re
import subprocess
import sys
import tempfile
from urllib.parse import urlencode, urlsplit

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method,use_after_free,ignored_auth"


def session(url: str) -> str:
    """The cookie of a rater who has begun."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", "/")
    ticket = re.search(r'name="ticket" value="([^"]+)"', connection.getresponse().read().decode())[1]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/begin", urlencode({"ticket": ticket, "agree": "yes"}), form)
    return connection.getresponse().getheader("Set-Cookie").split(";")[0]


def main() -> int:
    sample, *further = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        command = [sample, "box", f"{folder}/study", "--slots", "100", "--from", "open,prolific,mturk"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            said = json.loads(server.stdout.readline())
            url = said["url"]
            known = ["-H", f"Cookie: {session(url)}", "-H", f"Authorization: Bearer {said['token']}"]
            failed = 0
            for who in ([], known):
                run = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--checks", CHECKS, "--seed", "1"]
                # Slower than the server's limit for a session: its refusals would be all that is seen.
                run += ["--rate-limit", "9/s", "--no-color", "--max-examples", "25", *who, *further]
                failed |= subprocess.run(run).returncode
            alive = http.client.HTTPConnection(urlsplit(url).netloc)
            alive.request("GET", "/health")
            failed |= alive.getresponse().status != 200
        finally:
            server.terminate()
            server.wait()
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

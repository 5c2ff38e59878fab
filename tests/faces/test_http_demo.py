"""A demo project made by the server itself, filled by a process beside it."""

from __future__ import annotations

from pathlib import Path

from tests.story.servers import Server, until


def test_a_demo_project_is_made_and_filled(tmp_path: Path) -> None:
    admin = "an-owner-of-the-server"
    server = Server(tmp_path / "data", admin_key=admin)
    with server:
        status, project = server.call("POST", "/api/v1/demo", {}, key=admin)
        assert status == 202, project
        question = {"kind": "trend", "series": [{"event": "purchase"}], "last": "90 days", "interval": "month"}

        def bought() -> bool:
            status, answer = server.call("POST", f"/api/v1/projects/{project['id']}/ask?fresh=true", question, key=admin)
            return status == 200 and sum(row["value"] for row in answer["rows"]) > 1000

        until(bought, seconds=120)
        status, again = server.call("POST", "/api/v1/demo", {}, key=admin)
        assert status == 409
        assert "already" in again["error"]["message"]
        assert server.call("POST", "/api/v1/demo", {}, key="")[0] == 401

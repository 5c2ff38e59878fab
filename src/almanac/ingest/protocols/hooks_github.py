"""GitHub's webhooks. Event and action make the name, the sender is the person, repository and organization are groups.

The signature is over the body alone (`X-Hub-Signature-256`, an HMAC with SHA-256); a delivery's id, `X-GitHub-Delivery`, stays when it is
delivered again, and counts once.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from almanac.core.mapping import Mapping as Meaning
from almanac.core.source import GitHub
from almanac.ingest.call import Call
from almanac.ingest.protocols.hooks_vendor import Vendor, forged, unsigned

MEANING = Meaning(
    event=["{header:X-GitHub-Event}.{$.action}", "header:X-GitHub-Event"],
    user_id="$.sender.login",
    groups={"repository": "$.repository.full_name", "organization": "$.organization.login"},
    properties={
        "action": "$.action",
        "ref": "$.ref",
        "number": ["$.pull_request.number", "$.issue.number", "$.number"],
        "title": ["$.pull_request.title", "$.issue.title", "$.discussion.title", "$.release.name"],
        "state": ["$.pull_request.state", "$.issue.state", "$.review.state", "$.deployment_status.state"],
        "merged": "$.pull_request.merged",
        "branch": ["$.pull_request.base.ref", "$.workflow_run.head_branch"],
        "label": "$.label.name",
        "tag": "$.release.tag_name",
        "workflow": ["$.workflow_run.name", "$.check_run.name"],
        "conclusion": ["$.workflow_run.conclusion", "$.check_run.conclusion"],
        "link": ["$.pull_request.html_url", "$.issue.html_url", "$.release.html_url", "$.compare"],
        "private": "$.repository.private",
    },
)


def verify(source: GitHub, call: Call) -> None:
    """Raises `denied`."""
    shown = call.header(b"x-hub-signature-256")
    if not shown:
        raise unsigned("X-Hub-Signature-256")
    right = "sha256=" + hmac.new(source.secret.encode(), call.body, "sha256").hexdigest()
    if not hmac.compare_digest(shown.lower().encode("latin-1"), right.encode()):
        raise forged()


def delivery(source: GitHub, document: Any, headers: Mapping[str, str]) -> str:
    """The id that GitHub gives each delivery."""
    return headers.get("x-github-delivery", "")


def finished(source: GitHub, meaning: Meaning, document: Any, message: dict[str, Any]) -> list[dict[str, Any]]:
    """With the number of commits of a push."""
    commits = document.get("commits")
    if isinstance(commits, list):
        message["properties"] = {**message.get("properties", {}), "commit_count": len(commits)}
    return [message]


VENDOR = Vendor("github", MEANING, verify, delivery, lambda source: "X-Hub-Signature-256", finished)

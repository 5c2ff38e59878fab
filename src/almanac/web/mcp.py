"""MCP: the toolbox over HTTP at /mcp, with a read key, and over stdio.

The library is imported when it is first needed: a server that nobody asks so pays neither the time nor the memory.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from almanac.core.errors import AlmanacError
from almanac.web import errors
from almanac.web.auth import Caller, Visitor
from almanac.web.client import Api, WithinApp
from almanac.web.toolbox import INSTRUCTIONS, Toolbox

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

router = APIRouter()


@router.post("/mcp", include_in_schema=False)
async def over_http(request: Request, caller: Caller) -> Response:
    """One message of MCP's streamable HTTP, answered with JSON. Without sessions: each message stands alone, and each shows the key. A
    question that a tool asks is stopped when the connection breaks."""
    await to_thread.run_sync(_admitted, caller)
    gone = asyncio.Event()
    server = server_of(Toolbox(Api(WithinApp(request.app, caller.secret, gone))), caller.rooms.version, request.app.state.tools)
    return _Passed(server, request, gone)


def _admitted(caller: Visitor) -> None:
    """Whoever may read something; what, is seen to whenever a tool reads."""
    caller.reader()


class _Passed(Response):
    """What the library answers to this request."""

    def __init__(self, server: Server[Any], request: Request, gone: asyncio.Event) -> None:
        super().__init__()
        self._server, self._request, self._gone = server, request, gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        body = await self._request.body()
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                await self._gone.wait()
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self._gone.set()

        # No guard against rebinding: what a page of another origin cannot know is the key, or what goes with a cookie.
        manager = StreamableHTTPSessionManager(self._server, json_response=True, stateless=True)
        watching = asyncio.create_task(watch())
        try:
            async with manager.run():
                await manager.handle_request(scope, again, send)
        finally:
            watching.cancel()


def server_of(toolbox: Toolbox, version: str, limiter: CapacityLimiter | None = None) -> Server[Any]:
    """The library's server over a toolbox. `limiter`: of the threads in which tools run."""
    import mcp_types as types
    from mcp.server.lowlevel import Server

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        reads = types.ToolAnnotations(read_only_hint=True, open_world_hint=False)
        tools = [
            types.Tool(name=tool.name, title=tool.title, description=tool.description, input_schema=tool.schema, annotations=reads)
            for tool in toolbox.tools.values()
        ]
        return types.ListToolsResult(tools=tools)

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        found, failed = await to_thread.run_sync(_called, toolbox, params.name, params.arguments or {}, limiter=limiter)
        text = json.dumps(found, ensure_ascii=False, default=str)
        content: list[Any] = [types.TextContent(type="text", text=text)]
        return types.CallToolResult(content=content, structured_content=found, is_error=failed)

    async def list_resources(context: Any, params: Any) -> types.ListResourcesResult:
        pages = [
            types.Resource(uri=page.uri, name=page.name, description=page.description, mime_type="text/markdown") for page in toolbox.pages
        ]
        return types.ListResourcesResult(resources=pages)

    async def read_resource(context: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        from mcp.shared.exceptions import MCPError

        try:
            text = toolbox.read(str(params.uri))
        except AlmanacError as error:
            raise MCPError(types.INVALID_PARAMS, str(error), error.as_json()["error"]) from None
        contents: list[Any] = [types.TextResourceContents(uri=params.uri, mime_type="text/markdown", text=text)]
        return types.ReadResourceResult(contents=contents)

    return Server(
        "almanac",
        version=version,
        title="Almanac",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
    )


def _called(toolbox: Toolbox, name: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The outcome of a tool, and whether it is an error, in the one shape of errors."""
    try:
        return toolbox.call(name, arguments), False
    except AlmanacError as error:
        return error.as_json(), True
    except Exception as error:
        return errors.unforeseen(error, f"/mcp {name}").as_json(), True


def over_stdio(api: Api, version: str, *, project: str = "") -> None:
    """Serves who started this process, until it closes its end. `project`: the one that is meant when a tool is told none."""
    import anyio
    from mcp.server.stdio import stdio_server

    server = server_of(Toolbox(api, project), version)

    async def serve() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(serve)

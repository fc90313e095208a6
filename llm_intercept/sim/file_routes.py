"""`/v1/files`: upload, list, describe, download, delete, in OpenAI's shape or Anthropic's."""

import hashlib
import time
from datetime import UTC, datetime

from aiohttp import web

from llm_intercept.sim.errors import openai_error
from llm_intercept.sim.fate import Failure
from llm_intercept.sim.files import LINE, StoredFile, keepable
from llm_intercept.sim.multipart import Buffer, Part, buffer, fields, parts
from llm_intercept.sim.prompt import Json
from llm_intercept.sim.serve import BadRequest, Call, refuse, send_json

_CHUNK = 1 << 16


def _anthropic(call: Call) -> bool:
    return "anthropic-version" in call.request.headers


def _described(call: Call, file: StoredFile) -> Json:
    if _anthropic(call):
        created = datetime.fromtimestamp(file.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        about: Json = {
            "id": file.id,
            "type": "file",
            "filename": file.filename,
            "mime_type": file.content_type,
        }
        return {**about, "size_bytes": file.size, "created_at": created, "downloadable": True}
    about = {"id": file.id, "object": "file", "bytes": file.size, "created_at": file.created}
    return {**about, "filename": file.filename, "purpose": file.purpose, "status": "processed"}


async def upload(call: Call) -> web.StreamResponse:
    data = buffer(call.file)
    found = list(parts(data, call.header("content-type")))
    content = next((p for p in found if p.filename is not None), None)
    if content is None:
        raise BadRequest("'file' is a required property of a multipart/form-data body")
    file = _store(call, data, content, fields(data, found).get("purpose", "user_data"))
    call.simulator.files.add(file)
    return await send_json(call, _described(call, file))


def _store(call: Call, data: Buffer, part: Part, purpose: str) -> StoredFile:
    digest = hashlib.sha256()
    for at in range(part.start, part.end, _CHUNK):
        digest.update(data[at : min(at + _CHUNK, part.end)])
    filename = part.filename or "file"
    known = call.simulator.files.get(filename)  # sim-NNmb stays what it promises
    return StoredFile(
        id=f"file-{filename if known else call.simulator.dice.id()}",
        filename=filename,
        purpose=purpose,
        size=part.size,
        sha256=digest.hexdigest(),
        created=int(time.time()),
        content=data[part.start : part.end] if keepable(part.size) else None,
        content_type=part.content_type or "application/octet-stream",
    )


async def listing(call: Call) -> web.StreamResponse:
    described = [_described(call, file) for file in call.simulator.files.all]
    ends = {
        "first_id": described[0]["id"] if described else None,
        "last_id": described[-1]["id"] if described else None,
    }
    return await send_json(call, {"object": "list", "data": described, "has_more": False, **ends})


def _missing(call: Call) -> web.StreamResponse:
    wanted = call.request.match_info["file"]
    return refuse(call, Failure(404, "model", f"No such File object: {wanted}"), openai_error)


async def describe(call: Call) -> web.StreamResponse:
    file = call.simulator.files.get(call.request.match_info["file"])
    return await send_json(call, _described(call, file)) if file else _missing(call)


async def delete(call: Call) -> web.StreamResponse:
    wanted = call.request.match_info["file"]
    if not call.simulator.files.remove(wanted):
        return _missing(call)
    shape = {"type": "file_deleted"} if _anthropic(call) else {"object": "file", "deleted": True}
    return await send_json(call, {"id": wanted, **shape})


async def content(call: Call) -> web.StreamResponse:
    """The file's bytes; of one that was too large to keep, filler of the same size."""
    file = call.simulator.files.get(call.request.match_info["file"])
    if file is None:
        return _missing(call)
    response = web.StreamResponse(headers={"Content-Type": file.content_type})
    response.content_length = file.size
    await response.prepare(call.request)
    filler = (LINE * (_CHUNK // len(LINE) + 1))[:_CHUNK]
    for at in range(0, file.size, _CHUNK):
        source = file.content[at : at + _CHUNK] if file.content is not None else filler
        await response.write(source[: file.size - at])
    await response.write_eof()
    return response

"""A program whose calls are given as JSON; prints what each was answered.

A URL that begins with `gateway:` is a base URL of the proxy in the environment. `leave`: hangs up after
the first chunk. `socket`: says hello on a WebSocket.
"""

import asyncio
import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import aiohttp

PROXY = urlsplit(os.environ["HTTPS_PROXY"])
KEY = os.environ["TOKEN"]


async def call(client: aiohttp.ClientSession, step: dict[str, Any]) -> dict[str, Any]:
    url = step["url"].replace("gateway:", f"http://127.0.0.1:{PROXY.port}")
    headers = {"authorization": f"Bearer {KEY}", **step.get("headers", {})}
    if step.get("socket"):
        return await socket(client, url, headers)
    body = b"x" * step["upload"] if "upload" in step else json.dumps(step["body"]) if "body" in step else None
    if body is not None:
        headers.setdefault("content-type", "application/json")
    async with client.request("GET" if body is None else "POST", url, data=body, headers=headers) as answer:
        if step.get("leave"):
            found = {"status": answer.status, "body": (await answer.content.readany())[:10].decode()}
            answer.close()
            return found
        found = {"status": answer.status, "type": answer.headers.get("content-type"), "body": ""}
        try:
            async for piece in answer.content.iter_any():
                found["body"] += piece.decode()
        except aiohttp.ClientPayloadError:
            found["cut"] = True
        return found


async def socket(client: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> dict[str, Any]:
    try:
        async with client.ws_connect(url, headers=headers) as connection:
            await connection.send_json({"type": "response.create", "model": "gpt-5", "input": "hello"})
            return {"status": 101, "body": await connection.receive_str()}
    except aiohttp.WSServerHandshakeError as error:
        return {"status": error.status}


async def main(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession(trust_env=True) as client:
        return [await call(client, step) for step in steps]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))

"""A channel for nanobot: WhatsApp's Cloud API by webhook. It takes a message into nanobot's own queue, then answers 200."""

import hashlib
import hmac
import json

import aiohttp
from aiohttp import web
from nanobot.bus.events import OutboundMessage
from nanobot.channels.base import BaseChannel


class CloudChannel(BaseChannel):
    """Messages come by signed webhook and go by the Graph API."""

    name = "cloud"
    display_name = "WhatsApp Cloud"

    async def start(self) -> None:
        self._http = aiohttp.ClientSession(headers={"authorization": f"Bearer {self.config['token']}"})
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.config["port"]).start()
        self._running = True

    async def stop(self) -> None:
        self._running = False
        await self._runner.cleanup()
        await self._http.close()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        mac = hmac.new(self.config["secret"].encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"sha256={mac}", request.headers.get("x-hub-signature-256", "")):
            return web.Response(status=401)
        for entry in json.loads(body)["entry"]:
            for change in entry["changes"]:
                for one in change["value"].get("messages", []):
                    await self._handle_message(sender_id=one["from"], chat_id=one["from"], content=one["text"]["body"], is_dm=True)
        return web.Response()

    async def send(self, msg: OutboundMessage) -> None:
        if not msg.content:
            return
        text = {"messaging_product": "whatsapp", "to": msg.chat_id, "type": "text", "text": {"body": msg.content}}
        async with self._http.post(self.config["messages_url"], json=text) as answer:
            answer.raise_for_status()

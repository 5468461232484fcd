"""The honest minimal bot: pywa, FastAPI and openai in twenty lines. Meta wants its 200 soon, so the model is asked afterwards."""

import asyncio
import os

import httpx
from fastapi import FastAPI
from openai import AsyncOpenAI
from pywa_async import WhatsApp, filters, types

app, session, tasks = FastAPI(), httpx.AsyncClient(trust_env=False), set()
model = AsyncOpenAI(base_url=os.environ["MODEL_URL"], api_key="none")
wa = WhatsApp(os.environ["PHONE"], os.environ["TOKEN"], session=session, server=app, verify_token="x", app_secret=os.environ["SECRET"])
session.base_url = os.environ["GRAPH_URL"]  # pywa has no setting for another server than Meta's


async def answer(message: types.Message) -> None:
    asked = [{"role": "system", "content": os.environ["PERSONA"]}, {"role": "user", "content": message.text}]
    said = await model.chat.completions.create(model=os.environ["MODEL_NAME"], messages=asked)
    await message.reply(said.choices[0].message.content)


@wa.on_message(filters.text)
async def take(_: WhatsApp, message: types.Message) -> None:
    tasks.add(task := asyncio.create_task(answer(message)))
    task.add_done_callback(tasks.discard)

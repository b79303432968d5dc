"""Drives Python's `anthropic` through one scenario and prints what came of it as a list in JSON.

It knows how the SDK is used; it refuses to know what it talks to and what the answers should be.
The address and the credential come from the environment, as the SDK itself reads them.
"""

import argparse
import asyncio
import json

import anthropic
import httpx2

MODEL = "claude-opus-5-5"

LOOKUP = {
    "name": "lookup",
    "description": "Looks a word up.",
    "input_schema": {
        "type": "object",
        "properties": {"word": {"type": "string"}},
        "required": ["word"],
    },
}

# A conversation that has not ended by then is a fault.
MOST_TURNS = 5


def answers(message):
    """One result for each call of the tool, in the order of the calls."""
    calls = [block for block in message.content if block.type == "tool_use"]
    return [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"the meaning of {call.input['word']}"}
        for call in calls
    ]


def ask(client, request, streamed, events):
    """One turn, as a message and the kinds of its events."""
    if not streamed:
        return client.messages.create(**request)
    with client.messages.stream(**request) as stream:
        for event in stream:
            events.append(event.type)
        return stream.get_final_message()


def converse(client, arguments):
    """Talks until the model calls no more tools."""
    messages = [{"role": "user", "content": arguments.prompt}]
    turns, events = [], []
    for _ in range(MOST_TURNS):
        request = {"model": MODEL, "max_tokens": 4096, "messages": messages, "tools": [LOOKUP]}
        if arguments.thinking:
            request["thinking"] = {"type": "adaptive"}
        message = ask(client, request, arguments.streamed, events)
        turns.append(message.to_dict())
        if message.stop_reason != "tool_use":
            return {"turns": turns, "events": events}
        messages.append({"role": "assistant", "content": message.content})
        messages.append({"role": "user", "content": answers(message)})
    raise RuntimeError(f"the conversation goes on after {MOST_TURNS} turns")


def count(_, arguments):
    """A burst of token counts, all at once."""

    async def burst():
        async with anthropic.AsyncAnthropic(max_retries=arguments.retries) as client:
            calls = [
                client.messages.count_tokens(
                    model=MODEL, messages=[{"role": "user", "content": arguments.prompt * (number + 1)}]
                )
                for number in range(arguments.size)
            ]
            return [answer.input_tokens for answer in await asyncio.gather(*calls)]

    return {"counts": asyncio.run(burst())}


def models(client, _):
    """Every model, by pages of three, and the first of them by its id."""
    listed = [model.id for model in client.models.list(limit=3)]
    return {"models": listed, "first": client.models.retrieve(listed[0]).id}


def files(client, arguments):
    """Uploads a file, asks about it several times, and removes it."""
    file = client.files.upload(file=("note.txt", b"marmalade", "text/plain"))
    document = {"type": "document", "source": {"type": "file", "file_id": file.id}}
    question = {"type": "text", "text": arguments.prompt}
    request = {
        "model": MODEL,
        "max_tokens": 256,
        "messages": [{"role": "user", "content": [document, question]}],
    }
    texts = [client.messages.create(**request).content[-1].text for _ in range(arguments.size)]
    size = client.files.retrieve_metadata(file.id).size_bytes
    removed = client.files.delete(file.id).id == file.id
    return {"texts": texts, "size": size, "removed": removed}


def batch(client, arguments):
    """A batch is made, and looked at."""
    params = {
        "model": MODEL,
        "max_tokens": 256,
        "messages": [{"role": "user", "content": arguments.prompt}],
    }
    requests = [{"custom_id": f"number-{number}", "params": params} for number in range(arguments.size)]
    made = client.messages.batches.create(requests=requests)
    status = client.messages.batches.retrieve(made.id).processing_status
    return {"id": made.id, "status": status}


def results(client, arguments):
    """The results of a batch which was made before."""
    rows = client.messages.batches.results(arguments.prompt)
    return {"results": {row.custom_id: row.result.message.content[-1].text for row in rows}}


SCENARIOS = {
    "converse": converse,
    "count": count,
    "models": models,
    "files": files,
    "batch": batch,
    "results": results,
}


def describe(error):
    """An error as the SDK's user sees it."""
    described = {"class": type(error).__name__, "message": str(error)}
    if isinstance(error, anthropic.APIStatusError):
        described["status"] = error.status_code
        described["body"] = error.body
        described["retry_after"] = error.response.headers.get("retry-after")
        described["should_retry"] = error.response.headers.get("x-should-retry")
        described["request_id"] = error.request_id
    return described


def play(client, arguments):
    """The scenario once: what came of it, or the error that the SDK reported."""
    try:
        return SCENARIOS[arguments.scenario](client, arguments)
    except (anthropic.AnthropicError, httpx2.HTTPError) as error:
        return {"error": describe(error)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--prompt", default="hello")
    parser.add_argument("--streamed", action="store_true")
    parser.add_argument("--thinking", action="store_true")
    # How many of what the scenario is about, and how often all of it.
    parser.add_argument("--size", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--retries", type=int, default=0)
    arguments = parser.parse_args()
    with anthropic.Anthropic(max_retries=arguments.retries) as client:
        print(json.dumps([play(client, arguments) for _ in range(arguments.repeat)]))


if __name__ == "__main__":
    main()

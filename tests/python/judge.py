"""What both directions share."""

import asyncio
import traceback

TEXTS = ["hello", "é€ß漢字", "😀 👩‍👩‍👧 𝒳", "\u0001\t\r\n\\n\u2028", "4", "b64", "!nothing", "2probe"]
BINARIES = [b"\0", b"\1\2\3", b"\x1e\xff\x1e", bytes(range(256))]

# Generous: it only decides how long a broken peer takes to fail.
DEADLINE = 30


async def soon(awaitable, what):
    try:
        return await asyncio.wait_for(awaitable, DEADLINE)
    except asyncio.TimeoutError:
        raise AssertionError(f"{what}: nothing within {DEADLINE} s") from None


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"expected {shown(wanted)}, found {shown(found)}")


def shown(value):
    text = repr(value)
    return text if len(text) <= 500 else f"{text[:500]}... ({len(text)} characters)"


def numbered(name, count):
    return [f"{name}{i}" for i in range(count)]


async def run(scenarios):
    """Runs pairs of a name and a coroutine at the same time. Gives the exit status, having said what failed."""
    names = [name for name, _ in scenarios]
    # What waits by itself has a deadline of its own. None of what the libraries do may hold up the rest for ever.
    bounded = (asyncio.wait_for(coroutine, 4 * DEADLINE) for _, coroutine in scenarios)
    results = await asyncio.gather(*bounded, return_exceptions=True)
    failed = 0
    for name, result in zip(names, results):
        if isinstance(result, BaseException):
            failed += 1
            print(f"FAILED {name}: {''.join(traceback.format_exception(result))}", flush=True)
        else:
            print(f"ok {name}", flush=True)
    return 1 if failed else 0

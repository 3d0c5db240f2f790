"Replies from model servers that die, hang and talk nonsense: real processes, killed, stopped and started again."
import asyncio, contextlib, os, signal, time
import pytest
from cortex.access import Problem
from cortex.backends import Ask, VLLMBackend, leave_early
from llm_server import LlmServer

ASK = Ask(({'role': 'user', 'content': 'How is near?'},), max_new_tokens=50)
CHAT = b'{"model": "test/writer", "stream": true, "messages": [{"role": "user", "content": "hi"}]}'
PATIENCE = dict(first=2., idle=2., every=.2)   # seconds: generous, for a machine that does other things too

def server(**kw): return LlmServer(**dict(price_in=None, shape='think', words=30) | kw)

@contextlib.asynccontextmanager
async def backend(*urls, **kw):
    b = VLLMBackend(urls, 'test/writer', **PATIENCE | kw); await b.start()
    try: yield b
    finally: await b.close()

async def ask(b):
    "Ask for one reply: its text, or the status of the problem."
    try: return (await b.generate(ASK))[0].text
    except Problem as p: return p.status

async def wait_until(true, seconds=15.):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it did not happen in time'
        await asyncio.sleep(.02)

def idle(b): return all(s.busy == 0 for s in b.servers.all)

def test_a_server_that_is_killed_is_left_out_and_used_again_when_it_is_back():
    async def go():
        async with backend(one.url, two.url) as b:
            assert [isinstance(await ask(b), str) for _ in range(4)] == [True]*4
            assert one.stats()['requests'] and two.stats()['requests']        # both were asked
            one.process.kill(); one.process.wait()
            assert [isinstance(await ask(b), str) for _ in range(4)] == [True]*4   # nobody notices
            assert not b.servers.all[0].up and await b.ready() is None
            with server(port=one.port) as again:
                await wait_until(lambda: b.servers.all[0].up)
                for _ in range(4): assert isinstance(await ask(b), str)
                assert again.stats()['requests']
            assert idle(b)
    with server() as one, server() as two: asyncio.run(go())

def test_a_server_that_hangs_costs_one_reader_a_timeout_and_no_other_anything():
    async def go():
        async with backend(one.url, two.url) as b:
            os.kill(one.process.pid, signal.SIGSTOP)
            try:
                got = [await ask(b) for _ in range(4)]
                assert got.count(504) <= 1 and sum(isinstance(g, str) for g in got) >= 3, got
                await wait_until(lambda: not b.servers.all[0].up)
            finally: os.kill(one.process.pid, signal.SIGCONT)
            await wait_until(lambda: b.servers.all[0].up)
            assert isinstance(await ask(b), str) and idle(b)
    with server() as one, server() as two: asyncio.run(go())

def test_no_server_at_all_is_said_at_once_with_when_to_come_back():
    async def go():
        async with backend('http://127.0.0.1:9') as b:
            with pytest.raises(Problem) as e: await b.generate(ASK)
            assert e.value.status == 503 and e.value.headers['Retry-After'] and '127.0.0.1:9' in e.value.detail and '127.0.0.1:9' in await b.ready()
    asyncio.run(go())

FAULTS = {'html': 502, 'malformed': 502, 'nan': 502, 'deep': 502, 'long': 502, 'no_choices': None, 'mid_stream': 502, 'mid_stream_bare': 502, 'cut_body': 502, 'stall': 504, 'stall_early': 504, 'reset_early': None, 'reset': None,
          '500': 502, '503': 429, '429': 429, '400': 400, '401': 502, '404': 422, '413': 413, 'too_long': 400, 'error_200': 502, 'bomb': 502, 'drip': None, 'odd_types': None}

def test_every_way_to_fail_is_a_clear_problem_and_leaves_nothing_behind():
    "Each fault in turn at one and the same backend, and a whole reply after it."
    async def go():
        async with backend(one.url, key='sk-very-secret-4321') as b:
            for fault, status in FAULTS.items():
                one.script(fault); start = time.monotonic()
                got = await ask(b)
                assert got == status if status else isinstance(got, str) or got in (502, 504), (fault, got)
                assert time.monotonic() - start < 30, fault
                await wait_until(lambda: b.servers.all[0].up); one.set(script=[])
                assert isinstance(await ask(b), str) and idle(b), fault
            with pytest.raises(Problem) as e: one.script('echo_key'); await b.generate(ASK)
            assert 'sk-very' not in str(e.value) + str(e.value.body('x', True))
            assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task() and t not in b.servers.tasks]
    with server(stall=8.) as one: asyncio.run(go())

def test_what_is_handed_through_is_what_the_server_said_and_ends_with_the_error_if_it_dies():
    async def go():
        async with backend(one.url) as b:
            kind, *chunks = [x async for x in b.relay(CHAT, True)]
            assert kind == 'text/event-stream' and b''.join(chunks).rstrip().endswith(b'data: [DONE]') and b'word29' in b''.join(chunks)
            kind, whole = [x async for x in b.relay(CHAT.replace(b'true', b'false'), False)]
            assert kind == 'application/json' and b'word29' in whole
            one.script('stall'); stream = b.relay(CHAT, True); parts = [await anext(stream), await anext(stream)]
            one.process.kill()
            parts += [x async for x in stream]
            assert b'"error"' in parts[-1] and b'broke off' in parts[-1] and parts[-1].endswith(b'\n\n') and idle(b)
    with server(stall=30.) as one: asyncio.run(go())

def test_who_leaves_early_ends_the_request():
    async def go():
        async with backend(one.url) as b:
            one.script('stall')
            assert await leave_early(b, ASK, lambda: sum(s.busy for s in b.servers.all)) == (1, 0)
            one.script('stall', 'stall', 'stall')
            assert await leave_early(b, Ask(ASK.messages, n=3, temperature=.7), lambda: sum(s.busy for s in b.servers.all)) == (3, 0)
    with server(stall=30.) as one: asyncio.run(go())

@pytest.mark.parametrize('url', ['ftp://127.0.0.1', '127.0.0.1:8000', 'http://', 'http://me:secret@127.0.0.1:8000', 'http://a b'])
def test_addresses_that_are_none(url):
    with pytest.raises(ValueError) as e: VLLMBackend([url])
    assert 'secret' not in str(e.value)

# ---- the model in this process
@pytest.fixture(scope='module')
def tiny():
    "The random model, and a backend around it."
    from cortex.backends import LocalBackend, tiny_texts
    from cortex.models import load_model
    model, tok = load_model('tiny', texts=tiny_texts())
    return lambda **kw: LocalBackend(model, tok, dict(name='tiny'), **dict(threads=1) | kw)

def test_many_at_once_get_what_each_would_get_alone(tiny):
    asks = [Ask(({'role': 'user', 'content': f'price_usd {i}'},), n=1 + i % 2, temperature=(0., .9)[i % 3 == 0], max_new_tokens=4 + i, seed=i, calculator=i % 2 == 0) for i in range(12)]
    async def go(together):
        b = tiny(rows=5); await b.start()
        try: return await asyncio.gather(*map(b.generate, asks)) if together else [await b.generate(a) for a in asks]
        finally: await b.close()
    assert asyncio.run(go(True)) == asyncio.run(go(False))

def test_replies_are_those_of_generate_with_and_without_the_calculator(tiny):
    from cortex.models import generate
    b = tiny(); messages = [({'role': 'user', 'content': t},) for t in ('2 + 2 =', '1.04M [tx_count] / 402k [active_addresses] =', 'risk')]
    async def go():
        await b.start()
        try: return await asyncio.gather(*(b.generate(Ask(m, max_new_tokens=40, calculator=c)) for m in messages for c in (False, True)))
        finally: await b.close()
    got = [w[0] for w in asyncio.run(go())]
    for calculator in (False, True):
        alone = generate(b.model, b.tok, [list(m) for m in messages], 40, calculator=calculator)
        assert [(w.text, w.tokens, w.forced, w.finished) for w in got[calculator::2]] == [(c.text, len(c.tokens), sum(c.forced), c.finished) for c in alone]

def test_a_failing_batch_fails_its_readers_and_no_others(tiny, monkeypatch):
    import cortex.backends as backends
    real, calls = backends.decode_rows, []
    def decode_rows(*a, **k):
        calls.append(1)
        if len(calls) == 1: raise MemoryError('no room')
        return real(*a, **k)
    monkeypatch.setattr(backends, 'decode_rows', decode_rows)
    async def go():
        b = tiny(); await b.start()
        try: return await ask(b), await ask(b), await b.ready()
        finally: await b.close()
    first, second, ready = asyncio.run(go())
    assert first == 500 and isinstance(second, str) and ready is None

def test_closing_tells_those_who_wait(tiny):
    async def go():
        b = tiny(rows=1); await b.start()
        long = Ask(ASK.messages, max_new_tokens=900, temperature=1.)
        tasks = [asyncio.create_task(b.generate(long)) for _ in range(3)]
        await wait_until(lambda: b.running() == 3)
        await b.close()
        return [getattr(x, 'status', x) for x in await asyncio.gather(*tasks, return_exceptions=True)]
    assert 503 in asyncio.run(go())

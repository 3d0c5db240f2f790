"Efficiency: percentiles with true intervals, energy that wraps, servers that fail, keys that stay secret."
import json, math, os, subprocess, sys, time

import numpy as np
import pytest

pytest.importorskip('aiohttp'); pytest.importorskip('torch')
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
from cortex import efficiency
from cortex.artifacts import CortexError
from cortex.efficiency import Energy, Memory, bench_efficiency, cpu_counters, mean_interval, percentile, requests_for, resident, server_address, start_once
from cortex.load import start, stub_server
from cortex.sections import Section

FAULTY = '''
import json
from aiohttp import web
seen = 0
async def chat(r):
    global seen
    if r.headers.get('Authorization') != 'Bearer s3cret-key': return web.json_response({}, status=401)
    seen += 1
    if seen % 4 == 0: return web.json_response({}, status=503)
    out = web.StreamResponse(headers={'Content-Type': 'text/event-stream'}); await out.prepare(r)
    for k in range(3): await out.write(b'data: ' + json.dumps({'choices': [{'delta': {'content': ' x'}}]}).encode() + b'\\n\\n')
    if seen % 4 == 1 and seen > 1: r.transport.close(); return out
    await out.write(b'data: {"choices": [], "usage": {"completion_tokens": 3}}\\n\\ndata: [DONE]\\n\\n'); return out
async def ok(r): return web.json_response({})
app = web.Application(); app.add_routes([web.get('/health', ok), web.post('/v1/chat/completions', chat)])
web.run_app(app, host='127.0.0.1', port=port, print=None, access_log=None)
'''


def test_no_interval_reaches_below_nothing():
    "Three rounds that disagree: Student's interval of a rate would go below zero."
    assert mean_interval([1., 2., 30.])[1] == 0 and mean_interval([9., 11.])[1] >= 0 and math.isnan(mean_interval([3.])[1])


def test_percentiles_hold_what_they_promise():
    rng = np.random.default_rng(0)
    for q, n in ((.5, 40), (.95, 120), (.99, 600)):
        truth = math.exp(__import__('scipy.stats', fromlist=['norm']).norm.ppf(q)); held = 0
        for _ in range(1500):
            v, lo, hi = percentile(np.exp(rng.standard_normal(n)), q); assert lo <= v <= hi; held += lo <= truth <= hi
        assert .94 < held/1500 <= .995, (q, held)
    for q in (.95, .99): assert abs(requests_for(q) - math.log(.025)/math.log(q)) < 2
    assert np.isnan(percentile([], .5)).all() and np.isnan(percentile([1., math.nan], .5)).all() and percentile([2.]*10, .5) == (2., 2., 2.)
    assert np.isnan(mean_interval([])).all()


def zone(root, name, label, uj, top=1000_000_000):
    (root/name).mkdir(parents=True)
    for f, x in (('name', label), ('energy_uj', uj), ('max_energy_range_uj', top)): (root/name/f).write_text(f'{x}\n')


def test_energy(tmp_path):
    zone(tmp_path, 'intel-rapl:0', 'package-0', 999_000_000); zone(tmp_path, 'intel-rapl:1', 'package-1', 5_000_000); zone(tmp_path, 'intel-rapl:0:1', 'dram', 0); zone(tmp_path, 'intel-rapl:2', 'psys', 0)
    with Energy(tmp_path) as e:
        for z, uj in (('intel-rapl:0', 2_000_000), ('intel-rapl:1', 6_500_000), ('intel-rapl:2', 10**8), ('intel-rapl:0:1', 10**8)): (tmp_path/z/'energy_uj').write_text(str(uj))
    assert math.isclose(e.joules, 3 + 1.5)      # the first one wrapped; parts and the platform are not counted twice
    (tmp_path/'intel-rapl:0/energy_uj').unlink(); (tmp_path/'intel-rapl:0/energy_uj').mkdir()
    assert cpu_counters(tmp_path)[0] == [] and 'cannot be read' in cpu_counters(tmp_path)[1]
    with Energy(tmp_path/'none') as e: pass
    assert e.joules is None and e.why


@pytest.mark.skipif(not os.path.isdir('/proc/self/task'), reason='reads /proc')
def test_memory_counts_children():
    child = "import time; x = bytearray(80_000_000); print(1, flush=True); time.sleep(60)"
    p = subprocess.Popen([sys.executable, '-c', f"import subprocess, sys; print(0, flush=True); subprocess.run([sys.executable, '-c', {child!r}])"], stdout=subprocess.PIPE, start_new_session=True)
    try:
        p.stdout.readline(); alone = resident(p.pid); p.stdout.readline()
        with Memory(p.pid) as m: pass
        assert m.mib > 76 and m.mib > alone - 1
    finally: os.killpg(p.pid, 9); p.wait()
    assert math.isnan(resident(p.pid))


def test_failing_server_is_counted_and_key_stays_secret():
    with start(FAULTY) as s:
        got = bench_efficiency('m', s.url + '/v1', concurrency=(1, 3), requests=24, rounds=2, tokens=3, key='s3cret-key')
        with pytest.raises(CortexError, match='status 401'): bench_efficiency('m', s.url, concurrency=(1,), requests=2, rounds=2, tokens=3, key='other')
    t = got.table.set_index(['at', 'metric'])
    for level in ('1 at a time', '3 at a time'):
        assert .4 < t.value[level, 'failed'] < .6 and t.lo[level, 'failed'] > 0
        assert t.n[level, 'time to first token, p50'] == 24 - round(24*t.value[level, 'failed'])
        assert t.value[level, 'tokens/s'] > 0 and t.left_out[level, 'time of a reply, p99'].endswith(f'takes {requests_for(.99)}')
    assert 's3cret' not in got.to_json() and any('Requests failed' in w for w in got.words) and Section.from_json(got.to_json()) == got


def test_local_model_beyond_its_places():
    s = bench_efficiency('tiny', concurrency=(1, 3), requests=6, rounds=2, tokens=4, starts=0, device='cpu', threads=1)
    t = s.table.set_index(['at', 'metric'])
    assert t.value['3 at a time', 'failed'] == 0 and t.n['3 at a time', 'time of a reply, p50'] == 6
    assert t.value['model', 'weights on disk'] > 1 and s.settings['weights'] and s.settings['machine']['cores'] >= 1
    assert ('while replying', 'resident, at most') in t.index and not any(s.table.part == 'start')
    assert any(w.startswith('Energy is not told') or 'J at best' in w for w in s.words)


def test_bad_input():
    with pytest.raises(CortexError, match='no address of a server'): bench_efficiency('m', 'localhost:8000')
    with pytest.raises(CortexError, match='holds a name or a password') as e: server_address('http://me:hidden@host:1')
    assert 'hidden' not in str(e.value)
    with pytest.raises(CortexError, match='no connection'): bench_efficiency('m', 'http://127.0.0.1:9', quick=True)
    for bad in (dict(concurrency=()), dict(concurrency=(0,)), dict(rounds=1), dict(tokens=0)):
        with pytest.raises(CortexError, match='give at least 1 each'): bench_efficiency('tiny', **bad)


@pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='starts processes that import torch: set CORTEX_SLOW')
def test_starts(tmp_path):
    from cortex.backends import tiny_texts
    from cortex.models import make_tiny
    once = start_once(make_tiny(tiny_texts(), tmp_path/'tiny'), threads=1)
    assert once['start'] > once['load'] > 0 and once['mib_replied'] > 100
    with pytest.raises(CortexError, match='is not a folder'): start_once(tmp_path/'nowhere')

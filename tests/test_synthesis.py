"Asking an endpoint that misbehaves: nothing paid for is lost, nothing is asked twice, no budget is overrun."
import asyncio, contextlib, dataclasses, itertools, json, multiprocessing, os, random, re, resource, signal, sys, threading, time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
import pytest
sys.path.insert(0, str(Path(__file__).parent))
from llm_server import PASSING, LlmServer, Server, prompt_key

import cortex.synthesis as S
from cortex.artifacts import CortexError
from cortex.cases import Case, Outcome, Snapshot
from cortex.endpoints import ApiTeacher, TeacherError
from cortex.ledger import RequestLedger, ledger_summary, unanswered
from cortex.teachers import RuleTeacher, teacher_messages

slow = pytest.mark.skipif(os.environ.get('CORTEX_SLOW') != '1', reason='takes minutes; runs with CORTEX_SLOW=1')
KEY = 'sk-or-v1-nobody-may-read-this'

def make_tasks(n):
    "Make tasks of three kinds, each of a snapshot of its own."
    out = []
    for i in range(n//3 + 1):
        k, chain, asof = 1 + .003*i, ('near', 'bitcoin', 'solana')[i % 3], f'2025-{1 + i % 12:02}-{1 + i//12 % 28:02}'
        snap = Snapshot(chain=chain, asof=asof, horizon=7, condition='bear', source='simulated', peers={}, history=(),
            metrics={'price_usd': 3.1234*k, 'tx_count': 1_043_210.*k, 'active_addresses': 402_411.*k**.5, 'fees_usd': 1_203_000.*k**.8},
            features={'ret_7d': -.02*k, 'price_usd_trend_7d': .001, 'price_usd_range_7d': .1*k, 'price_usd_sigma_7d': .08*k, 'tx_count_change_7d': -.031*k, 'tx_count_trend_7d': -.0421*k, 'tx_count_range_7d': .0843*k, 'tx_count_sigma_7d': .07*k})
        closes = str(date.fromisoformat(asof) + timedelta(7))
        out.append(Case(snap, Outcome(chain, asof, 7, closes, {'price_usd': .02*k, 'tx_count': -.03*k})))
    problems = S.make_problems(out)
    return [p['task'] for p in problems[:n]]

def make_replies(tasks): return {t.prompt[-1]['content']: RuleTeacher().answer(t).text for t in tasks}
def make_teacher(url, **kw): return ApiTeacher(url, 'test/writer', **(dict(key=KEY, max_tokens=400, timeout=10.) | kw))
def rows(folder): return [json.loads(line) for line in (Path(folder)/'ledger.jsonl').read_text().splitlines()]
def quiet(*_): pass
def key_of(task, seed=0): return prompt_key(teacher_messages(task), seed)

@pytest.fixture(scope='module')
def some(): return make_tasks(12)

@pytest.fixture(scope='module')
def shared(some):
    "One server for the many tests of single faults; each uses a seed of its own, so that no two ask the same."
    with LlmServer(make_replies(some), key=KEY, stall=1.) as server: yield server

@pytest.fixture
def hurry(monkeypatch):
    "Wait as long as the policy says, but a hundred times faster."
    policy = S.wait_before
    def fast(*a): return None if (w := policy(*a)) is None else w/100
    monkeypatch.setattr(S, 'wait_before', fast)

SEEDS = itertools.count(1000)

def check_books(folder, server, tasks, seeds=(0,), before=0.):
    "Compare the ledger with what the server saw: nothing asked again without need, and every cent counted."
    book, stats = rows(folder), server.stats()
    sent, ended = Counter(r['task_id'] for r in book if r['event'] == 'sent'), Counter(r['task_id'] for r in book if r['event'] in ('done', 'failed'))
    assert len([r for r in book if r['event'] == 'done']) == len({r['hash'] for r in book if r['event'] == 'done'}), 'a reply was paid for twice'
    for t in tasks:
        seen = sum(stats['seen'].get(key_of(t, s), 0) for s in seeds)
        assert seen <= sent[t.task_id], f'{t.task_id}: sent {seen} times, {sent[t.task_id]} in the ledger'
    with RequestLedger.open(folder, next(r for r in book if r['event'] == 'session')['config']) as ledger: summary = ledger.summary()
    assert abs(summary['spent_usd'] - stats['billed_usd'] + before) < 1e-9, (summary, stats['billed_usd'], before)
    return summary, stats

# ---- the endpoint behaves
def test_plain_run(some, tmp_path):
    done = []
    with LlmServer(make_replies(some), key=KEY, latency=.02) as server:
        traces = S.synthesize(some, make_teacher(server.url), folder=tmp_path, concurrency=4, on_done=done.append, say=quiet, budget_usd=1., judge=lambda task, trace: (True, ''))
        _, stats = check_books(tmp_path, server, some)
        assert stats['requests'] == len(some) and stats['max_in_flight'] <= 4
        again = S.synthesize(some, make_teacher(server.url), folder=tmp_path, say=quiet, budget_usd=1.)
        assert again == traces and server.stats()['requests'] == len(some)
    assert [t.task_id for t in traces] == [t.task_id for t in some] and sorted(t.task_id for t in done) == sorted(t.task_id for t in some)
    assert {t.model for t in traces} == {'test/writer'} and all(t.cost_usd > 0 and t.request and t.seconds > 0 for t in traces)
    for t, trace in zip(some, traces):
        a, b = RuleTeacher().answer(t).text, trace.text
        assert ''.join(a.split()) == ''.join(b.split())

def test_streaming_gives_the_same(some, tmp_path):
    with LlmServer(make_replies(some), key=KEY) as server:
        plain, stream = (S.synthesize(some, make_teacher(server.url, stream=x), folder=tmp_path/str(x), say=quiet) for x in (False, True))
    assert [t.text for t in plain] == [t.text for t in stream] and [t.cost_usd for t in plain] == [t.cost_usd for t in stream]

def test_a_judge_works_beside(some):
    "In a process of its own it says the same, errors included; when that process dies, it goes on in this one."
    from cortex.keeping import make_judge
    judge, right = make_judge([dict(task=t, sigma=None) for t in some]), RuleTeacher().answer(some[0])
    wrong, beside = dataclasses.replace(right, text=right.text.replace('risk: ', 'risk: a 37% crash, ')), S.JudgeBeside(judge)
    try:
        assert [beside(some[0], t) for t in (right, wrong)] == [judge(some[0], t) for t in (right, wrong)] and not judge(some[0], wrong)[0]
        assert beside.child.poll() is None
        with pytest.raises(CortexError, match='answers'): beside(some[1], right)
        beside.child.kill(); beside.child.wait()
        assert beside(some[0], wrong) == judge(some[0], wrong) and beside.child is None
    finally: beside.close()

def test_a_long_run_is_judged_beside(tmp_path):
    "All replies are judged, by a process that ends with the run."
    from cortex.keeping import make_judge
    tasks = make_tasks(S.LONG + 20); seen, said = [], []
    replies = {k: v.replace('risk: ', 'risk: a 37% crash, ') if i % 4 == 0 else v for i, (k, v) in enumerate(make_replies(tasks).items())}
    class Watched(S.JudgeBeside):
        def __call__(self, *a): out = super().__call__(*a); seen.append(self.child); return out
    with LlmServer(replies, key=KEY, latency=.05) as server, pytest.MonkeyPatch.context() as m:
        m.setattr(S, 'JudgeBeside', Watched)
        S.synthesize(tasks, make_teacher(server.url), folder=tmp_path, judge=make_judge([dict(task=t, sigma=None) for t in tasks]), say=said.append)
    assert len(seen) == len(tasks) and len(set(seen)) == 1 and seen[0].poll() is not None
    assert f'{len(tasks)} replies, {len(tasks) - 30} accepted, 30 rejected' in said[-1], said

def test_samples_have_seeds_of_their_own(some, tmp_path):
    with LlmServer(make_replies(some), key=KEY) as server:
        traces = S.synthesize(some[:4], make_teacher(server.url), folder=tmp_path, samples=3, seed=5, say=quiet)
        assert server.stats()['requests'] == 12
        more = S.synthesize(some[:4], make_teacher(server.url), folder=tmp_path, samples=4, seed=5, say=quiet)
        assert server.stats()['requests'] == 16
    assert [(t.task_id, t.seed) for t in traces] == [(t.task_id, s) for t in some[:4] for s in (5, 6, 7)] and len(more) == 16

def test_inside_a_running_loop(some, tmp_path):
    "A notebook has an event loop of its own."
    with LlmServer(make_replies(some), key=KEY) as server:
        async def cell(): return S.synthesize(some, make_teacher(server.url), folder=tmp_path, say=quiet)
        assert len(asyncio.run(cell())) == len(some)

def test_requests_per_minute(some, tmp_path):
    with LlmServer(make_replies(some), key=KEY) as server:
        S.synthesize(some, make_teacher(server.url), folder=tmp_path, rpm=600, say=quiet)
        starts = server.stats()['starts']
    assert min(b - a for a, b in zip(starts, starts[1:])) > .05 and starts[-1] - starts[0] > .09*(len(some) - 1)

def test_a_local_server_without_prices(some, tmp_path):
    "No price: dollars cannot be counted, tokens can."
    with LlmServer(make_replies(some), price_in=None, price_out=None, own_count=False) as server:
        teacher = make_teacher(server.url, key=None)
        with pytest.raises(CortexError, match='no price is known.*budget_tokens'): S.synthesize(some, teacher, folder=tmp_path/'a', budget_usd=1., say=quiet)
        said = []
        traces = S.synthesize(some, teacher, folder=tmp_path/'b', budget_tokens=6_000, concurrency=4, say=said.append)
        stats = server.stats()
        assert 0 < len(traces) < len(some) and stats['billed_tokens'] <= 6_000, (len(traces), stats['billed_tokens'])
        assert any('does not allow another request' in line for line in said), said
        assert len(S.synthesize(some, teacher, folder=tmp_path/'b', budget_tokens=10**6, say=quiet)) == len(some)

# ---- it misbehaves
@pytest.mark.parametrize('stream', [False, True])
@pytest.mark.parametrize('fault', PASSING)
def test_what_passes_is_asked_again(fault, stream, some, shared, tmp_path, hurry):
    seed, before, tasks = next(SEEDS), shared.stats(), some[:3]
    shared.set(script=[fault], faults=0.)
    traces = S.synthesize(tasks, make_teacher(shared.url, timeout=.5 if 'stall' in fault else 10., stream=stream), seed=seed, folder=tmp_path, concurrency=1, say=quiet, budget_usd=1.)
    assert len(traces) == 3 and all('<answer>' in t.text for t in traces)
    summary, stats = check_books(tmp_path, shared, tasks, [seed], before['billed_usd'])
    assert stats['faults'][fault] == before['faults'].get(fault, 0) + 1
    assert sum(summary['failed'].values()) in (0, 1) and stats['requests'] - before['requests'] == 3 + sum(summary['failed'].values())
    assert not any(r['event'] == 'failed' and 'text' in r for r in rows(tmp_path))

LASTS = {'length': 'truncated', 'length_empty': 'truncated', 'refused': 'refused', 'refused_200': 'refused', '413': 'too_long', 'too_long': 'too_long'}

@pytest.mark.parametrize('fault', ['reasoning_only', 'no_choices', 'drip', 'echo_key', '400', '429_3600', *LASTS])
def test_a_failure_is_never_an_answer(fault, some, shared, tmp_path, hurry):
    said, seed, before, tasks = [], next(SEEDS), shared.stats(), some[:2]
    shared.set(script=[], faults=1., kinds=[fault], in_a_row=99)
    kw = dict(seed=seed, folder=tmp_path, budget_usd=1.)
    assert S.synthesize(tasks, make_teacher(shared.url, timeout=.5 if fault == 'drip' else 10.), attempts=2, say=said.append, **kw) == []
    assert not [r for r in rows(tmp_path) if r['event'] == 'done'] and any('got no reply' in line for line in said), said
    assert ledger_summary(tmp_path)['stopped'] is None and sorted(u['task_id'] for u in unanswered(tmp_path)) == sorted(t.task_id for t in tasks)
    shared.set(faults=0.)
    again, asked = S.synthesize(tasks, make_teacher(shared.url), say=said.append, **kw), shared.stats()['requests']
    if fault in LASTS:      # it would fail in the same way again
        assert again == [] and asked == before['requests'] + 2 and ledger_summary(tmp_path)['unanswered'] == {LASTS[fault]: 2} and 'would fail in the same way' in said[-2], said
        if LASTS[fault] == 'truncated': assert len(S.synthesize(tasks, make_teacher(shared.url, max_tokens=800), say=quiet, **kw)) == 2
    else: assert len(again) == 2
    check_books(tmp_path, shared, tasks, [seed], before['billed_usd'])

def test_a_longer_limit_asks_only_what_was_cut_off(some, tmp_path):
    with LlmServer(make_replies(some), key=KEY, script=[None, 'length', None, 'length']) as server:
        first = S.synthesize(some, make_teacher(server.url), folder=tmp_path, concurrency=1, say=quiet)
        assert len(first) == 10 and ledger_summary(tmp_path)['unanswered'] == {'truncated': 2} and len(unanswered(tmp_path)) == 2
        assert S.synthesize(some, make_teacher(server.url), folder=tmp_path, say=quiet) == first and server.stats()['requests'] == 12
        assert len(S.synthesize(some, make_teacher(server.url, max_tokens=800), folder=tmp_path, say=quiet)) == 12 and server.stats()['requests'] == 14
        assert ledger_summary(tmp_path)['unanswered'] == {} and unanswered(tmp_path) == []
        check_books(tmp_path, server, some)

# ---- it lies
class Liar(Server):
    "Answer properly, but bill a thousand times the price, or name things after the key that was sent."
    def card(self, m): return super().card(KEY if self.s.get('lie') == 'listed' else m)
    def make(self, body, fault):
        r = super().make(body, fault)
        if self.s.get('lie') == 'bill': r['nano'] *= 1000
        if self.s.get('lie') == 'model': r['model'] = f'model {KEY}'
        return r
    async def send(self, w, status, answer, *a, **kw):
        if self.s.get('lie') == 'provider' and isinstance(answer, bytes): answer = json.dumps(json.loads(answer) | {'provider': f'host {KEY}'}).encode()
        return await super().send(w, status, answer, *a, **kw)

@contextlib.contextmanager
def lying(replies, **settings):
    "Serve from a thread."
    loop, server = asyncio.new_event_loop(), Liar(replies, key=KEY, **settings)
    there = loop.run_until_complete(asyncio.start_server(server.serve, '127.0.0.1', 0))
    server.url = f'http://127.0.0.1:{there.sockets[0].getsockname()[1]}/v1'
    t = threading.Thread(target=loop.run_forever); t.start()
    try: yield server
    finally: loop.call_soon_threadsafe(loop.stop); t.join()

@pytest.mark.parametrize('lie', ['provider', 'model'])
def test_the_key_echoed_in_a_success(lie, some, tmp_path):
    got, said = [], []
    with lying(make_replies(some), lie=lie) as server:
        traces = S.synthesize(some, make_teacher(server.url), folder=tmp_path, on_done=got.append, judge=lambda task, trace: (False, repr(trace)), say=said.append)
        again = S.synthesize(some, make_teacher(server.url), folder=tmp_path, say=said.append)
    assert len(traces) == len(some) and traces == again and '***' in getattr(traces[0], lie)
    assert KEY not in repr((traces, got, said)) + ''.join(p.read_text() for p in tmp_path.rglob('*') if p.is_file())

def test_a_model_named_after_the_key(some, tmp_path):
    with lying({}, lie='listed') as server:
        with pytest.raises(CortexError) as e: S.synthesize(some, ApiTeacher(server.url, key=KEY), folder=tmp_path/'x', say=quiet)
    assert KEY not in str(e.value) and not (tmp_path/'x').exists()

def test_bills_above_the_stated_prices(some, tmp_path):
    with lying(make_replies(some), lie='bill', latency=.05) as server:
        with pytest.raises(CortexError, match=r'billed \$0.* for a request that may cost \$0.* at most: the stated prices are wrong'): S.synthesize(some, make_teacher(server.url), folder=tmp_path, concurrency=3, budget_usd=5., say=quiet)
        found = ledger_summary(tmp_path)
        assert server.requests <= 3 and found['stopped'] == 'prices' and found['done'] == server.requests and abs(found['spent_usd'] - server.nano/1e9) < 1e-9

def test_how_it_ended(some, tmp_path, hurry):
    with LlmServer(make_replies(some), key=KEY) as server:
        ask = lambda **kw: S.synthesize(some, make_teacher(server.url), **(dict(folder=tmp_path, concurrency=1, say=quiet) | kw))
        ask(budget_usd=.004); assert ledger_summary(tmp_path)['stopped'] == 'budget'
        server.set(script=['402'])
        with pytest.raises(TeacherError): ask()
        assert ledger_summary(tmp_path)['stopped'] == 'account'
        server.set(script=['refused']); assert len(ask()) == len(some) - 1 and ledger_summary(tmp_path)['stopped'] is None
        assert ledger_summary(tmp_path)['unanswered'] == {'refused': 1}
        server.set(faults=1., kinds=['503'], in_a_row=10**6)
        with pytest.raises(CortexError): S.synthesize(make_tasks(60)[12:], make_teacher(server.url), folder=tmp_path, attempts=1, say=quiet)
        assert ledger_summary(tmp_path)['stopped'] == 'no_replies'
    S.synthesize(some, folder=tmp_path/'rules', say=quiet); assert (ledger_summary(tmp_path/'rules')['stopped'], ledger_summary(tmp_path/'rules')['spent_usd']) == (None, 0.)

def test_the_cost_of_an_accepted_reply(some, tmp_path):
    "Bills of the questions of this call, by the replies of this call."
    said, judge = [], lambda task, trace: (task.kind != 'market.forecast', 'no')
    with LlmServer(make_replies(some), key=KEY, script=['empty', 'mid_stream']) as server:
        S.synthesize(some[:6], make_teacher(server.url), folder=tmp_path, concurrency=1, judge=judge, say=said.append); first = server.stats()['billed_usd']
        S.synthesize(some[6:], make_teacher(server.url), folder=tmp_path, concurrency=1, judge=judge, say=said.append); both = server.stats()['billed_usd']
    lines = [x for x in said if ' accepted' in x]
    for line, usd, part in ((lines[0], first, some[:6]), (lines[-1], both - first, some[6:])): assert f'${usd:.4f} (${usd/sum(judge(t, None)[0] for t in part):.5f} per accepted reply)' in line, (line, usd)
    assert f'${both:.4f} with other questions' in lines[-1] and abs(ledger_summary(tmp_path)['spent_usd'] - both) < 1e-9

@pytest.mark.parametrize('fault,words', [('401', 'key'), ('402', 'credit'), ('gone', 'model'), ('404', 'model'), ('403', 'key')])
def test_an_error_of_the_account_stops_the_run(fault, words, some, tmp_path, hurry):
    with LlmServer(make_replies(some), key=KEY, latency=.05) as server:
        server.set(script=[None, None, None, fault] + [fault]*50)
        with pytest.raises(TeacherError, match='finished replies are kept in') as e: S.synthesize(some, make_teacher(server.url), folder=tmp_path, concurrency=2, say=quiet)
        assert words in str(e.value).lower() and '\n' not in str(e.value) and server.stats()['requests'] <= 3 + 2
        server.set(script=[])
        assert len(S.synthesize(some, make_teacher(server.url), folder=tmp_path, say=quiet)) == len(some)

def test_no_credits_at_some_point(some, tmp_path, hurry):
    with LlmServer(make_replies(some), key=KEY, credits=.002) as server:
        with pytest.raises(TeacherError, match='finished replies are kept'): S.synthesize(some, make_teacher(server.url), folder=tmp_path, concurrency=2, say=quiet)
        had = len([r for r in rows(tmp_path) if r['event'] == 'done'])
        server.set(credits=None)
        assert 0 < had < len(S.synthesize(some, make_teacher(server.url), folder=tmp_path, say=quiet)) == len(some)
        check_books(tmp_path, server, some)

def test_the_real_model_is_recorded(some, tmp_path):
    with LlmServer(make_replies(some[:2]), key=KEY, script=['wrong_model']) as server:
        traces = S.synthesize(some[:2], make_teacher(server.url), folder=tmp_path, concurrency=1, say=quiet)
    assert {t.model for t in traces} == {'test/another-model', 'test/writer'}

def test_many_faults_at_once(tmp_path, hurry):
    "A third of all requests goes wrong in one way or another, and yet all are answered and every cent is accounted for."
    tasks = make_tasks(120)
    with LlmServer(make_replies(tasks), key=KEY, faults=.33, latency=.02, jitter=.02, stall=1., seed=3) as server:
        traces = S.synthesize(tasks, make_teacher(server.url, timeout=.5), folder=tmp_path, concurrency=16, attempts=8, say=quiet, budget_usd=5.)
        if len(traces) < len(tasks): traces = S.synthesize(tasks, make_teacher(server.url, timeout=.5), folder=tmp_path, attempts=8, say=quiet, budget_usd=5.)
        assert len(traces) == len(tasks)
        _, stats = check_books(tmp_path, server, tasks)
        assert sum(stats['faults'].values()) > 20 and stats['max_in_flight'] <= 16 + stats['faults'].get('stall', 0) + stats['faults'].get('stall_early', 0)

@pytest.mark.parametrize('fault,how,kind', [('stall_early', dict(timeout=.8, total=1.5), 'timeout'), ('429_1', dict(total=3.), 'rate_limited')])
def test_a_question_has_a_time_of_its_own(fault, how, kind, some, tmp_path):
    "An endpoint that stalls or refuses for ever, and attempts without end: each question is given up when its time is over, and asked again by the next call."
    said = []
    with LlmServer(make_replies(some), key=KEY, faults=1., kinds=[fault], in_a_row=10**6, stall=30.) as server:
        assert S.synthesize(some[:3], make_teacher(server.url, **how), folder=tmp_path, attempts=10**6, concurrency=3, budget_usd=1., say=said.append) == []
        found = ledger_summary(tmp_path)
        assert found['requests'] <= 3*3 and sum(found['unanswered'].values()) == 3 and set(found['unanswered']) <= {kind, 'timeout'} and found['stopped'] is None
        assert any(re.fullmatch(r'3 tasks got no reply \((\d \w+ until time was up(, )?)+\)[.] Run again to ask the others once more[.]', x) for x in said), said
        assert sum(r['event'] == 'sent' for r in rows(tmp_path)) == sum(r['event'] == 'failed' for r in rows(tmp_path)) == server.stats()['requests']
        server.set(faults=0.)
        assert len(S.synthesize(some[:3], make_teacher(server.url), folder=tmp_path, budget_usd=1., say=quiet)) == 3
        check_books(tmp_path, server, some[:3])

def test_nothing_answers_at_all(tmp_path, hurry):
    "Patience has an end: a run against a server that is down stops by itself."
    tasks = make_tasks(60)
    with LlmServer({}, key=KEY, faults=1., kinds=['503'], in_a_row=10**6) as server:
        with pytest.raises(CortexError, match='tasks in a row got no reply'): S.synthesize(tasks, make_teacher(server.url), folder=tmp_path, attempts=2, say=quiet)

# ---- bad input, before any call
def test_refused_before_any_call(some, tmp_path):
    with LlmServer({}, key=KEY) as server:
        teacher = make_teacher(server.url)
        for kw, words in ((dict(budget_usd=0), 'budget_usd=0 allows no request'), (dict(budget_tokens=0), 'budget_tokens=0'), (dict(concurrency=0), 'concurrency=0'), (dict(rpm=0), 'rpm=0'), (dict(tpm=10), 'tpm=10'), (dict(folder=None), 'folder')):
            with pytest.raises(CortexError, match=words): S.synthesize(some, teacher, say=quiet, **(dict(folder=tmp_path/'x') | kw))
        server.set(context=500)
        with pytest.raises(CortexError, match='prompts exceed the context of test/writer, 500 tokens'): S.synthesize(some, teacher, folder=tmp_path/'y', say=quiet)
        with pytest.raises(TeacherError, match='test/writer') as e: S.synthesize(some, ApiTeacher(server.url, 'test/writter', key=KEY, max_tokens=400), folder=tmp_path/'z', say=quiet)
        assert e.value.kind == 'gone'
        with pytest.raises(TeacherError) as e: S.synthesize(some, make_teacher(server.url, key='sk-wrong-key-of-mine'), folder=tmp_path/'k', say=quiet)
        assert e.value.kind == 'bad_key' and 'sk-wrong-key' not in str(e.value)
        assert server.stats()['requests'] == 0

def test_a_ledger_of_another_configuration(some, tmp_path):
    with LlmServer(make_replies(some), key=KEY) as server:
        S.synthesize(some[:2], make_teacher(server.url), folder=tmp_path, say=quiet)
        with pytest.raises(CortexError, match='temperature: 0.6 -> 1.0'): S.synthesize(some[:2], make_teacher(server.url, temperature=1.), folder=tmp_path, say=quiet)
        with pytest.raises(CortexError, match='seed: 0 -> 1'): S.synthesize(some[:2], make_teacher(server.url), seed=1, folder=tmp_path, say=quiet)
        with pytest.raises(CortexError, match='teacher: .* -> "rules"'): S.synthesize(some[:2], folder=tmp_path, say=quiet)
        assert server.stats()['requests'] == 2

def test_a_half_written_last_line(some, tmp_path):
    with LlmServer(make_replies(some), key=KEY) as server:
        S.synthesize(some, make_teacher(server.url), folder=tmp_path, concurrency=1, say=quiet)
        path, said = tmp_path/'ledger.jsonl', []
        whole = path.read_bytes(); last = whole.rindex(b'{"event":"done"'); path.write_bytes(whole[:last + 60])
        traces = S.synthesize(some, make_teacher(server.url), folder=tmp_path, say=said.append)
        assert len(traces) == len(some) and server.stats()['requests'] == len(some) + 1
        assert any('half-written last line (60 bytes)' in x for x in said) and any('were under way' in x for x in said), said
        check_books(tmp_path, server, some)
    with pytest.raises(CortexError, match='line 2: not a row'): path.write_text('{"event":"session","config":{}}\nnonsense\n'); S.synthesize(some, folder=tmp_path, say=quiet)

def test_rules_resume_too(some, tmp_path):
    traces = S.synthesize(some[:5], folder=tmp_path, say=quiet)
    more = S.synthesize(some, folder=tmp_path, say=quiet)
    assert more[:5] == traces and [t.text for t in more] == [t.text for t in S.synthesize(some)] and len([r for r in rows(tmp_path) if r['event'] == 'done']) == len(some)

# ---- processes that die
CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(['test_synthesis'])

def _work(url, n, folder, accepted, kw, teacher):
    "Run in a process of its own: synthesize, and note each reply that was reported as safe."
    signal.signal(signal.SIGINT, signal.default_int_handler)   # tests that a script runs in the background inherit the signal ignored
    out = os.open(accepted, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    note = lambda trace: os.write(out, (json.dumps([trace.request, trace.text]) + '\n').encode())
    os.dup2(os.open(str(accepted) + '.out', os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1); os.dup2(1, 2)
    S.synthesize(make_tasks(n), make_teacher(url, **teacher), folder=folder, on_done=note, say=quiet, **kw)

def start(*args):
    "Start a process that has everything imported already."
    here, path = [str(Path(__file__).parent), str(Path(__file__).parents[1])], os.environ.get('PYTHONPATH')
    os.environ['PYTHONPATH'] = os.pathsep.join([*here, *filter(None, [path])])
    try: p = CONTEXT.Process(target=_work, args=args); p.start()
    finally: os.environ.pop('PYTHONPATH') if path is None else os.environ.update(PYTHONPATH=path)
    return p

def kill_and_resume(tmp_path, kills, n, seed, server, teacher=(), **kw):
    "Kill -9 at random moments, resume each time, and finish; the books are looked at after every kill."
    folder, accepted, rng, teacher = tmp_path/'run', tmp_path/'accepted', random.Random(seed), dict(teacher)
    flying = Counter()
    for i in range(kills):
        p, before = start(server.url, n, folder, accepted, kw, teacher), server.stats()['requests']
        while i % 4 and p.is_alive() and server.stats()['requests'] == before: time.sleep(.01)      # three of four from the first request on
        time.sleep(rng.uniform(0, .4)); p.kill(); p.join()
        assert p.exitcode in (-signal.SIGKILL, 0), Path(str(accepted) + '.out').read_text()
        lines = (folder/'ledger.jsonl').read_bytes().split(b'\n')[:-1] if (folder/'ledger.jsonl').exists() else []
        book = [json.loads(x) for x in lines]
        safe = {r['hash']: r['text'] for r in book if r['event'] == 'done'}
        for line in accepted.read_text().splitlines()[:-1] if accepted.exists() else []: h, text = json.loads(line); assert safe[h] == text, 'an accepted row was lost'
        since = len(book) - 1 - next(j for j, r in enumerate(reversed(book)) if r['event'] == 'session') if book else 0
        ended = {r['hash'] for r in book[since:] if r['event'] in ('done', 'failed')}
        flying.update(r['task_id'] for r in book[since:] if r['event'] == 'sent' and r['hash'] not in ended)
        over = {(r['hash'], r['attempt']) for r in book[since:] if r['event'] in ('done', 'failed')}
        assert sum(r['event'] == 'sent' and (r['hash'], r['attempt']) not in over for r in book[since:]) <= kw['concurrency'], 'more is held than can have been in flight'
        if budget := kw.get('budget_usd'): assert server.stats()['max_billed_usd'] <= budget
    time.sleep(teacher.get('timeout', 1.))
    p = start(server.url, n, folder, accepted, kw, teacher); p.join(60)
    assert p.exitcode == 0, Path(str(accepted) + '.out').read_text()
    return folder, flying

def test_kill_at_twenty_random_moments(tmp_path):
    tasks = make_tasks(250)
    with LlmServer(make_replies(tasks), key=KEY, latency=.2, jitter=.2, seed=2) as server:
        folder, flying = kill_and_resume(tmp_path, 20, 250, 1, server, concurrency=8, budget_usd=20., teacher=dict(timeout=2.))
        summary, stats = check_books(folder, server, tasks)
        assert summary['done'] == 250 and summary['lost'] > 0
        for t in tasks: assert stats['seen'][key_of(t)] <= 1 + flying[t.task_id], f'{t.task_id} was asked again, though it was not in flight'
        assert all(KEY not in p.read_text(errors='replace') for p in tmp_path.rglob('*') if p.is_file())

def test_kills_with_a_small_budget(tmp_path):
    "Bills come late, requests fail, the process dies, and still the server's count never passes the budget."
    tasks = make_tasks(150)
    with LlmServer(make_replies(tasks), key=KEY, latency=.1, seed=4, bill='end', faults=.15, kinds=['429_0', '500', 'reset', 'empty', 'mid_stream', 'cut_body']) as server:
        folder, _ = kill_and_resume(tmp_path, 6, 150, 2, server, concurrency=6, budget_usd=.03, teacher=dict(timeout=1.))
        summary, stats = check_books(folder, server, tasks)
        assert stats['max_billed_usd'] <= .03 and .02 < summary['spent_usd'] <= .03 and 0 < summary['done'] < 150, (summary, stats['billed_usd'])

def test_kills_where_nobody_counts(tmp_path):
    "Without a count of the endpoint's own, a kill costs the reservations of what was in flight, and no more."
    tasks = make_tasks(90)
    with LlmServer(make_replies(tasks), key=KEY, latency=.3, own_count=False) as server:
        folder, _ = kill_and_resume(tmp_path, 4, 90, 5, server, concurrency=8, budget_usd=2.)
        found, billed, most = ledger_summary(folder), server.stats()['billed_usd'], max(r['reserved_usd'] for r in rows(folder) if r['event'] == 'sent')
        assert found['done'] == 90 and billed - 1e-9 <= found['spent_usd'] <= billed + found['lost']*most + 1e-9 and found['lost'] <= 4*8, (found, billed)

@slow
@pytest.mark.parametrize('seed', range(5))
def test_kills_with_faults(seed, tmp_path):
    tasks = make_tasks(300)
    with LlmServer(make_replies(tasks), key=KEY, latency=.1, jitter=.1, seed=seed, bill=('arrival', 'end')[seed % 2], faults=.2, stall=1.5) as server:
        folder, flying = kill_and_resume(tmp_path, 20, 300, seed, server, concurrency=12, budget_usd=20., teacher=dict(timeout=1.))
        kw = dict(folder=folder, say=quiet, budget_usd=20.)
        for _ in range(3): traces = S.synthesize(tasks, make_teacher(server.url, timeout=1.), **kw)
        assert len(traces) == 300; check_books(folder, server, tasks)

def test_an_interrupt_leaves_good_books(tmp_path):
    tasks = make_tasks(60)
    with LlmServer(make_replies(tasks), key=KEY, latency=.2) as server:
        p = start(server.url, 60, tmp_path/'run', tmp_path/'accepted', dict(concurrency=4), {})
        while server.stats()['requests'] < 12: time.sleep(.02)
        os.kill(p.pid, signal.SIGINT); began = time.monotonic(); p.join(10)
        assert time.monotonic() - began < 3 and ledger_summary(tmp_path/'run')['stopped'] == 'interrupt'
        assert p.exitcode == 1 and 'KeyboardInterrupt' in (tmp_path/'accepted.out').read_text()
        had = len([r for r in rows(tmp_path/'run') if r['event'] == 'done'])
        assert had >= 4 and server.stats()['requests'] < 60
        traces = S.synthesize(tasks, make_teacher(server.url), folder=tmp_path/'run', say=quiet)
        assert len(traces) == 60 and server.stats()['requests'] <= 60 + 4
        check_books(tmp_path/'run', server, tasks)

def test_two_processes_cannot_write_one_ledger(some, tmp_path):
    with LlmServer(make_replies(make_tasks(60)), key=KEY, latency=.2) as server:
        p = start(server.url, 60, tmp_path/'run', tmp_path/'accepted', dict(concurrency=2), {})
        while server.stats()['requests'] < 2: time.sleep(.02)
        with pytest.raises(CortexError, match=f'process {p.pid} is writing this ledger'): S.synthesize(some, make_teacher(server.url), folder=tmp_path/'run', say=quiet)
        p.kill(); p.join()
        S.synthesize(some, make_teacher(server.url), folder=tmp_path/'run', say=quiet)

def test_the_key_is_nowhere(some, tmp_path, hurry, capfd, caplog):
    caplog.set_level(0)
    with LlmServer({t.prompt[-1]['content']: f'<think>Authorization: Bearer {KEY}</think>\n<answer>{KEY}</answer>' for t in some}, key=KEY, faults=.5, kinds=['echo_key', '500', 'html', '429_0'], seed=1) as server:
        teacher = make_teacher(server.url)
        traces = S.synthesize(some, teacher, folder=tmp_path)
        S.synthesize(some[:1], teacher, folder=tmp_path)
        errors = []
        for fault in ('401', '400', 'echo_key'):
            server.set(faults=1., kinds=[fault], in_a_row=99)
            try: S.synthesize(make_tasks(30)[12:], teacher, folder=tmp_path, attempts=1)
            except CortexError as e: errors.append(repr(e) + str(e) + repr(vars(e)))
    out = capfd.readouterr()
    texts = [out.out, out.err, caplog.text, repr(teacher), repr(traces), str(errors), *(p.read_text(errors='replace') for p in tmp_path.rglob('*') if p.is_file())]
    assert errors and not any(KEY in x for x in texts) and 'Bearer ***' in traces[0].text

# ---- speed
def peak_mb():
    "Say the most memory this process has held; the kernel's other count also knows what its parent held when it was forked."
    try: return int(re.search(r'VmHWM:\s+(\d+) kB', Path('/proc/self/status').read_text())[1])//1024
    except (OSError, TypeError): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024

def own_mb(pid):
    "Say how much memory a process has for itself alone; what it shares with others, such as the code of libraries, is in their count."
    return sum(int(x) for x in re.findall(r'Private_\w+:\s+(\d+) kB', Path(f'/proc/{pid}/smaps_rollup').read_text()))//1024

def bench_synthesis(folder, requests=1000, latency=.5, concurrency=50, judged=False):
    """Measure requests per second against the ideal rate, with or without the judge of the command, and the peak memory (MB) of this process and the judge's together.
    `server_ms` is the server's own time per request: with fifty at once it answers no faster than that, whatever we do; at no latency it is what bounds the rate, together with `cpu_ms` of ours."""
    from cortex.keeping import make_judge
    tasks = make_tasks(requests)
    judge, beside, finish = make_judge([dict(task=t, sigma=None) for t in tasks]) if judged else None, [0], S.Judging.finish
    def finished(self, *a): finish(self, *a); beside.append(own_mb(self.judge.child.pid))
    S.Judging.finish = finished
    with LlmServer(make_replies(tasks), key=KEY, latency=latency) as server:
        began, cpu = time.monotonic(), time.process_time()
        traces = S.synthesize(tasks, make_teacher(server.url, timeout=60.), folder=folder, concurrency=concurrency, budget_usd=100., judge=judge, say=quiet)
        seconds, cpu_used, stats = time.monotonic() - began, time.process_time() - cpu, server.stats()
    assert len(traces) == requests == stats['requests'] and stats['max_in_flight'] <= concurrency
    sent = (requests - concurrency)/(stats['starts'][-1] - stats['starts'][0])      # while it runs: the first ones go at once, the last are waited for
    return dict(requests=requests, sent_per_second=round(sent, 1), max_in_flight=stats['max_in_flight'], seconds=round(seconds, 2), per_second=round(requests/seconds, 1), ideal=concurrency/latency if latency else None,
                cpu_ms=round(cpu_used/requests*1000, 2), share=round(requests/seconds/(concurrency/latency), 3) if latency else None, peak_mb=peak_mb() + beside[-1], judge_mb=beside[-1],
                server_ms=round(1000*stats['cpu_seconds']/requests, 2))

def _bench(folder, out, kw): Path(out).write_text(json.dumps(bench_synthesis(folder, **kw)))

def in_fresh_process(tmp_path, **kw):
    tmp_path.mkdir(exist_ok=True)
    p = multiprocessing.get_context('spawn').Process(target=_bench, args=(str(tmp_path/'bench'), str(tmp_path/'out.json'), kw)); p.start(); p.join(120)
    assert p.exitcode == 0
    return json.loads((tmp_path/'out.json').read_text())

def test_a_small_run_keeps_the_slots_filled(tmp_path):
    got = in_fresh_process(tmp_path, requests=100, latency=.5, concurrency=25)
    assert got['max_in_flight'] == 25 and got['peak_mb'] < 300, got

MARGIN = .08    # what the noise of a machine that others use as well may take

@slow
@pytest.mark.parametrize('judged', [False, True])
def test_speed_and_memory(judged, tmp_path):
    "Nine tenths of the ideal rate over the whole call, or of what this machine reaches without a judge, where that is less; the margin is for its noise."
    if os.getloadavg()[0] > os.cpu_count(): pytest.skip(f'a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: others are using this machine')
    got, bare = in_fresh_process(tmp_path/'a', judged=judged), in_fresh_process(tmp_path/'b') if judged else None
    print(got, bare)
    assert got['share'] >= .9*min(1., bare['share']/.9 if judged else 1.) - MARGIN and got['peak_mb'] < 300, (got, bare)

if __name__ == '__main__':
    import tempfile
    for kw in ({}, dict(judged=True), dict(latency=0.)):
        with tempfile.TemporaryDirectory() as d: print(in_fresh_process(Path(d), **kw), flush=True)

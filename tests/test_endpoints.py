"The teacher over HTTP, against a local server that misbehaves as the real ones do: every failure is named, and none becomes an answer."
import asyncio, copy, json, logging, pickle, random, resource, sys, time
from pathlib import Path
import httpx, pytest
sys.path.insert(0, str(Path(__file__).parent))
from llm_server import FINAL, PASSING, SPOILT, LlmServer
from cortex import endpoints
from cortex.artifacts import CortexError
from cortex.cases import Snapshot
from cortex.endpoints import ACCOUNT, KINDS, PRESETS, ApiTeacher, ChatReply, EventStream, TeacherError, read_answer, wait_before
from cortex.tasks import make_task
from cortex.teachers import teacher_messages

KEY = 'sk-or-5ecret-5ecret'
TASK = make_task('protocol.ratios', Snapshot(chain='near', asof='2025-03-01', horizon=7, condition='bear', source='simulated', peers={}, history=(), features={},
                 metrics={'price_usd': 3.1234, 'tx_count': 1_043_210., 'active_addresses': 402_411., 'fees_usd': 1_203_000., 'tvl_usd': 2.1e8}))
MESSAGES = teacher_messages(TASK)
REASONING, ANSWER = 'Fees are shared — by all.\nDivide: 1.20M / 1.04M = 1.15 → fee 😀', '<answer>fee per tx: 1.15\nrisk: fees may shift\naction: watch usage</answer>'
REPLIES = {MESSAGES[-1]['content']: f'<think>{REASONING}</think>\n{ANSWER}'}

@pytest.fixture(scope='module')
def server():
    with LlmServer(REPLIES, key=KEY, stall=4.) as s: yield s

@pytest.fixture(autouse=True)
def calm(request):
    "Undo what another test has set."
    if 'server' in request.fixturenames:
        request.getfixturevalue('server').set(script=[], faults=0., latency=0., shape='reasoning', credits=None, price_in=.5, price_out=2.15, context=163_840, key=KEY, own_count=True, stall=4., served=None, echo=[], pricing={}, overdrawn=0.,
                                              models=['test/writer','test/writer-0528','test/other','deepseek/deepseek-chat'])

def make(server, **kw): return ApiTeacher(server.url, **{'model': 'test/writer', 'key': KEY, 'timeout': 2.5 if kw.get('stream') else 1., **kw})

def run(teacher, what, *args, **kw):
    async def go():
        async with teacher.client() as http: return await getattr(teacher, what)(http, *args, **kw)
    return asyncio.run(go())

def ask(server, fault=None, **kw):
    "Ask once under a fault; give the reply or the error."
    if fault: server.script(fault)
    try: return run(make(server, **kw), 'ask', MESSAGES)
    except TeacherError as e: return e

@pytest.mark.parametrize('stream', (False, True))
@pytest.mark.parametrize('shape', ('reasoning','details','both','summary','reasoning_content','think','bare'))
def test_reasoning_wherever_it_stands(server, shape, stream):
    "Streaming or not, and in every shape, the same reply comes out."
    server.set(shape=shape)
    r = ask(server, stream=stream)
    assert (r.reasoning, r.content, r.finish, r.model, r.provider) == (REASONING, ANSWER, 'stop', 'test/writer', 'SomeHost')
    assert r.text == REPLIES[MESSAGES[-1]['content']] and r.cost_usd > 0 and r.prompt_tokens > 100 and r.generation.startswith('gen-')

COMES = {  # fault -> kind, ask again
    '408': ('timeout', True), '429': ('rate_limited', True), '429_0': ('rate_limited', True), '429_1': ('rate_limited', True), '429_date': ('rate_limited', True), '429_3600': ('rate_limited', True),
    **{s: ('overloaded', True) for s in ('500','502','503','503_1','520','529','error_200','mid_stream','mid_stream_bare','echo_key')}, '504': ('timeout', True), '524': ('timeout', True),
    '402': ('no_credits', False), '402_wait': ('no_credits', True), 'empty': ('empty', True), 'reasoning_only': ('empty', True), 'length': ('truncated', False), 'length_empty': ('truncated', False),
    'refused': ('refused', False), 'refused_200': ('refused', False), 'reset': ('network', True), 'reset_early': ('network', True), 'stall': ('timeout', True), 'stall_early': ('timeout', True),
    'slow_headers': ('timeout', True), 'drip': ('timeout', True), 'cut_body': ('network', True), 'malformed': ('malformed', True), 'html': ('malformed', True), 'nan': ('malformed', True), 'deep': ('malformed', True),
    'bomb': ('malformed', False), 'long': ('malformed', False), 'no_choices': ('malformed', True), '400': ('bad_request', False), '401': ('bad_key', False), '403': ('bad_key', False), '404': ('gone', False),
    '413': ('too_long', False), '422': ('bad_request', False), 'gone': ('gone', False), 'too_long': ('too_long', False)}
FINE = ('no_usage','wrong_model','odd_types')

def test_every_fault_is_expected(): assert set(COMES) | set(FINE) == {*PASSING, *SPOILT, *FINAL}

@pytest.mark.parametrize('stream', (False, True))
@pytest.mark.parametrize('fault', COMES)
def test_failures_are_named(server, fault, stream):
    "One attempt, one error: its kind, whether to ask again, and what it is known to have cost."
    before, start = server.stats()['billed_usd'], time.perf_counter()
    stalls = fault in ('stall','stall_early','slow_headers','drip')
    e = ask(server, fault, stream=stream, **({} if stalls else {'timeout': 20.}))
    assert isinstance(e, TeacherError), e
    assert (e.kind, e.retry) == COMES[fault], str(e)
    billed = server.stats()['billed_usd'] - before
    assert e.cost_usd is None or abs(e.cost_usd - billed) < 1e-9, 'a cost that is named is the one that was billed'
    assert KEY not in str(e) + repr(e) + str(e.__dict__) and '\x1b' not in str(e) and '\x07' not in str(e) and len(str(e)) < 700 and KINDS[e.kind][:12] in str(e).replace('CORTEX_TEACHER_KEY', '{key}')
    assert not stalls or time.perf_counter() - start < 3.8, 'no stall lasts for longer than the timeout'

@pytest.mark.parametrize('fault, after', [('429_0', 0), ('429_1', 1), ('429_3600', 3600), ('503_1', 1), ('402_wait', 1), ('429', None)])
def test_retry_after(server, fault, after):
    e = ask(server, fault)
    assert e.after == after
    w = wait_before(e, 1, random.Random(0))
    assert w is None if after == 3600 else (after or 0) <= w <= (after or 0) + 1

def test_text_that_no_file_can_hold(server):
    "Half a character, which JSON can spell, is replaced before somebody stores it."
    r = read_answer(make(server), {'choices': [{'finish_reason': 'stop', 'message': {'content': 'a\ud800b', 'reasoning': '\udc00'}}]})
    assert r.text.encode() and r.content == 'a?b'

def test_retry_after_as_a_date(server): assert 0 <= ask(server, '429_date').after <= 2

@pytest.mark.parametrize('stream', (False, True))
def test_odd_but_whole(server, stream):
    "What is odd and still an answer is taken as it is; what is not said stays unknown."
    assert ask(server, 'wrong_model', stream=stream).model == 'test/another-model'
    r = ask(server, 'no_usage', stream=stream, prices=(1., 1.))
    assert (r.content, r.cost_usd, r.completion_tokens) == (ANSWER, None, 0)
    r = ask(server, 'odd_types', stream=stream)
    assert r.cost_usd > 0 and r.prompt_tokens > 0 and r.content == ANSWER

@pytest.mark.parametrize('stream', (False, True))
def test_an_answer_in_the_end(server, stream, monkeypatch):
    "Whatever passes by itself is asked again, and the trace is that of a good day."
    monkeypatch.setattr(endpoints, 'wait_before', lambda *a: 0. if wait_before(*a) is not None else None)
    want = run(make(server, stream=stream), 'answer_async', TASK)
    assert (want.teacher, want.model, want.provider, want.text) == ('127.0.0.1', 'test/writer', 'SomeHost', REPLIES[MESSAGES[-1]['content']])
    for fault in PASSING:
        before = server.stats()['requests']
        server.script(fault)
        got = run(make(server, stream=stream), 'answer_async', TASK, 0)
        assert {**got.to_row(), 'seconds': 0} == {**want.to_row(), 'seconds': 0}, fault
        assert server.stats()['requests'] == before + 2, fault
    server.script(*['500']*6)
    with pytest.raises(TeacherError, match='HTTP 500'): run(make(server), 'answer_async', TASK)
    server.script('401')
    before = server.stats()['requests']
    with pytest.raises(TeacherError, match='HTTP 401'): run(make(server), 'answer_async', TASK)
    assert server.stats()['requests'] == before + 1

def test_many_at_once_under_faults(server, monkeypatch):
    "Sixty requests, a third of them failing: known costs and the server's own count agree, and no bound is exceeded."
    monkeypatch.setattr(endpoints, 'wait_before', lambda *a: 0. if wait_before(*a) is not None else None)
    known = [k for k in PASSING if k not in ('reset','stall','cut_body','malformed','stall_early')]
    server.set(faults=.35, kinds=known, seed=3)
    teacher, costs, bound = make(server, prices=(.5, 2.15), timeout=20.), [], make(server, prices=(.5, 2.15)).cost_bound(MESSAGES)
    before = server.stats()
    async def one(http, seed):
        for _ in range(6):
            try: r = await teacher.ask(http, MESSAGES, seed); costs.append(r.cost_usd); return r
            except TeacherError as e: costs.append(e.cost_usd)
    async def go():
        async with teacher.client() as http: return await asyncio.gather(*(one(http, i) for i in range(60)))
    replies = asyncio.run(go())
    after = server.stats()
    assert all(r and r.content == ANSWER for r in replies) and after['requests'] - before['requests'] > 70
    assert abs(sum(c or 0 for c in costs) - (after['billed_usd'] - before['billed_usd'])) < 1e-9
    assert all((c or 0) <= bound for c in costs)

def test_the_bound_holds_for_any_text(server):
    "No text takes more tokens than it has bytes."
    teacher = make(server, prices=(.5, 2.15))
    for text in ('', 'a', '😀'*50, 'ß\x00'*20, 'x'*5000):
        m = [{'role': 'user', 'content': text}]
        r = run(teacher, 'ask', m)
        assert r.prompt_tokens + r.completion_tokens <= teacher.token_bound(m) and r.cost_usd <= teacher.cost_bound(m)

def test_check(server):
    "The look-up before a run: model, prices, context, credits."
    teacher = make(server)
    got = run(teacher, 'check')
    assert (got['model'], got['found'], got['context'], got['credits']) == ('test/writer', True, 163_840, None)
    assert [round(p, 6) for p in teacher.prices] == [.5, 2.15] and teacher.context == 163_840
    assert abs(run(teacher, 'usage') - server.stats()['billed_usd']) < 1e-12
    with pytest.raises(TeacherError, match=r"writer-1203 is not among the 4 models .* What comes close: test/writer, test/writer-0528") as e: run(make(server, model='test/writer-1203'), 'check')
    assert e.value.kind == 'gone' and e.value.kind in ACCOUNT
    with pytest.raises(TeacherError, match='4 models are served'): run(make(server, model=''), 'check')
    server.set(models=['our-model'], price_in=None, own_count=False, context=1024)
    teacher = make(server, model=''); params = teacher.params()
    got = run(teacher, 'check')
    assert (got['model'], got['prices'], got['credits'], teacher.model, teacher.cost_bound(MESSAGES), run(teacher, 'usage')) == ('our-model', None, None, 'our-model', None, None)
    assert (got['context'], got['max_tokens'], teacher.max_tokens) == (1024, 512, 512)
    assert teacher.params() == params and teacher.payload(MESSAGES)['max_tokens'] == 512
    server.set(context=163_840)
    server.set(models=['test/writer'], own_count=True, credits=0.)
    with pytest.raises(TeacherError, match='limit of the key is used up') as e: run(make(server), 'check')
    assert e.value.kind == 'no_credits' and ask(server).kind == 'no_credits'

def test_keys(server, monkeypatch, caplog):
    "A missing or refused key is named by its variable; the key itself appears nowhere."
    caplog.set_level(logging.DEBUG)
    monkeypatch.delenv('OPENROUTER_API_KEY', raising=False); monkeypatch.delenv('CORTEX_TEACHER_KEY', raising=False)
    with pytest.raises(TeacherError, match='Set OPENROUTER_API_KEY') as e: ApiTeacher('openrouter').client()
    assert e.value.kind == 'no_key'
    e = ask(server, key='')
    assert e.kind == 'no_key' and 'Set CORTEX_TEACHER_KEY' in str(e)
    e = ask(server, key='sk-or-wr0ng-wr0ng')
    assert e.kind == 'bad_key' and 'wr0ng' not in str(e) and '***' in str(e)
    monkeypatch.setenv('CORTEX_TEACHER_KEY', KEY)
    teacher = make(server, key=None, stream=True)
    assert run(teacher, 'ask', MESSAGES).content == ANSWER
    client = teacher.client()
    shown = [repr(teacher), str(vars(teacher)), repr(client.headers), repr(client), str(teacher.params()), json.dumps(teacher.payload(MESSAGES)), repr(copy.deepcopy(teacher.body)), caplog.text]
    assert 'HTTP Request' in caplog.text and not any('5ecret' in s for s in shown)
    assert b'5ecret' not in pickle.dumps(teacher)
    for bad in ('two words', 'line\nbreak', 'é'*20, 'x'):
        with pytest.raises(TeacherError) as e: make(server, key=bad)
        assert bad not in str(e.value)

@pytest.mark.parametrize('stream', (False, True))
def test_a_server_that_repeats_the_key(server, stream, capsys):
    "Whatever holds the key in an answer, nothing that is made of it does."
    parts = ('provider','model','finish','id','content','reasoning')
    server.set(echo=[*parts, 'models'])
    teacher = make(server, stream=stream)
    facts, r = run(teacher, 'check'), run(teacher, 'ask', MESSAGES)
    assert all(getattr(r, k).endswith(' ***') for k in ('provider','model','finish','generation','content','reasoning')), r
    trace = teacher.trace(TASK, r)
    for shown in (repr(r), r.text, repr(trace), json.dumps(trace.to_row()), repr(facts), repr(teacher), str(vars(teacher))): assert '5ecret' not in shown
    for part in parts:
        server.set(echo=[part])
        assert '***' in repr(one := run(teacher, 'ask', MESSAGES)) and '5ecret' not in repr(one)

def test_a_model_that_is_called_as_the_key(server):
    "An id that holds the key is nobody's name, and one that a person gave is refused."
    server.set(echo=['models'], models=['our-model'])
    teacher = make(server, model='')
    assert run(teacher, 'check')['model'] == teacher.model == 'our-model'
    for models in ([], ['x ' + KEY], [KEY[:6] + chr(0x200b) + KEY[6:]]):
        server.set(models=models)
        teacher = make(server, model='')
        with pytest.raises(TeacherError, match='0 models are served') as e: run(teacher, 'check')
        assert '5ecret' not in str(e.value) + repr(teacher) + str(vars(teacher)) and teacher.model == ''
    for kw in (dict(model=KEY), dict(model='a/' + KEY), dict(body={'user': KEY})):
        with pytest.raises(CortexError, match='stands in the model, the address or the body') as e: make(server, **kw)
        assert '5ecret' not in str(e.value)
    with pytest.raises(CortexError, match='stands in the model'): ApiTeacher(f'{server.url}/{KEY}', 'm', key=KEY)

def test_the_key_of_a_server_of_ones_own(server, monkeypatch):
    "CORTEX_TEACHER_KEY goes to local addresses and the preset vllm where it is set, and is missed nowhere else."
    for where in ('vllm', 'http://127.0.0.1:8000/v1', 'http://localhost:8000/v1'):
        monkeypatch.setenv('CORTEX_TEACHER_KEY', KEY)
        t = ApiTeacher(where, 'm')
        assert t.secrets == [KEY] and t.client().headers['authorization'] == f'Bearer {KEY}'
        monkeypatch.delenv('CORTEX_TEACHER_KEY')
        t = ApiTeacher(where, 'm')
        assert t.secrets == [] and 'authorization' not in t.client().headers

def test_prices_that_are_more_than_tokens(server):
    "Fees per request and dearer thoughts are in the bound; what cannot be bounded has no price."
    plain = make(server); run(plain, 'check')
    server.set(pricing={'request': '0.05', 'internal_reasoning': '0.00002'})
    dear = make(server); run(dear, 'check')
    assert dear.prices == (.5, 20., .05) and dear.cost_bound(MESSAGES) > plain.cost_bound(MESSAGES) + .05
    for pricing in ({'request': '-1'}, {'request': 'x'}, {'internal_reasoning': '-1'}, {'completion': '-1'}):
        server.set(pricing=pricing)
        assert run(t := make(server), 'check')['prices'] is None and t.cost_bound(MESSAGES) is None
    server.set(pricing={})
    assert run(make(server, model='test/writer:online'), 'check')['prices'] is None
    assert run(make(server, model='test/writer:nitro'), 'check')['prices'] == (.5, 2.15)
    assert run(make(server, body={'plugins': [{'id': 'web'}]}), 'check')['prices'] is None
    server.set(models=['test/writer', 'test/writer:online'])
    assert run(make(server, model='test/writer:online'), 'check')['prices'] == (.5, 2.15)
    with pytest.raises(TeacherError, match='is not among'): run(make(server, model='test/writer:free'), 'check')
    router = ApiTeacher('openrouter', key=KEY, prices=(.5, 2.15, .01), body={'provider': {'max_price': {'prompt': 9, 'completion': 1, 'image': 2}}})
    assert router.payload(MESSAGES)['provider']['max_price'] == {'prompt': .5, 'completion': 1, 'request': .01, 'image': 2}

def test_an_overdrawn_key(server):
    server.set(overdrawn=.4)
    with pytest.raises(TeacherError, match='limit of the key is used up') as e: run(make(server), 'check')
    assert e.value.kind == 'no_credits'

def test_terms_follow_the_model_that_answered(server):
    t = ApiTeacher('openrouter', key=KEY)
    say = lambda m: t.trace(TASK, ChatReply('x', 'y', 'stop', m, '', 1, 1, .1, 'g', 1.)).terms
    assert say('deepseek/deepseek-r1-0528') == say('deepseek/deepseek-r1-0528:free') == t.terms == PRESETS['openrouter'].terms
    assert say('openai/gpt-4o') == 'licence and terms of openai/gpt-4o' and say('deepseek/deepseek-r1') == 'licence and terms of deepseek/deepseek-r1'
    server.script('wrong_model')
    assert run(make(server), 'answer_async', TASK).terms == 'licence and terms of test/another-model'

def test_tags_that_are_rehearsed(server):
    "Tags in the thoughts are words; in the text each tag of the layout stands once."
    for thought in ('I must put it into <answer> tags. ', 'I must close with </think> first. ', 'So: <think>x</think><answer>y</answer>', '<ANSWER> </ think >'):
        text = ChatReply(ANSWER, thought + REASONING, 'stop', 'm', '', 1, 1, .1, 'g', 1.).text
        assert [text.lower().count(t) for t in ('<think>', '</think>', '<answer>', '</answer>')] == [1]*4 and text.endswith(ANSWER)

def test_one_question_takes_so_long_and_no_longer(server):
    "The cap holds over all attempts, whatever each may take."
    server.script(*['stall_early']*6)
    start = time.perf_counter()
    with pytest.raises(TeacherError) as e: run(make(server, timeout=.6, total=1.5), 'answer_async', TASK)
    assert e.value.kind == 'timeout' and time.perf_counter() - start < 2.5
    server.script()
    with pytest.raises(TeacherError, match='no time is left') as e: run(make(server), 'ask', MESSAGES, within=0.)
    assert e.value.cost_usd == 0.

def test_connections_are_used_again(server):
    "Both forms of answer leave their connection fit for the next request."
    for stream in (False, True):
        teacher, before = make(server, stream=stream), server.stats()['connections']
        async def go():
            async with teacher.client() as http:
                for i in range(100): await teacher.ask(http, MESSAGES, i)
        asyncio.run(go())
        assert server.stats()['connections'] - before <= 40   # one for each pool, and those of the statistics

def test_cancelled_requests_free_their_place(server):
    "A run that is stopped and goes on finds room for its requests."
    teacher = make(server, timeout=30.)
    async def go():
        async with teacher.client() as http:
            server.set(latency=5.)
            for _ in range(3):
                tasks = [asyncio.create_task(teacher.ask(http, MESSAGES, i)) for i in range(250)]
                await asyncio.sleep(.5)
                for t in tasks: t.cancel()
                assert all(isinstance(x, asyncio.CancelledError) for x in await asyncio.gather(*tasks, return_exceptions=True))
            server.set(latency=0.)
            return await asyncio.wait_for(asyncio.gather(*(teacher.ask(http, MESSAGES, i) for i in range(60))), 20)
    assert len(asyncio.run(go())) == 60

def test_nobody_there():
    "A port that is closed, a name that does not exist: no connection, no cost."
    e = None
    try: run(ApiTeacher('http://127.0.0.1:9/v1', 'm', timeout=2.), 'ask', MESSAGES)
    except TeacherError as x: e = x
    assert (e.kind, e.retry, e.cost_usd) == ('network', True, 0.)

def test_a_proxy_is_used_for_others_only(monkeypatch):
    monkeypatch.setenv('https_proxy', 'http://127.0.0.1:9'); monkeypatch.setenv('no_proxy', '')
    try: run(ApiTeacher('https://llm.example/v1', 'm', key=KEY, timeout=2.), 'ask', MESSAGES); assert False
    except TeacherError as e: assert e.kind in ('network', 'timeout') and e.cost_usd == 0.

WEIRD = (None, True, 0, -1, 1e400, '', 'x', '</think>', [], {}, [None], [[]], {'a': {}}, ['x'], [{}])

def spoil(x, rng):
    "Replace something in an answer by something else."
    if isinstance(x, (dict, list)) and x and rng.random() < .85:
        x = copy.copy(x); k = rng.choice(list(x)) if isinstance(x, dict) else rng.randrange(len(x))
        x[k] = spoil(x[k], rng)
        return x
    return rng.choice(WEIRD)

def test_hostile_answers_end_well(server):
    "Whatever stands where, in one piece or in a stream, the end is a reply with an answer or a `TeacherError`."
    teacher, rng = make(server), random.Random(0)
    message = {'content': ANSWER, 'reasoning': 'r', 'reasoning_details': [{'text': 'r', 'index': 0}], 'refusal': None}
    whole = {'id': 'gen-1', 'model': 'm', 'provider': 'p', 'choices': [{'index': 0, 'finish_reason': 'stop', 'message': message, 'delta': message}], 'usage': {'prompt_tokens': 1, 'completion_tokens': 1, 'cost': .1},
             'error': {'code': 502, 'message': 'm', 'metadata': {'error_type': 'server', 'reasons': ['x']}, 'availability': {'retryable': True, 'retry_after': 3}}}
    ends = {'reply': 0, 'error': 0}
    for n in range(4000):
        answer = {k: v for k, v in whole.items() if k != 'error' or n % 4 == 0}
        for _ in range(rng.randint(1, 3)): answer = spoil(answer, rng)
        try:
            if n % 2:
                s = EventStream()
                s._take(answer if isinstance(answer, dict) else {}); s.over = True
                answer = s.answer()
            r = read_answer(teacher, answer if isinstance(answer, dict) else {})
            assert isinstance(r, ChatReply) and r.content and isinstance(r.reasoning, str) and (r.cost_usd is None or 0 <= r.cost_usd < 1e9) and isinstance(r.finish, str)
            ends['reply'] += 1
        except TeacherError as e: assert e.kind in KINDS; ends['error'] += 1
    assert min(ends.values()) > 300

def test_it_is_cheap(server):
    "A request takes a small part of ten milliseconds of one core, which a hundred a second would leave for it."
    teacher = make(server, timeout=60.)
    async def go():
        async with teacher.client() as http:
            room = asyncio.Semaphore(50)
            async def one(i):
                async with room: await teacher.ask(http, MESSAGES, i)
            await asyncio.gather(*(one(i) for i in range(100)))
            start = time.process_time()
            await asyncio.gather(*(one(i) for i in range(300)))
            return (time.process_time() - start)/300
    assert asyncio.run(go()) < .008

def test_hostile_bodies_take_little_memory(server):
    "What is packed is not unpacked whole."
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for stream in (False, True): assert ask(server, 'bomb', stream=stream, timeout=20.).kind == 'malformed'
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40*1024

def test_presets():
    "Each preset makes a teacher; the prices of a router are a bound that it is told about."
    for name, p in PRESETS.items():
        t = ApiTeacher(name, key=KEY)
        assert (t.name, t.url, t.model, t.max_tokens) == (name, p.url, p.model, p.max_tokens) and t.terms == p.terms
    t = ApiTeacher('openrouter', key=KEY, prices=(.5, 2.15))
    assert t.payload(MESSAGES)['provider'] == {'max_price': {'prompt': .5, 'completion': 2.15, 'request': 0.}, 'enforce_distillable_text': True, 'data_collection': 'deny'}
    assert t.params(1) == ApiTeacher('openrouter', key=KEY).params(1), 'prices do not change what is asked'
    assert ApiTeacher('openrouter', 'qwen/qwen3-32b', key=KEY).terms == 'licence and terms of qwen/qwen3-32b'

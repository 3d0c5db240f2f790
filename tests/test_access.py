"The guard of the service on a real socket: keys that change, limits, broken HTTP, clients that leave, and what the log and the metrics say."
import asyncio, contextlib, hmac, json, os, re, signal, socket, subprocess, sys, threading, time
from pathlib import Path
import httpx, pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from prometheus_client.parser import text_string_to_metric_families
from cortex.access import (ClientGone, Guard, KeyRing, Metrics, Problem, RateLimit, Slots, add_key, guard, hash_key, new_key, problem_bytes, read_json, read_keys, remove_keys)
from cortex.artifacts import CortexError

# how long an example takes says nothing on a machine that does other things too
try_many = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
PROMPT = 'my very secret question about near'

class Served:
    "A guarded server in a process of its own."
    def __init__(self, folder):
        self.keys, self.log = folder/'keys.txt', folder/'log'
        self.key, self.other = add_key(self.keys, 'desk'), add_key(self.keys, 'slow', rpm=6)
        self.used = [self.key, self.other]
        with self.log.open('w') as log: self.process = subprocess.Popen([sys.executable, '-P', str(Path(__file__).with_name('guarded_server.py')), str(self.keys)], stdout=subprocess.PIPE, stderr=log, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = f'http://127.0.0.1:{self.port}'
        self.http = httpx.Client(timeout=60, trust_env=False)
        self.until(lambda: self.http.get(f'{self.url}/health').status_code == 200)

    def until(self, met, seconds=60):
        "Wait until something holds."
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError, httpx.HTTPError):
                if met(): return
            assert time.monotonic() < end, f'not within {seconds} s'
            time.sleep(.02)

    def post(self, path='/v1/echo', key=None, **kw):
        return self.http.post(self.url + path, headers={'Authorization': f'Bearer {key or self.key}', **kw.pop('headers', {})}, **kw)

    def raw(self, *parts, pause=0.):
        "Send bytes, wait for the server to end the connection, and give all that it said."
        with socket.create_connection(('127.0.0.1', self.port), 60) as s:
            for i, part in enumerate(parts):
                if i: time.sleep(pause)
                with contextlib.suppress(OSError): s.sendall(part)
            said = b''
            with contextlib.suppress(ConnectionResetError):
                while part := s.recv(65536): said += part
        return said.decode('latin-1')

    def value(self, name, **labels):
        "Read one number of /metrics."
        for family in text_string_to_metric_families(self.http.get(f'{self.url}/metrics').text):
            for s in family.samples:
                if s.name == name and s.labels == labels: return s.value

@pytest.fixture(scope='module')
def server(tmp_path_factory):
    s = Served(tmp_path_factory.mktemp('access'))
    try: yield s
    finally: s.http.close(); s.process.terminate(); s.process.wait(60); s.process.stdout.close()

def is_problem(r, status):
    "Check that an answer is a problem with all its parts."
    assert r.status_code == status and r.headers['content-type'] == 'application/problem+json', r.text
    p = r.json()
    assert p['status'] == status and p['detail'] and p['remedy'] and p['request_id'] == r.headers['x-request-id'] and set(p) >= {'type', 'title', 'field', 'value'}
    return p

# ---------------------------------------------------------------- keys

def test_only_a_known_key_gets_in(server):
    assert server.post(json={'a': 1}).json() == {'got': {'a': 1}, 'key': 'desk'}
    r = server.http.post(f'{server.url}/v1/echo', json={})
    assert is_problem(r, 401)['field'] == 'Authorization' and r.headers['www-authenticate'] == 'Bearer'
    for header in (f'Bearer {new_key()}', f'Bearer {server.key[:-1]}', f'Basic {server.key}', 'Bearer', f'Bearer {hash_key(server.key)}', f'Bearer {server.key}x' + 'x'*600, 'Bearer \xff\xfe'):
        p = is_problem(server.http.post(f'{server.url}/v1/echo', json={}, headers={'Authorization': header.encode('latin-1')}), 401)
        assert server.key not in str(p)

@pytest.mark.parametrize('path', ['//health', '/health/', '/health;a', '/HEALTH', '/health%00', '/health%2f', '/v1/../health', '/./health', '/unknown', '/health\\'])
def test_no_spelling_of_a_public_address_opens_another(server, path):
    said = server.raw(f'GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode())
    assert said.startswith(('HTTP/1.1 401', 'HTTP/1.1 400')), said[:200]

def test_public_addresses_need_no_key_to_be_read_and_one_to_be_written(server):
    assert server.http.get(f'{server.url}/health').json() == {'ok': True}
    assert server.http.head(f'{server.url}/metrics').status_code in (200, 405)
    is_problem(server.http.post(f'{server.url}/health'), 401); is_problem(server.http.request('OPTIONS', f'{server.url}/v1/echo'), 401)
    is_problem(server.post('/nowhere'), 404); is_problem(server.post('/health'), 405)

def test_keys_come_and_go_without_a_restart(server):
    new = add_key(server.keys, 'visitor'); server.used.append(new)
    server.until(lambda: server.post(key=new, json={}).status_code == 200)
    whole = server.keys.read_text()
    before = server.value('cortex_key_file_failures')
    server.keys.write_text(whole[:-30])                                                    # half written
    server.until(lambda: server.value('cortex_key_file_failures') == before + 1 or not server.post(json={}))
    assert server.post(key=new, json={}).status_code == server.post(json={}).status_code == 200
    server.keys.unlink()
    server.until(lambda: server.post(json={}) and server.value('cortex_key_file_failures') == before + 2)
    assert server.post(json={}).status_code == 200
    server.keys.write_text(whole); assert remove_keys(server.keys, 'visitor') == 1
    server.until(lambda: server.post(key=new, json={}).status_code == 401)
    assert server.post(json={}).status_code == 200
    assert any('keys not read' in line and 'half written' in line for line in server.log.read_text().splitlines())

def test_every_key_is_compared_whichever_matches(tmp_path, monkeypatch):
    keys = [add_key(tmp_path/'k', f'n{i}') for i in range(5)]
    ring, seen, real = KeyRing(tmp_path/'k'), [], hmac.compare_digest
    monkeypatch.setattr(hmac, 'compare_digest', lambda a, b: seen.append(1) or real(a, b))
    for key in (keys[0], keys[4], new_key()): seen.clear(); ring.check(f'Bearer {key}'); assert len(seen) == 5

@try_many
@given(st.text(max_size=300))
def test_any_file_of_keys_is_read_or_refused(text):
    try: assert all(re.fullmatch('[0-9a-f]{64}', e.digest) for e in read_keys(text))
    except CortexError as e: assert str(e)

@try_many
@given(st.text(max_size=100))
def test_any_header_is_checked(text): assert KeyRing().check(text) is None

# ---------------------------------------------------------------- rates and places

def test_a_key_has_its_own_rate_and_is_told_when_to_come_back(server):
    answers = [server.post(key=server.other, json={}) for _ in range(4)]
    refused = [r for r in answers if r.status_code == 429]
    assert answers[0].status_code == 200 and refused
    assert 1 <= int(refused[0].headers['retry-after']) <= 10 and '6 per minute' in is_problem(refused[0], 429)['detail']
    assert server.post(json={}).status_code == 200

@try_many
@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 2)), max_size=60), st.floats(1, 600))
def test_no_caller_gets_more_than_its_rate_and_a_refusal_names_the_time(steps, rpm):
    now = [0.]
    limit, burst, served, times = RateLimit(rpm, clock=lambda: now[0]), max(1., rpm/6), {}, {}
    for dt, who in steps:
        now[0] += dt
        wait = limit.take(str(who))
        times.setdefault(who, now[0])
        if not wait: served[who] = served.get(who, 0) + 1
        else:
            later = RateLimit(rpm, clock=lambda: now[0] + wait + 1e-6); later.table = limit.table.copy(); assert later.take(str(who)) == 0
        assert served.get(who, 0) <= burst + (now[0] - times[who])*rpm/60 + 1e-6

def test_the_table_of_callers_has_an_end():
    limit = RateLimit(60, most=500)
    for i in range(5_000): limit.take(f'10.{i >> 16}.{i >> 8 & 255}.{i & 255}')
    assert len(limit.table) == 500

def stream(server, how, ready):
    "Start a streamed request in a thread and wait for its first words."
    got = {}
    def run():
        with server.http.stream('POST', f'{server.url}/v1/chat/completions', json={'how': how, 'messages': PROMPT}, headers={'Authorization': f'Bearer {server.key}'}) as r:
            got['status'], got['parts'] = r.status_code, []
            with contextlib.suppress(httpx.RemoteProtocolError):
                for part in r.iter_raw(): got['parts'].append(part); ready.set()
                got['whole'] = True
            ready.set()
    thread = threading.Thread(target=run); thread.start()
    return thread, got

def test_a_stream_arrives_as_it_is_made_and_the_queue_has_an_end(server):
    ready = threading.Event(); first, got = stream(server, 'wait', ready)
    assert ready.wait(60) and got['parts'] == [b'data: first\n\n'] and 'whole' not in got    # the server still waits
    assert server.value('cortex_running') == 1
    second, after = stream(server, 'none', threading.Event())
    server.until(lambda: server.value('cortex_waiting') == 1)
    assert server.value('cortex_queue_fill') == 2
    r = server.post('/v1/chat/completions', json={})
    assert is_problem(r, 429)['error']['type'] == 'rate_limit_error' and int(r.headers['retry-after']) >= 1
    assert server.post(json={}).status_code == 200                                           # other addresses need no place
    server.post('/v1/open'); first.join(60); second.join(60)
    assert got['whole'] and after['whole'] and b''.join(got['parts']) == b'data: first\n\ndata: second\n\n'
    server.until(lambda: server.value('cortex_running') == server.value('cortex_waiting') == 0)

def leave(server, body, first=b''):
    "Open a connection, ask, read the beginning, and give the socket."
    s = socket.create_connection(('127.0.0.1', server.port), 60); body = json.dumps(body).encode()
    s.sendall(b'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' % (server.key.encode(), len(body), body))
    said = b''
    while first not in said: said += s.recv(65536)
    return s

def test_clients_that_leave_give_their_places_back(server):
    holds = leave(server, {'how': 'hang'}, b'first'); waits = leave(server, {'how': 'hang'})
    server.until(lambda: server.value('cortex_waiting') == 1)
    waits.close(); server.until(lambda: server.value('cortex_waiting') == 0)
    assert server.value('cortex_running') == 1
    holds.close(); server.until(lambda: server.value('cortex_running') == 0)
    assert server.post('/v1/chat/completions', json={'how': 'none'}).text == 'data: first\n\ndata: second\n\n'

def test_a_failure_in_mid_stream_ends_the_connection_and_gives_the_place_back(server):
    with pytest.raises(httpx.RemoteProtocolError): server.post('/v1/chat/completions', json={'how': 'break', 'messages': PROMPT})
    server.until(lambda: server.value('cortex_running') == 0)
    assert server.post('/v1/chat/completions', json={'how': 'none'}).status_code == 200

def test_a_client_that_leaves_is_no_failure(caplog):
    async def app(scope, receive, send): raise ClientGone if scope['path'] == '/left' else RuntimeError(PROMPT)
    async def ask(path):
        async def nothing(*_): return dict(type='http.request')
        await guarded(dict(type='http', method='GET', path=path, headers=[], client=None), nothing, nothing)
    metrics = Metrics(); guarded = Guard(app, metrics=metrics)
    with caplog.at_level('INFO', 'cortex.access'): asyncio.run(ask('/left')); asyncio.run(ask('/failed'))
    assert [(r.levelname, r.fields.get('status'), r.fields.get('reason')) for r in caplog.records] == [('INFO', 499, 'left'), ('ERROR', None, None), ('INFO', 500, 'failed')]
    assert metrics.registry.get_sample_value('cortex_refused_total', {'reason': 'left'}) == 1 and metrics.registry.get_sample_value('cortex_open_requests') == 0

def test_a_hanging_application_is_ended_in_time():
    async def app(scope, receive, send):
        if scope['path'] == '/v1/analyze': await send({'type': 'http.response.start', 'status': 200, 'headers': []}); await send({'type': 'http.response.body', 'body': b'x', 'more_body': True})
        await asyncio.sleep(1e3)
    async def ask(path):
        sent, never = [], asyncio.Event()
        body = [dict(type='http.request', body=b'', more_body=False)]
        async def receive(): return body.pop() if body else await never.wait()
        async def send(m): sent.append(m)
        slots = Slots(1, 0)
        await Guard(app, slots=slots, timeout=.05)(dict(type='http', method='POST', path=path, headers=[], client=('127.0.0.1', 1)), receive, send)
        assert (slots.running, slots._free.locked()) == (0, False)
        return sent
    sent = asyncio.run(ask('/v1/chat/completions')); assert sent[0]['status'] == 504 and json.loads(sent[1]['body'])['remedy']
    sent = asyncio.run(ask('/v1/analyze')); assert sent[-1]['more_body']                    # begun, and not ended as if whole

# ---------------------------------------------------------------- bodies

def test_bodies_are_counted_while_they_arrive(server):
    big = b'{"a": "' + b'x'*200_000 + b'"}'; kind = {'Content-Type': 'application/json'}
    assert is_problem(server.post(content=big, headers=kind), 413)['value'] == str(len(big))
    def endless():
        while True: yield b'x'*10_000
    with contextlib.suppress(httpx.WriteError, httpx.ReadError): is_problem(server.post(content=endless(), headers=kind), 413)
    post = f'POST /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\nContent-Type: application/json\r\n'.encode()
    assert server.raw(post + b'Transfer-Encoding: chunked\r\n\r\n', *[b'4000\r\n' + b'x'*0x4000 + b'\r\n']*7).startswith('HTTP/1.1 413')
    assert server.post(content=b'{"a": "' + b'x'*90_000 + b'"}', headers=kind).status_code == 200
    assert server.post(content=iter([b'{"a"', b': 1', b'}']), headers=kind).json()['got'] == {'a': 1}

def test_slow_bodies_and_slow_headers_are_given_up(server):
    post = f'POST /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n'.encode()
    said = server.raw(post, *[b'{']*8, pause=.5)
    assert said.startswith('HTTP/1.1 408') and 'connection: close' in said.lower() and said.count('HTTP/1.1') == 1
    assert server.raw(b'GET /health HTTP/1.1\r\n', *[b'X-A: 1\r\n']*8, pause=.5) == ''
    assert server.raw() == ''                                                                # nothing said at all

def test_a_refused_sender_can_read_why(server):
    for size in (10, 60_000, 100_000):
        is_problem(server.http.post(f'{server.url}/v1/echo', content=b'x'*size, headers={'Content-Type': 'application/json'}), 401)

@pytest.mark.parametrize('kind,body,status', [('text/plain', b'{}', 415), ('', b'{}', 415), ('application/x-www-form-urlencoded', b'a=1', 415), ('application/jsonp', b'{}', 415), ('multipart/form-data; boundary=x', b'{}', 415),
    ('application/json', b'{"a": NaN}', 400), ('application/json', b'{"a": 1e999}', 400), ('application/json', b'{"a": "\\ud800"}', 400), ('application/json', b'\xff\xfe', 400), ('application/json', b'['*50_000, 400),
    ('application/json', b'{"a":'*10_000, 400), ('application/json', b'9'*50_000, 400), ('application/json', b'{"a": 1} {"b": 2}', 400), ('application/json; charset=utf-8', b'{"a": 1}', 200), ('APPLICATION/JSON', b'{"a": 1}', 200)])
def test_only_json_that_everybody_reads_is_read(server, kind, body, status):
    r = server.post(content=body, headers={'Content-Type': kind} if kind else {})
    assert r.status_code == 200 if status == 200 else is_problem(r, status)

def test_compressed_bodies_are_refused(server):
    is_problem(server.post(content=b'\x1f\x8b', headers={'Content-Type': 'application/json', 'Content-Encoding': 'gzip'}), 415)

@try_many
@given(st.one_of(st.binary(max_size=200), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=8).map(lambda v: json.dumps(v).encode())))
def test_what_is_read_can_be_written(raw):
    try: value = read_json(raw)
    except Problem as e: assert e.status == 400 and json.loads(problem_bytes(e)); return
    assert json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode()) == value

# ---------------------------------------------------------------- broken HTTP

AUTH = 'Host: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n'
INNER = 'POST /v1/echo HTTP/1.1\r\nHost: x\r\nX-Inner: 1\r\n\r\n'
@pytest.mark.parametrize('head', [
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Content-Length: 0\r\nContent-Length: 50\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Content-Length: 0, 50\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Content-Length: -1\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Content-Length: +0\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Content-Length: 0x10\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Content-Length: 99999999999999999999999\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Transfer-Encoding: chunked\r\n\r\nzz\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffffffff\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'X: a\0b\r\n\r\n' + INNER,
    'POST /v1/echo HTTP/1.1\r\n' + AUTH + 'X: ' + 'y'*40_000 + '\r\n\r\n' + INNER,
    'POST  /v1/echo HTTP/1.1\r\n' + AUTH + '\r\n' + INNER,
    'POST /v1/echo HTTP/9.9\r\n' + AUTH + '\r\n' + INNER,
    'POST /v1/echo\r\n' + INNER, '\x16\x03\x01\x02\x00\x01\x00' + INNER, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + INNER])
def test_broken_framing_ends_the_connection_and_hides_no_second_request(server, head):
    said = server.raw(head.replace('{key}', server.key).encode('latin-1'))
    assert said.count('HTTP/1.1 ') == 1 and re.match(r'HTTP/1\.1 (400|413|415|431|501|505) ', said), said[:300]
    assert 'application/problem+json' in said and 'connection: close' in said.lower()

def test_a_second_request_in_one_packet_needs_its_own_key(server):
    ask = 'POST /v1/echo HTTP/1.1\r\nHost: x\r\n{}Content-Type: application/json\r\nContent-Length: 2\r\n{}\r\n{{}}'
    said = server.raw((ask.format(f'Authorization: Bearer {server.key}\r\n', '') + ask.format('', 'Connection: close\r\n')).encode())
    assert re.findall(r'HTTP/1\.1 (\d+)', said) == ['200', '401']

def test_a_request_id_is_kept_if_it_is_a_plain_one(server):
    ids = {given: server.post(json={}, headers={'X-Request-ID': given}).headers['x-request-id'] for given in ('trace-1.a_B', 'x'*64, 'x'*65, 'a b', 'a"b', '')}
    assert [given == got for given, got in ids.items()] == [True, True, False, False, False, False] and all(re.fullmatch('[0-9a-f]{16}', got) for given, got in list(ids.items())[2:])

def test_answers_tell_browsers_to_be_careful_and_no_other_site_to_read(server):
    r = server.post(json={}, headers={'Origin': 'https://elsewhere.example'})
    assert r.headers['x-content-type-options'] == 'nosniff' and r.headers['referrer-policy'] == 'no-referrer' and "default-src 'none'" in r.headers['content-security-policy'] and r.headers['cache-control'] == 'no-store'
    assert not [h for h in r.headers if h.startswith('access-control') or h == 'server']

# ---------------------------------------------------------------- metrics and logs

def test_strangers_cannot_make_series(server):
    series = lambda: {line.rsplit(' ', 1)[0] for line in server.http.get(f'{server.url}/metrics').text.splitlines() if line[0] != '#'}
    server.post('/first'); server.http.request('BREW', f'{server.url}/first'); before = series()
    for i in range(8): server.post(f'/no/{i}', headers={'X-Request-ID': f'id{i}'}); server.http.request(f'M{i}', f'{server.url}/v1/{i}')
    assert series() == before
    assert server.key not in '\n'.join(before) and 'desk' not in '\n'.join(before) and '127.0.0.1' not in '\n'.join(before)

def test_the_log_is_json_with_ids_and_without_keys_or_questions(server):
    ask = {'messages': PROMPT}
    server.post(json=ask, headers={'X-Request-ID': 'seen-in-log'}); is_problem(server.post('/v1/fail', json=ask, headers={'X-Request-ID': 'failed-in-log'}), 500)
    server.post(f'/v1/echo?key={server.key}&q={PROMPT}', json=ask); server.post(f'/v1/{PROMPT}', json=ask); server.post(key='ctx_' + PROMPT, json=ask); server.post(content=PROMPT.encode())
    server.until(lambda: 'failed-in-log' in server.log.read_text())
    text = server.log.read_text(); lines = [json.loads(line) for line in text.splitlines()]
    assert not [k for k in server.used if k in text or k[4:20] in text] and PROMPT not in text and PROMPT.split()[2] not in text and hash_key(server.key) not in text
    seen = [x for x in lines if x.get('id') == 'seen-in-log']
    assert len(seen) == 1 and {k: seen[0][k] for k in ('event', 'key', 'method', 'route', 'status', 'completion_tokens')} == dict(event='request', key='desk', method='POST', route='/v1/echo', status=200, completion_tokens=3)
    failed = [x for x in lines if x.get('id') == 'failed-in-log']
    assert {x['event'] for x in failed} == {'failed', 'request'} and any('guarded_server.py' in f for x in failed for f in x.get('frames', []))
    assert {x['reason'] for x in lines if x['event'] == 'request'} >= {'key', ''}

def test_it_stops_when_told_and_ends_what_it_began(server):
    "The last test of this file: the server of the others is stopped by it."
    ready = threading.Event(); thread, got = stream(server, 'wait', ready); assert ready.wait(60)
    server.process.send_signal(signal.SIGTERM)
    server.until(lambda: 'shut' in server.log.read_text().lower()); assert server.process.poll() is None
    # new connections are refused by now, so the gate is opened by nobody: the client leaves, and the server ends
    thread.join(.5); server.process.send_signal(signal.SIGINT)
    assert server.process.wait(90) in (0, -signal.SIGINT, -signal.SIGTERM, 1); thread.join(60)

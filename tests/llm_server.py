"""A local chat server that speaks as OpenRouter, DeepSeek and vLLM do, counts what it bills, and misbehaves on demand.

    with LlmServer(latency=.1, faults=.2, replies={user_message: reply}) as s: ApiTeacher(s.url, 'test/writer', key='sk-test')
    python tests/llm_server.py --latency .5 --seed 1 --faults .2       # prints its port

It runs in a process of its own and imports nothing but the standard library. GET /v1/stats tells what it saw, POST /v1/script changes any of its settings.
"""
import argparse, asyncio, gzip, hashlib, json, subprocess, sys, tempfile, threading, time, urllib.request
from collections import Counter
from email.utils import formatdate
from functools import lru_cache
from pathlib import Path

# ---- what can go wrong. PASSING passes when asked again, SPOILT is an answer of no use, FINAL stays as it is
PASSING = ('408','429','429_0','429_1','429_date','500','502','503','503_1','504','520','524','529','402_wait','error_200','mid_stream','mid_stream_bare','empty','reset','reset_early',
           'stall','stall_early','cut_body','malformed','html','nan')
SPOILT = ('reasoning_only','length','length_empty','refused','no_usage','wrong_model','bomb','long','drip','slow_headers','deep','odd_types','no_choices','echo_key')
FINAL = ('400','401','402','403','404','413','422','429_3600','gone','too_long','refused_200')
UNBILLED = set('408 429 429_0 429_1 429_date 429_3600 500 502 503 503_1 504 520 524 529 402_wait error_200 mid_stream_bare reset_early stall_early html 400 401 402 403 404 413 422 gone too_long refused_200 slow_headers echo_key'.split())

DEFAULTS = dict(latency=0., jitter=0., seed=0, faults=0., kinds=list(PASSING), in_a_row=3, stall=5., key=None, credits=None, context=163_840, price_in=.5, price_out=2.15, model='test/writer',
                models=['test/writer','test/writer-0528','test/other','deepseek/deepseek-chat'], shape='reasoning', bill='arrival', script=[], words=60, served=None, own_count=True,
                echo=[], pricing={}, overdrawn=0.)  # echo: parts of a good answer that repeat the key ('models': the list, too); pricing: further prices of a model

def prompt_key(messages, seed=None):
    "Name a request as /v1/stats does: a hash of its messages and seed."
    return hashlib.sha256(json.dumps([[m.get('role'), m.get('content')] for m in messages] + [seed], ensure_ascii=False).encode()).hexdigest()[:16]

def draw(*key):
    "Draw a number in [0, 1) by a hash of the key: the same in every run, in whatever order the requests come."
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:6], 'big')/2**48

@lru_cache
def bomb():
    "Pack many megabytes of blanks into few bytes."
    return gzip.compress(b' '*(48*2**20), 1)

def count_tokens(text): return len(text.encode())//4 + 1

class Server:
    "Answer requests; `s` holds the settings, see DEFAULTS."
    def __init__(self, replies=None, **settings):
        self.s, self.replies = DEFAULTS | settings, replies or {}
        self.nano, self.tokens, self.requests, self.now, self.most = 0, 0, 0, 0, 0
        self.seen, self.answered, self.faults, self.row, self.starts, self.connections = Counter(), Counter(), Counter(), {}, [], 0

    # ---- the connection
    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b'\r\n\r\n')).decode('latin1').split('\r\n')
                method, path, _ = head[0].split(' ', 2)
                headers = {k.strip().lower(): v.strip() for k, _, v in (h.partition(':') for h in head[1:] if h)}
                body = await reader.readexactly(int(headers.get('content-length', 0)))
                if not await self.reply(writer, method, path.partition('?')[0], headers, body): break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError): pass
        finally: writer.close()

    async def reply(self, w, method, path, headers, body):
        "Route one request; False closes the connection."
        path = path.removeprefix('/api').removeprefix('/v1')
        if path == '/stats': return await self.send(w, 200, self.stats())
        if path == '/script':
            self.s |= json.loads(body or b'{}')
            return await self.send(w, 200, {'ok': True})
        sent = headers.get('authorization', '')
        if self.s['key'] and sent != f"Bearer {self.s['key']}":
            return await self.send(w, 401, {'error': {'code': 401, 'message': f"User not found. You sent {sent!r}." if sent else 'No auth credentials found', 'metadata': {'error_type': 'authentication'}}})
        if path == '/models': return await self.send(w, 200, {'object': 'list', 'data': [self.card(m) for m in [*self.s['models'], *([sent.removeprefix('Bearer ')] if 'models' in self.s['echo'] else [])]]})
        if path == '/key' and self.s['own_count']: return await self.send(w, 200, {'data': self.account()})
        if path == '/chat/completions' and method == 'POST': return await self.chat(w, json.loads(body), sent)
        return await self.send(w, 404, {'error': {'code': 404, 'message': 'Not Found'}})

    def card(self, m):
        out = {'id': m, 'object': 'model', 'context_length': self.s['context'], 'name': m}
        if self.s['price_in'] is not None: out['pricing'] = {'prompt': f"{self.s['price_in']/1e6:.10f}", 'completion': f"{self.s['price_out']/1e6:.10f}", 'request': '0'}
        if self.s['pricing']: out['pricing'] = out.get('pricing', {}) | self.s['pricing']
        return out

    def account(self):
        limit, used = self.s['credits'], self.nano/1e9
        return {'label': 'sk-or-v1-abc...123', 'limit': limit, 'limit_remaining': -self.s['overdrawn'] if self.s['overdrawn'] else None if limit is None else max(0, limit - used), 'usage': used, 'is_free_tier': False, 'rate_limit': {}}

    def stats(self):
        return dict(requests=self.requests, seen=self.seen, answered=self.answered, in_flight=self.now, max_in_flight=self.most, billed_usd=self.nano/1e9, max_billed_usd=self.nano/1e9,
                    billed_tokens=self.tokens, cpu_seconds=time.process_time(), faults=self.faults, starts=[round(t, 4) for t in self.starts], connections=self.connections)

    async def send(self, w, status, answer, headers=None, kind='application/json', length=None):
        "Write a whole answer; `length` lies about its size."
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        lines = [f'HTTP/1.1 {status} X', f'Content-Type: {kind}', f'Content-Length: {len(data) if length is None else length}', *(f'{k}: {v}' for k, v in (headers or {}).items())]
        w.write('\r\n'.join(lines).encode() + b'\r\n\r\n' + data)
        await w.drain()
        return length is None

    # ---- one chat request
    def fault(self, key):
        "Choose what goes wrong with this request, if anything: from the script, then by a hash of seed, request and number of the attempt."
        if self.s['script']: return self.s['script'].pop(0)
        n = self.seen[key]
        if draw(self.s['seed'], key, n) >= self.s['faults'] or self.row.get(key, 0) >= self.s['in_a_row']: self.row[key] = 0; return None
        self.row[key] = self.row.get(key, 0) + 1
        return self.s['kinds'][int(draw(self.s['seed'], key, n, 'kind')*len(self.s['kinds']))]

    async def chat(self, w, body, sent):
        key = prompt_key(body['messages'], body.get('seed'))
        self.requests += 1; self.seen[key] += 1; self.now += 1; self.most = max(self.most, self.now); self.starts.append(time.monotonic())
        try:
            if body['model'] not in self.s['models']:
                return await self.send(w, 404, {'error': {'code': 404, 'message': f"No endpoints found for {body['model']}.", 'metadata': {'error_type': 'not_found'}}})
            if self.s['credits'] is not None and self.nano >= self.s['credits']*1e9: return await self.refuse(w, '402')
            fault = self.fault(key)
            if fault: self.faults[fault] += 1
            reply = self.make(body, fault)
            for k in set(self.s['echo']) & set(reply): reply[k] = f"{reply[k]} {sent.removeprefix('Bearer ')}"
            if self.s['bill'] == 'arrival': self.charge(reply, fault)
            await asyncio.sleep(self.s['latency'] + self.s['jitter']*draw(key, self.seen[key]))
            if self.s['bill'] != 'arrival': self.charge(reply, fault)
            if fault in SPOILED or fault in EARLY or (fault and fault[0] in '45'): return await self.refuse(w, fault, sent)
            good = await (self.stream if body.get('stream') else self.whole)(w, reply, fault)
            if fault in (None, 'wrong_model', 'no_usage', 'slow_headers', 'odd_types'): self.answered[key] += 1
            return good
        finally: self.now -= 1

    def make(self, body, fault):
        "Write the reply to a request: reasoning, content and what they cost."
        user = next((m['content'] for m in reversed(body['messages']) if m['role'] == 'user'), '')
        text = self.replies.get(prompt_key(body['messages'], body.get('seed')), self.replies.get(user))
        if text is None: text = '<think>' + ' '.join(f'word{i}' for i in range(self.s['words'])) + '</think>\n<answer>It is 1 [price_usd]. é→😀</answer>'
        reasoning, mark, content = text.rpartition('</think>')
        reasoning, content = reasoning.strip().removeprefix('<think>').strip('\n'), content.strip('\n')
        if not mark: content, reasoning = text, ''
        if fault in ('empty', 'length_empty'): content, reasoning = '', '' if fault == 'empty' else reasoning
        if fault == 'reasoning_only': content = ''
        if fault == 'length': content = content[:len(content)//2]
        if fault == 'mid_stream': content = content[:len(content)//2]
        finish = 'length' if fault in ('length', 'length_empty') else 'content_filter' if fault == 'refused' else 'error' if (fault or '').startswith('mid_stream') else 'stop'
        p, c = sum(count_tokens(m['content']) + 3 for m in body['messages']), count_tokens(reasoning + content)
        nano = round(p*(self.s['price_in'] or 0)*1000) + round(c*(self.s['price_out'] or 0)*1000)
        model = 'test/another-model' if fault == 'wrong_model' else self.s['served'] or body['model']
        return dict(reasoning=reasoning, content=content, finish=finish, prompt=p, completion=c, nano=nano, model=model, provider='SomeHost', id=f'gen-{self.requests}')

    def charge(self, r, fault):
        if fault not in UNBILLED: self.nano += r['nano']; self.tokens += r['prompt'] + r['completion']

    def usage(self, r):
        out = {'prompt_tokens': r['prompt'], 'completion_tokens': r['completion'], 'total_tokens': r['prompt'] + r['completion']}
        return out | ({'cost': r['nano']/1e9, 'is_byok': False} if self.s['price_in'] is not None else {})

    def message(self, reasoning, content, role='assistant', shape=None):
        "Word a message, or a delta of one, in one of the shapes in which reasoning comes."
        shape, m = shape or self.s['shape'], {'role': role, 'content': content or None} if role else {'content': content}
        if shape in ('reasoning', 'both'): m['reasoning'] = reasoning or None
        if shape in ('details', 'both') and reasoning: m['reasoning_details'] = [{'type': 'reasoning.text', 'text': reasoning, 'format': 'unknown', 'id': None, 'index': 0, 'signature': None}]
        if shape == 'summary' and reasoning: m['reasoning_details'] = [{'type': 'reasoning.summary', 'summary': reasoning}, {'type': 'reasoning.encrypted', 'data': 'eJx0'}]
        if shape == 'reasoning_content': m['reasoning_content'] = reasoning or None
        if shape == 'think' and reasoning: m['content'] = f'<think>\n{reasoning}\n</think>\n\n{content}'
        if shape == 'bare' and reasoning: m['content'] = f'{reasoning}\n</think>\n\n{content}'   # the template opened <think> in the prompt
        return m

    async def whole(self, w, r, fault):
        "Answer in one piece."
        choice = {'index': 0, 'finish_reason': r['finish'], 'native_finish_reason': r['finish'], 'message': self.message(r['reasoning'], r['content']) | {'refusal': None}}
        if (fault or '').startswith('mid_stream'): choice['error'] = {'code': 502, 'message': 'Provider disconnected', 'metadata': {'error_type': 'provider_unavailable'}}
        a = {'id': r['id'], 'object': 'chat.completion', 'created': 1772000000, 'model': r['model'], 'provider': r['provider'], 'choices': [choice], 'usage': self.usage(r)}
        if fault in ('no_usage', 'mid_stream_bare'): del a['usage']
        if fault == 'no_choices': a['choices'] = []
        if fault == 'odd_types': a['usage'] = {'prompt_tokens': str(r['prompt']), 'completion_tokens': float(r['completion']), 'cost': str(r['nano']/1e9)}; a['provider'] = None; a['id'] = 17
        data, h = json.dumps(a, ensure_ascii=False).encode(), {'X-Generation-Id': r['id']}
        if fault == 'malformed': return await self.send(w, 200, data[:len(data)//2])
        if fault == 'long': return await self.send(w, 200, data[:-1] + b' '*(9*2**20) + b'}')
        if fault == 'bomb': return await self.send(w, 200, bomb(), {'Content-Encoding': 'gzip'})
        if fault in ('cut_body', 'stall', 'drip'):
            await self.send(w, 200, data[:len(data)//2], length=len(data) if fault != 'drip' else len(data) + 10**6)
            if fault == 'stall': await asyncio.sleep(self.s['stall'])
            for _ in range(round(self.s['stall']/.02) if fault == 'drip' else 0): w.write(b' '); await w.drain(); await asyncio.sleep(.02)
            return False
        return await self.send(w, 200, data, h)

    async def stream(self, w, r, fault):
        "Answer as server-sent events, cut at arbitrary bytes."
        base = {'id': r['id'], 'object': 'chat.completion.chunk', 'created': 1772000000, 'model': r['model'], 'provider': r['provider']}
        chunk = lambda delta, finish=None, **kw: b'data: ' + json.dumps(base | {'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]} | kw, ensure_ascii=False).encode() + b'\n\n'
        shape, parts = self.s['shape'], [b': OPENROUTER PROCESSING\n\n', chunk({'role': 'assistant', 'content': ''})]
        inline = shape in ('think', 'bare')
        content = self.message(r['reasoning'], r['content'])['content'] or '' if inline else r['content']
        for i in range(0, 0 if inline else len(r['reasoning']), 40): parts.append(chunk(self.message(r['reasoning'][i:i+40], '', None)))
        for i in range(0, len(content), 40): parts.append(chunk({'content': content[i:i+40]}))
        if (fault or '').startswith('mid_stream'):
            error = {'code': 502, 'message': 'Provider disconnected', 'metadata': {'error_type': 'provider_unavailable'}}
            parts.append(chunk({'content': ''}, 'error', error=error, **({'usage': self.usage(r)} if fault == 'mid_stream' else {})))
        elif fault == 'malformed': parts.append(b'data: {"id": "gen-1", "choi\n\n')
        elif fault == 'long': parts += [chunk({'content': ' '*2**16})]*160
        elif fault == 'no_choices': parts = [b'data: ' + json.dumps(base | {'choices': [], 'usage': self.usage(r)}).encode() + b'\n\n', b'data: [DONE]\n\n']
        else:
            parts.append(chunk({'content': ''}, r['finish']))
            if fault != 'no_usage': parts.append(b'data: ' + json.dumps(base | {'choices': [], 'usage': self.usage(r)}).encode() + b'\n\n')
            parts.append(b'data: [DONE]\r\n\r\n')
        data = b''.join(parts)
        if fault in ('stall', 'cut_body', 'drip'): data = data[:len(data)//2]
        if fault == 'drip': data = data[:data.rindex(b'\n') + 1]
        packed = fault == 'bomb'
        if packed: data = bomb()
        w.write(b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n' + (b'Content-Encoding: gzip\r\n' if packed else b'') + f"X-Generation-Id: {r['id']}\r\n\r\n".encode())
        cuts = sorted({0, len(data), *(int(draw(r['id'], i)*len(data)) for i in range(4))})
        for a, b in zip(cuts, cuts[1:]): w.write(f'{b - a:x}\r\n'.encode() + data[a:b] + b'\r\n'); await w.drain(); await asyncio.sleep(0)
        if fault == 'stall': await asyncio.sleep(self.s['stall'])
        for _ in range(round(self.s['stall']/.02) if fault == 'drip' else 0): w.write(b'2\r\n:\n\r\n'); await w.drain(); await asyncio.sleep(.02)
        if fault in ('stall', 'cut_body', 'drip'): return False
        w.write(b'0\r\n\r\n'); await w.drain()
        return True

    # ---- refusals
    async def refuse(self, w, fault, sent=''):
        "Answer with an error, or not at all."
        error = lambda code, message, kind, **kw: {'error': {'code': code, 'message': message, 'metadata': {'error_type': kind, **kw}}, 'user_id': 'user_1'}
        if fault in ('reset_early', 'reset'): w.transport.abort(); return False
        if fault == 'stall_early': await asyncio.sleep(self.s['stall']); return False
        if fault == 'slow_headers':
            w.write(b'HTTP/1.1 200 OK\r\n')
            for i in range(round(self.s['stall']/.02)): w.write(f'X-{i}: y\r\n'.encode()); await w.drain(); await asyncio.sleep(.02)
            return False
        if fault == 'html': return await self.send(w, 200, b'<html><body>\x1b[31mjust a moment</body></html>', kind='text/html')
        if fault == 'nan': return await self.send(w, 200, b'{"id": "x", "choices": NaN}')
        if fault == 'deep': return await self.send(w, 200, b'['*100_000)
        if fault == 'error_200': return await self.send(w, 200, error(502, 'Provider returned error', 'provider_unavailable', raw='upstream \x07busy', provider_name='SomeHost'))
        if fault == 'refused_200': return await self.send(w, 200, error(403, 'Input flagged', 'content_policy_violation', reasons=['violence'], flagged_input='some text', provider_name='SomeHost'))
        if fault == 'echo_key': return await self.send(w, 500, f'internal: headers were Authorization: {sent}'.encode(), kind='text/plain')
        if fault == 'gone': return await self.send(w, 404, {'error': {'message': 'This model was retired', 'availability': {'code': 'model_deprecated', 'retryable': False, 'docs_url': 'x'}, 'http_status': 404}})
        if fault == 'too_long': return await self.send(w, 400, error(400, "This endpoint's maximum context length is 163840 tokens.", 'context_length_exceeded'))
        if fault == '402_wait': return await self.send(w, 402, error(402, 'Too much in flight', 'payment_required', limit_source='openrouter_in_flight_budget'), {'Retry-After': '1'})
        code, _, wait = fault.partition('_')
        kinds = {'400': 'invalid_request', '401': 'authentication', '402': 'payment_required', '403': 'permission_denied', '404': 'not_found', '408': 'timeout', '413': 'context_length_exceeded', '422': 'invalid_request', '429': 'rate_limit_exceeded',
                 '503': 'provider_unavailable', '504': 'timeout', '524': 'timeout', '529': 'provider_overloaded'}
        h = {'Retry-After': formatdate(time.time() + 1, usegmt=True) if wait == 'date' else wait, 'Date': formatdate(usegmt=True)} if wait else {}
        if code in ('520', '524'): return await self.send(w, int(code), b'<html><body>\x1b[31mcloud says no</body></html>', h, 'text/html')
        return await self.send(w, int(code), error(int(code), f'refused with {code}', kinds.get(code, 'server')), h)

EARLY = ('reset_early','reset','stall_early','slow_headers')                                                            # no answer at all
SPOILED = ('html','nan','deep','error_200','refused_200','echo_key','gone','too_long')                                  # an answer, made without looking at the reply

class LlmServer:
    "Start the server as a process, stop it at the end; settings as in DEFAULTS, `replies` maps user messages (or `prompt_key`s) to replies."
    def __init__(self, replies=None, port=0, **settings):
        unknown = set(settings) - set(DEFAULTS)
        if unknown: raise TypeError(f'no such settings: {sorted(unknown)}')
        self.replies, self.port, self.settings, self.process = replies or {}, port, settings, None
    def __enter__(self):
        with tempfile.NamedTemporaryFile('w', suffix='.jsonl', delete=False) as f:
            for user, text in self.replies.items(): f.write(json.dumps({'user': user, 'text': text}) + '\n')
        self.process = subprocess.Popen([sys.executable, __file__, '--port', str(self.port), '--replies', f.name, '--settings', json.dumps(self.settings), '--with-parent'],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline()); Path(f.name).unlink()
        self.url = f'http://127.0.0.1:{self.port}/v1'
        return self
    def __exit__(self, *_):
        self.process.terminate(); self.process.wait(10); self.process.stdin.close(); self.process.stdout.close()
    def _call(self, path, data=None):
        # the system's proxy settings are not for us
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(self.url + path, data=None if data is None else json.dumps(data).encode()), timeout=30) as r: return json.load(r)
    def stats(self): return self._call('/stats')
    def set(self, **settings): return self._call('/script', settings)
    def script(self, *faults): return self.set(script=list(faults))

async def main(a):
    replies = {}
    for line in Path(a.replies).read_text(encoding='utf-8').splitlines() if a.replies else []:
        row = json.loads(line); replies[row.get('key') or row['user']] = row['text']
    settings = {k: v for k in DEFAULTS if (v := getattr(a, k, None)) is not None}
    server = await asyncio.start_server(Server(replies, **(settings | json.loads(a.settings))).serve, '127.0.0.1', a.port, backlog=1024, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    if not a.with_parent: await server.serve_forever()
    over, loop = asyncio.Event(), asyncio.get_running_loop()       # the parent holds our standard input: when it is gone, so are we
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(over.set)), daemon=True).start()
    await over.wait()

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--port', type=int, default=0); p.add_argument('--replies', help='JSONL of user (or key) and text'); p.add_argument('--settings', default='{}', help='JSON, see DEFAULTS')
    p.add_argument('--with-parent', action='store_true', help='end when standard input ends')
    for name, kind in dict(latency=float, jitter=float, seed=int, faults=float, in_a_row=int, stall=float, key=str, credits=float, context=int, price_in=float, price_out=float, model=str, shape=str, bill=str, words=int).items():
        p.add_argument('--' + name.replace('_', '-'), type=kind)
    try: asyncio.run(main(p.parse_args()))
    except KeyboardInterrupt: pass

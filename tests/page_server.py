"""A local service that speaks the contract of cortex.serve, for the page alone: verdicts are real, replies are scripted, and it misbehaves on demand.

    with PageServer(reply='9.19M [tx_count] ...') as s: page.goto(s.url)

Attributes may be changed between requests: `reply` (what the model says), `piece` (bytes per write), `pause` (seconds between events), `key`, `problem` (status, body, headers), `how` ('stream', 'json', 'cut', 'hang', 'garbage',
'html', 'problem'). `asked` lists (method, path, headers, body) of every request."""
import datetime, json, math, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from cortex.page import page_response
from cortex.verify import verify

VALUES = dict(price_usd=4.9812, tx_count=9.19e6, active_addresses=926_400., fees_usd=50_900., change_7d=.0431, trend_7d=.012, range_7d=.194)
REPLY = ('<think>$4.98 [price_usd] after +4.3% [change_7d], in a range of 19.4% [range_7d].\n9.19M [tx_count] / 926k [active_addresses] = 9.92\n$50.9k [fees_usd] / 9.19M = $5.54e-3 📈</think>\n'
         '<answer>forecast: price_usd 7d: P(up) 0.55, median +1.0%, 80% interval -10.2% to +12.3%\nrisk: volatility\naction: hold</answer>')
FORECAST = dict(target='price_usd', horizon=7, p_up=.55, median=.01, lo=-.102, hi=.123, level=.8)
QUESTION = 'near | 2026-11-01 | bull\nprice_usd: $4.98\nchange_7d: +4.3%\nForecast price_usd over the next 7 days: P(up), median, 80% interval; then risk and action.'
NOTICE = 'Simulated data: no evidence of skill. Not financial advice.'
DATA = dict(source='simulated', simulated=True, licence='MIT', hash='5ee1c0de', chains=[dict(name=n, first='2023-01-01', last='2026-11-21') for n in ('bitcoin', 'ethereum', 'near', 'solana')],
            kinds=[dict(name='market.forecast', targets=['price_usd', 'tvl_usd', 'tx_count', 'active_addresses', 'fees_usd']), *(dict(name=n, targets=[]) for n in ('market.users', 'protocol.ratios', 'protocol.risk', 'risk.var'))], horizons=[1, 7, 30])

def verdict(text, values=VALUES):
    "Verify as the service does: spans in code points."
    v = verify(text, values)
    return dict(supported_share=v.supported_share, counts=v.counts, claims=[dict(start=c.start, end=c.end, text=c.text, status=c.status, metric=c.metric, why=c.reason) for c in v.claims])

def history(asof, days=60, target='price_usd'):
    scale = dict(price_usd=4.98, tx_count=9.19e6, active_addresses=9.26e5, fees_usd=5.09e4).get(target, 1.2e8)
    end = datetime.date.fromisoformat(asof)
    return [[str(end - datetime.timedelta(days - 1 - i)), scale*(1 + .09*math.sin(i/6) + .03*math.sin(2.3*i))/(1 + .09*math.sin((days - 1)/6) + .03*math.sin(2.3*(days - 1)))] for i in range(days)]

class PageServer:
    def __init__(self, **settings):
        self.reply, self.piece, self.pause, self.key, self.problem, self.how, self.forecast, self.outcome, self.asked, self.gone = REPLY, 24, 0., None, None, 'stream', FORECAST, .031, [], threading.Event()
        self.verification, self.data, self.extra, self.prefix, self.over = None, DATA, {}, '', False
        for k, v in settings.items(): setattr(self, k, v)
    def __enter__(self):
        self.server = ThreadingHTTPServer(('127.0.0.1', 0), type('Handler', (Handler,), dict(stub=self))); self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(.05,), daemon=True).start()
        self.url = f'http://127.0.0.1:{self.server.server_port}/'
        return self
    def __exit__(self, *exc): self.over = True; self.gone.set(); self.server.shutdown(); self.server.server_close()

    @property
    def sent(self): return [x for x in self.asked if x[0] == 'POST'][-1]   # the last question
    def known(self, body):
        asof = body.get('asof') or '2026-11-21'
        return dict(id='ans-0001', model=dict(name='cortex-1-nano', base='SmolLM2-135M-Instruct', adapter='cortex-1-nano', hash='0badcafe12', backend='in process'), data=dict(source='simulated', simulated=True, asof=asof, hash='5ee1c0de', licence='MIT'),
                    chain=body['chain'], asof=asof, kind=body['kind'], target=body.get('target', 'price_usd'), horizon=body['horizon'], question=QUESTION, history=history(asof, target=body.get('target', 'price_usd')), notice=NOTICE) | self.extra
    def done(self, body):
        x, n = self.known(body), body.get('n', 1)
        end = datetime.date.fromisoformat(x['asof']) + datetime.timedelta(body['horizon'])
        v = self.verification or verdict(self.reply)
        return x | dict(created=1795352400, reply=self.reply, finished=True, forecast=self.forecast and self.forecast | dict(horizon=body['horizon']) if body['kind'] == 'market.forecast' else None, verification=v,
            scores=dict(total=.81, parts=dict(calculation=1., grounding=.93, citation=1., consistency=1., insight=.5, forecast=None), note='Without the outcome: it was not known when the reply was written.'),
            candidates=[dict(reply=f'{self.reply}\n({i})', total=.81 - .07*i, supported_share=1 - .1*i, finished=i != 2) for i in range(n)] if n > 1 else [], outcome=dict(date=str(end), change=self.outcome) if str(end) <= '2026-11-21' and self.outcome is not None else None,
            calculator=body.get('calculator', True), licence=dict(model='Apache-2.0', base='Apache-2.0', data='MIT'), seconds=3.21) | self.extra

class Handler(BaseHTTPRequestHandler):
    protocol_version, stub = 'HTTP/1.1', None
    def log_message(self, *args): pass
    def parse_request(self):
        if self.stub.over: self.close_connection = True; self.connection.shutdown(2); return False   # connections kept open end, too
        return super().parse_request()
    def answer(self, status, body, headers=()):
        self.send_response(status)
        for k, v in dict(headers).items(): self.send_header(k, v)
        self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def json(self, status, x, kind='application/json', **headers): self.answer(status, json.dumps(x).encode(), {'Content-Type': kind} | {k.replace('_', '-'): v for k, v in headers.items()})
    def refuse(self, status, title, detail, field=None, value=None, remedy='', **headers): self.json(status, dict(type='about:blank', title=title, status=status, detail=detail, field=field, value=value, remedy=remedy, request_id='req-42'), 'application/problem+json', **headers)
    def allowed(self):
        if self.stub.key is None or self.headers.get('Authorization') == f'Bearer {self.stub.key}': return True
        self.refuse(401, 'A key is needed', 'This service answers to known keys only.', remedy='Send Authorization: Bearer KEY.', WWW_Authenticate='Bearer')
    def do_GET(self):
        self.path = self.path.removeprefix(self.stub.prefix)
        self.stub.asked.append(('GET', self.path, dict(self.headers), None))
        if found := page_response(self.path, self.headers.get('If-None-Match')): return self.answer(found[0], found[2], found[1])
        if self.path == '/v1/data': return self.allowed() and self.json(200, self.stub.data)
        self.refuse(404, 'Not found', f'There is nothing at {self.path}.')
    def do_POST(self):
        self.path = self.path.removeprefix(self.stub.prefix)
        s, body = self.stub, json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        s.asked.append(('POST', self.path, dict(self.headers), body))
        if not self.allowed(): return
        if s.problem: return self.refuse(*s.problem[0], **s.problem[1])
        if self.path == '/v1/verify': return self.json(200, dict(verification=s.verification or verdict(body['text'], body.get('values', VALUES))))
        if s.how == 'json': return self.json(200, s.done(body))
        if s.how == 'html': return self.answer(502, b'<html><h1>Bad gateway</h1>', {'Content-Type': 'text/html'})
        self.stream(s, body)
    def stream(self, s, body):
        self.send_response(200); self.send_header('Content-Type', 'text/event-stream'); self.send_header('Transfer-Encoding', 'chunked'); self.end_headers()
        def write(data):
            for i in range(0, len(data), s.piece):
                part = data[i:i + s.piece]; self.wfile.write(b'%x\r\n%s\r\n' % (len(part), part)); self.wfile.flush()
            time.sleep(s.pause)
        def event(name, x, ascii=False): write(f'event: {name}\ndata: {json.dumps(x, ensure_ascii=ascii)}\n\n'.encode('utf-8', 'surrogatepass'))
        try:
            write(b': hello\r\n\r\n'); event('start', s.known(body), True)
            n = body.get('n', 1); words = s.reply.split(' ')
            if n > 1:
                for k in range(n): event('progress', dict(done=k + 1, of=n))
            else:
                for i, w in enumerate(words[:3 if s.how in ('cut', 'hang', 'garbage', 'problem') else None]): event('token', dict(text=(' ' if i else '') + w), True)
            if s.how == 'hang': s.gone.wait(20)
            if s.how == 'garbage': write(b'event: done\ndata: {"reply": \n\n')
            if s.how == 'problem': event('problem', dict(title='The model failed', status=502, detail='The engine ended in mid-sentence.', remedy='Try again.', request_id='req-43'))
            if s.how == 'stream': event('done', s.done(body), True)
            if s.how == 'cut': time.sleep(.5); self.close_connection = True; self.connection.shutdown(2); return
            self.wfile.write(b'0\r\n\r\n')
        except (ConnectionError, OSError): s.gone.set(); self.close_connection = True

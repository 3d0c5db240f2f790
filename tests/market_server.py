"""A local server that speaks the shapes of all publishers of market data, for invented days, and misbehaves on demand.

    with MarketServer(make_truth()) as s: Api({}, mirror=s.url)
    python tests/market_server.py --port 8700 --seed 0 --faults 0.2
"""
import argparse, gzip, json, re, sys, threading, time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
import numpy as np, pandas as pd
from cortex.catalogue import CHAINS, serves
from cortex.clients import COINMETRICS, GROWTHEPIE, NEARBLOCKS, DAY
from cortex.sources import stream

LEVELS = dict(price_usd=50., market_cap_usd=5e9, tvl_usd=2e8, stablecoin_supply_usd=7e8, dex_volume_usd=3e7, fees_usd=2e5, tx_count=1e6, active_addresses=3e5,
              transfer_count=6e5, fees_native=900., block_count=7200., hash_rate=5e8, supply=2e7)
WHOLE = ('stablecoin_supply_usd','tx_count','active_addresses','transfer_count','block_count')

def make_truth(seed=0, chains=tuple(CHAINS), days=120, end='2026-03-01', missing=.02):
    "Invent what happened: (chain, metric) -> float64 by day, some days missing."
    index, truth = pd.date_range(end=end, periods=days, name='date'), {}
    for c in chains:
        for m, level in LEVELS.items():
            rng = stream(seed, 'truth', c, m)
            x = level*np.exp(np.cumsum(.03*rng.standard_normal(days)))
            x = np.round(x) if m in WHOLE else np.array([float(f'{v:.6g}') for v in x])
            s = pd.Series(x, index)
            gone = rng.random(days) < missing
            if c == 'polygon': gone |= (index >= renamed(index) - pd.Timedelta(days=2)) & (index < renamed(index))
            truth[c, m] = s[~gone]
    return truth

def renamed(index):
    "Say when MATIC became POL in this world; the two days before have no price."
    return index[len(index) - len(index)//3]

def expected(truth, source, chains, metrics, since, until):
    "Say which rows a client must bring."
    parts = []
    for c in chains:
        for m in metrics:
            if not serves(source, c, m): continue
            s = truth[c, m] if (source, m) != ('coinmetrics','fees_usd') else (truth[c,'fees_native']*truth[c,'price_usd']).dropna()
            parts.append(pd.DataFrame(dict(date=s.index, chain=c, metric=m, value=s.to_numpy())))
    t = pd.concat(parts, ignore_index=True)
    return t[t.date.between(since, until)].sort_values(['chain','metric','date'], ignore_index=True)

# ---- what can go wrong, and passes
PASSING = ('429','429_0','429_1','429_date','500','502','503','cut_body','cut_json','cut_gzip','html','nan','reset','stall','stall_body','drip','repeat','redirect')
FINAL = ('401','402','403','404','451','429_3600','bomb','redirect_out','contradict')
PAGED = ('klines','timeseries','chart/','json-rpc')  # where a cache could give an old page once more

class Faults:
    "Choose faults at random, never more than so many in a row for one request."
    def __init__(self, seed=0, rate=.2, kinds=PASSING, in_a_row=3):
        self.rng, self.rate, self.kinds, self.most, self.row, self.lock, self.made = np.random.default_rng(seed), rate, tuple(kinds), in_a_row, {}, threading.Lock(), []
    def __call__(self, key):
        with self.lock:
            if self.rng.random() >= self.rate or self.row.get(key, 0) >= self.most: self.row[key] = 0; return None
            self.row[key] = self.row.get(key, 0) + 1
            self.made.append(self.kinds[self.rng.integers(len(self.kinds))])
            return self.made[-1]

class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False
    def handle_error(self, request, client_address):
        "A client that hangs up is no error of the server."
        if not isinstance(sys.exc_info()[1], (BrokenPipeError, ConnectionResetError, TimeoutError)): super().handle_error(request, client_address)

class MarketServer:
    "Serve /HOST/PATH for every publisher; `faults` is None, a rate, a list used up request by request, or a function of the request."
    def __init__(self, truth, faults=None, seed=0, today=None, odd=True, page=1000, stall=.5, port=0, keys=None):
        self.truth, self.seed, self.odd, self.page, self.stall, self.keys = truth, seed, odd, page, stall, keys or {}
        self.index = pd.DatetimeIndex(sorted(set().union(*(s.index for s in truth.values()))))
        self.today = pd.Timestamp(today or self.index[-1] + pd.Timedelta(days=1))
        self.set_faults(faults)
        self.requests, self.queries, self.lock, self.n = [], {}, threading.Lock(), 0
        self.http = _Server(('127.0.0.1', port), type('Handler', (_Handler,), dict(market=self)))
        self.url = f'http://127.0.0.1:{self.http.server_port}'
    def set_faults(self, faults):
        left = list(faults) if isinstance(faults, (list, tuple)) else None
        self.faults = (lambda key: left.pop(0) if left else None) if left is not None else Faults(0, faults) if isinstance(faults, float) else faults or (lambda key: None)
        self.before = {}
    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, kwargs=dict(poll_interval=.05), daemon=True).start()
        return self
    def __exit__(self, *_): self.http.shutdown(); self.http.server_close()

    # ---- days, with all their oddities
    def points(self, chain, metric, rng, since=None, until=None, contradict=False):
        "Give (day, value) as a publisher would: shuffled, doubled, null, as text, with a part of today."
        s = self.truth[chain, metric]
        s = s[(s.index >= (since or s.index[0])) & (s.index <= (until or self.today))]
        text = lambda x: repr(float(x)) if self.odd and rng.random() < .3 else int(x) if x == int(x) and rng.random() < .5 else float(x)
        out = [(at, text(x)) for at, x in s.items()]
        if contradict and out: out.append((out[-1][0], float(s.iloc[-1])*2))
        if not self.odd: return out
        if out: out += [out[i] for i in rng.integers(len(out), size=2)]
        gaps = self.index.difference(self.truth[chain, metric].index)
        out += [(at, None) for at in gaps[rng.random(len(gaps)) < .5] if (since or at) <= at <= (until or at)]
        if (until or self.today) >= self.today and (since or self.today) <= self.today: out.append((self.today, float(self.truth[chain, metric].iloc[-1])*.1))
        rng.shuffle(out)
        return out

    # ---- one publisher after the other: (status, answer)
    def answer(self, host, path, q, body, rng, contradict):
        name = {'api.llama.fi': 'llama', 'coins.llama.fi': 'llama', 'stablecoins.llama.fi': 'llama', 'api.growthepie.com': 'growthepie', 'community-api.coinmetrics.io': 'coinmetrics',
                'api.nearblocks.io': 'nearblocks', 'data-api.binance.vision': 'binance', 'api.coingecko.com': 'coingecko', 'flipside.example': 'flipside'}.get(host)
        if name is None: return 404, {'error': 'no such host'}
        return getattr(self, name)(path, q, body, rng, contradict)

    def chain(self, field, value): return next((n for n, c in CHAINS.items() if getattr(c, field) == value and (n, 'price_usd') in self.truth), None)
    unix = staticmethod(lambda at: int(at.timestamp()))
    iso = staticmethod(lambda at, tail='': f'{at:%Y-%m-%d}{tail}')

    def llama(self, path, q, body, rng, contradict):
        kind, _, last = path.strip('/').rpartition('/')
        if kind == 'chart': return 200, self.llama_prices(last, q, rng)
        chain = self.chain('llama_slug' if kind == 'summary/fees' else 'llama', last)
        metric = {'v2/historicalChainTvl': 'tvl_usd', 'overview/dexs': 'dex_volume_usd', 'summary/fees': 'fees_usd', 'stablecoincharts': 'stablecoin_supply_usd'}.get(kind)
        if chain is None or metric is None: return 404, 'not found'
        points = self.points(chain, metric, rng, contradict=contradict)
        if metric == 'tvl_usd': return 200, [{'date': self.unix(at), 'tvl': x} for at, x in points]
        if metric == 'stablecoin_supply_usd':
            split = lambda x: {'peggedUSD': None if x is None else x if isinstance(x, str) else x - 1000, **({} if isinstance(x, str) or x is None else {'peggedEUR': 1000})}
            return 200, [{'date': str(self.unix(at)), 'totalCirculating': {}, 'totalCirculatingUSD': split(x)} for at, x in points]
        return 200, {'chain': last, 'total24h': None, 'protocols': [], 'totalDataChart': [[self.unix(at), x] for at, x in points]}

    def llama_prices(self, last, q, rng):
        chain = self.chain('coingecko', last.partition(':')[2])
        if chain is None: return {'coins': {}}
        first, span = int(q['start']), int(q['span'])
        days = pd.to_datetime([(first + i*DAY)//DAY*DAY - DAY for i in range(span)], unit='s')
        got = [(at, x) for at, x in self.points(chain, 'price_usd', rng, days[0], days[-1]) if x is not None and at < self.today]
        prices = [{'timestamp': self.unix(at) + DAY + 37, 'price': x} for at, x in got]
        if self.odd: prices.append({'timestamp': self.unix(self.today) + 12*3600, 'price': 1.})
        return {'coins': {last: {'symbol': 'X', 'confidence': .99, 'prices': prices}} if prices else {}}

    def growthepie(self, path, q, body, rng, contradict):
        m = re.fullmatch(r'/v1/export/(\w+)\.json', path)
        metric = next((k for k, (name, _) in GROWTHEPIE.items() if m and name == m[1]), None)
        if metric is None: return 404, {'detail': 'Not Found'}
        key, rows = GROWTHEPIE[metric][1][0], [{'metric_key': 'other', 'origin_key': 'zora', 'date': '2026-01-01', 'value': 1.}]
        for c in CHAINS.values():
            if c.growthepie and (c.name, metric) in self.truth:
                rows += [{'metric_key': k, 'origin_key': c.growthepie, 'date': self.iso(at), 'value': x}
                         for at, x in self.points(c.name, metric, rng, contradict=contradict) for k in (key, 'in_eth')]
        return 200, rows

    def coinmetrics(self, path, q, body, rng, contradict):
        chain = self.chain('coinmetrics', q.get('assets', '').lower())
        if chain is None: return 400, {'error': {'type': 'bad_parameter', 'message': 'Bad parameter'}}
        names = {n: m for m, ns in COINMETRICS.items() if len(ns) == 1 for n in ns if serves('coinmetrics', chain, m)}
        if path.endswith('/catalog-v2/asset-metrics'):
            freq = lambda free: [{'frequency': '1b', 'community': True}, {'frequency': '1d', 'min_time': '2009-01-03T00:00:00.000000000Z', 'community': free}]
            return 200, {'data': [{'asset': q['assets'], 'metrics': [{'metric': n, 'frequencies': freq(True)} for n in names] + [{'metric': 'FeeTotUSD', 'frequencies': freq(False)}]}]}
        since, until, at = pd.Timestamp(q['start_time']), min(pd.Timestamp(q['end_time']), self.today), int(q.get('next_page_token', 0))
        days, asked = pd.date_range(since, until), q['metrics'].split(',')
        some = days[at:at + min(int(q['page_size']), self.page)]
        cells = {n: dict(self.points(chain, names[n], rng, some[0], some[-1])) for n in asked} if len(some) else {}
        rows = [{'asset': q['assets'], 'time': self.iso(day, 'T00:00:00.000000000Z'), **{n: None if x is None else str(x) for n, v in cells.items() for x in [v.get(day)] if day in v or rng.random() < .5}} for day in some]
        rows = [r for r in rows if len(r) > 2]  # a day without any value is absent
        if self.odd and rows: rows.append(rows[int(rng.integers(len(rows)))]); rng.shuffle(rows)
        out = {'data': rows}
        if at + len(some) < len(days):
            query = '&'.join(f'{k}={v}' for k, v in q.items() if k != 'next_page_token')
            out |= {'next_page_token': f'{at + len(some)}', 'next_page_url': f'https://community-api.coinmetrics.io{path}?{query}&next_page_token={at + len(some)}'}
        return 200, out

    def nearblocks(self, path, q, body, rng, contradict):
        if path != '/v1/charts': return 404, {'message': 'not found'}
        names = {m: f for m, f in NEARBLOCKS.items() if (m == 'active_addresses') == (q.get('type') == 'active_accounts')}
        rows = {}
        for m, f in names.items():
            for at, x in self.points('near', m, rng): rows.setdefault(at, {'date': self.iso(at, 'T00:00:00.000Z')})[f] = None if x is None else str(x)
        return 200, {'charts': [{**{f: None for f in names.values()}, **rows[at]} for at in sorted(rows, reverse=True)]}

    def binance(self, path, q, body, rng, contradict):
        chain = next((n for n, c in CHAINS.items() if q.get('symbol') in c.binance and (n, 'price_usd') in self.truth), None)
        if path != '/api/v3/klines' or chain is None: return 400, {'code': -1121, 'msg': 'Invalid symbol.'}
        lo, hi = (pd.Timestamp(int(q[k]), unit='ms') if k in q else None for k in ('startTime','endTime'))
        turn = renamed(self.index)
        if q['symbol'] == 'MATICUSDT': hi = min(hi or turn, turn - pd.Timedelta(days=1))
        if q['symbol'] == 'POLUSDT': lo = max(lo or turn, turn)
        lo, hi = lo or self.index[0], hi or self.today
        known = {at: x for at, x in self.points(chain, 'price_usd', rng, lo, hi) if x is not None}
        some = sorted(at for at in known if lo <= at <= hi)[:min(int(q.get('limit', 500)), self.page)]
        return 200, [[self.unix(at)*1000, '1', '1', '1', str(known[at]), '1', (self.unix(at) + DAY)*1000 - 1, '1', 1, '1', '1', '0'] for at in some]

    def coingecko(self, path, q, body, rng, contradict):
        m = re.fullmatch(r'/api/v3/coins/([\w-]+)/market_chart/range', path)
        chain = self.chain('coingecko', m[1]) if m else None
        if chain is None: return 404, {'error': 'coin not found'}
        lo, hi = (pd.Timestamp(int(q[k]), unit='s') - pd.Timedelta(days=1) for k in ('from','to'))
        if lo < self.today - pd.Timedelta(days=365): return 401, {'status': {'error_code': 10005, 'error_message': 'past 365 days only'}}
        series = lambda m: [[(self.unix(at) + DAY)*1000, x] for at, x in self.points(chain, m, rng, lo, hi) if at < self.today] + [[(self.unix(self.today) + 43200)*1000, 1.]]
        return 200, {'prices': series('price_usd'), 'market_caps': series('market_cap_usd'), 'total_volumes': []}

    def flipside(self, path, q, body, rng, contradict):
        call = json.loads(body); p, method = call['params'][0], call['method']
        reply = lambda r: (200, {'jsonrpc': '2.0', 'id': 1, 'result': r})
        if method == 'createQueryRun':
            name = f"run{len(self.queries)}"; self.queries[name] = p['sql']
            return reply({'queryRequest': {}, 'queryRun': {'id': name, 'state': 'QUERY_STATE_READY'}, 'sqlStatement': {}})
        sql = self.queries.get(p['queryRunId'])
        if sql is None: return 200, {'jsonrpc': '2.0', 'id': 1, 'error': {'code': -32099, 'message': 'QueryRunNotFound', 'data': None}}
        if method == 'getQueryRun': return reply({'queryRun': {'id': p['queryRunId'], 'state': 'QUERY_STATE_RUNNING' if rng.random() < .3 else 'QUERY_STATE_SUCCESS'}, 'redirectedToQueryRun': None})
        lo, hi = map(pd.Timestamp, re.findall(r"'(\d{4}-\d\d-\d\d)'", sql))
        names = ['active_addresses'] if 'active_addresses' in sql else ['tx_count','fees_native','fees_usd']
        cells = {m: dict(self.points('near', m, rng, lo, hi - pd.Timedelta(days=1))) for m in names}
        days, size, n = [at for at in self.index if lo <= at < hi], min(p['page']['size'], self.page), p['page']['number']
        rows = [[self.iso(at, 'T00:00:00.000Z'), *(cells[m].get(at) for m in names), i] for i, at in enumerate(days)]
        return reply({'columnNames': ['day', *names, '__row_index'], 'columnTypes': [], 'rows': rows[(n - 1)*size:n*size],
                      'page': {'currentPageNumber': n, 'currentPageSize': size, 'totalRows': len(rows), 'totalPages': max(1, -(-len(rows)//size))}, 'sql': sql, 'format': 'json'})

class _Handler(BaseHTTPRequestHandler):
    market, protocol_version, disable_nagle_algorithm = None, 'HTTP/1.1', True
    def log_message(self, *_): pass
    def do_GET(self): self.serve(b'')
    def do_POST(self): self.serve(self.rfile.read(int(self.headers.get('content-length', 0))))
    def serve(self, body):
        try: self.reply(body)
        except (BrokenPipeError, ConnectionResetError): self.close_connection = True

    def reply(self, body):
        s, u = self.market, urlsplit(self.path)
        _, host, path = u.path.split('/', 2)
        q, path = {k: v[0] for k, v in parse_qs(u.query).items()}, '/' + unquote(path)
        with s.lock: s.n += 1; n = s.n; s.requests.append((self.command, host, path, q, dict(self.headers)))
        if (want := s.keys.get(host)) and want not in str(self.headers): return self.send(401, json.dumps({'error': f'keys are refused: {dict(self.headers)}'}).encode())
        fault = s.faults(f'{self.command} {self.path} {body.decode()}')
        if q.pop('moved', None): fault = None
        if fault and self.spoil_early(fault, u): return
        status, answer = s.answer(host, path, q, body, np.random.default_rng([s.seed, n]), fault == 'contradict')
        data = json.dumps(answer).encode()
        page = (host, path, q.get('symbol') or q.get('assets'), *re.findall(rb'"(?:method|queryRunId|sql)": ?"[^"]*"', body))
        if fault == 'repeat' and any(p in self.path for p in PAGED) and page in s.before: data = s.before[page]
        if status == 200 and fault != 'repeat': s.before[page] = data
        self.spoil_late(fault, status, data) if fault in ('cut_body','cut_json','cut_gzip','stall_body','drip') else self.send(status, data)

    def spoil_early(self, fault, u):
        "Answer without looking at the data; False if this fault needs it."
        page = b'<html><body>\x1b[31mjust a moment</body></html>'
        if fault == '429_date': self.send(429, b'slow down', {'Retry-After': formatdate(time.time() + 1, usegmt=True)})
        elif m := re.fullmatch(r'429_(\d+)', fault): self.send(429, b'slow down', {'Retry-After': m[1]})
        elif fault.isdigit(): self.send(int(fault), page, kind='text/html')
        elif fault == 'html': self.send(200, page, kind='text/html')
        elif fault == 'nan': self.send(200, b'[{"date": 1, "tvl": NaN}]')
        elif fault == 'bomb': self.send(200, _bomb(), {'Content-Encoding': 'gzip'})
        elif fault == 'redirect_out': self.send(302, b'', {'Location': 'https://evil.example/steal'})
        elif fault == 'redirect' and self.command == 'GET': self.send(307, b'', {'Location': f"{self.path}{'&' if u.query else '?'}moved=1".partition('/' + u.path.split('/')[1])[2]})
        elif fault == 'reset': self.close_connection = True
        elif fault == 'stall': time.sleep(self.market.stall); self.close_connection = True
        else: return False
        return True

    def spoil_late(self, fault, status, data):
        "Send the data, but not well."
        half = data[:max(1, len(data)//2)]
        if fault == 'cut_json': return self.send(status, half)
        if fault == 'cut_gzip': return self.send(status, gzip.compress(data)[:-9], {'Content-Encoding': 'gzip'})
        self.head(status, len(data))
        self.wfile.write(half); self.wfile.flush()
        if fault == 'drip':
            for i in range(5): time.sleep(.01); self.wfile.write(data[len(half) + i:len(half) + i + 1]); self.wfile.flush()
            return self.wfile.write(data[len(half) + 5:])
        if fault == 'stall_body': time.sleep(self.market.stall)
        self.close_connection = True

    def head(self, status, length, headers=None, kind='application/json'):
        self.send_response(status)
        for k, v in {'Content-Type': kind, 'Content-Length': str(length), **(headers or {})}.items(): self.send_header(k, v)
        self.end_headers()
    def send(self, status, data, headers=None, kind='application/json'):
        if not headers and 'gzip' in self.headers.get('accept-encoding', '') and len(data) > 500: data, headers = gzip.compress(data, 1), {'Content-Encoding': 'gzip'}
        self.head(status, len(data), headers, kind); self.wfile.write(data)

def _bomb(size=200*2**20, _made=[]):
    "Pack two hundred megabytes of nothing into two hundred kilobytes."
    if not _made: _made.append(gzip.compress(bytes(size), 6))
    return _made[0]

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--port', type=int, default=0); p.add_argument('--seed', type=int, default=0); p.add_argument('--faults', type=float, default=0.)
    p.add_argument('--stall', type=float, default=.5, help='seconds'); p.add_argument('--days', type=int, default=1200); p.add_argument('--page', type=int, default=1000)
    a = p.parse_args()
    yesterday = pd.Timestamp.now('UTC').tz_localize(None).normalize() - pd.Timedelta(days=1)
    s = MarketServer(make_truth(a.seed, days=a.days, end=yesterday), Faults(a.seed, a.faults), a.seed, page=a.page, stall=a.stall, port=a.port)
    print(s.url, flush=True)
    s.http.serve_forever()

"Rewards must hold on replies they were not built on: twenty long analyses in free form, and ten cheats by a reader who has not read the reward code."
import random, re, sys
from dataclasses import replace
from functools import cache
from pathlib import Path
import numpy as np, pytest
from cortex.replies import Forecast, asked_forecast, parse_reply, write_reply
from cortex.rewards import RUBRICS
from cortex.tasks import solve
from cortex.verify import verify
sys.path.insert(0, str(Path(__file__).parent))
from free_replies import FREE_REPLIES, other_chain
from outside_cheats import FOUR_MORE, OUTSIDE_CHEATS

R = FREE_REPLIES
names = [r['name'] for r in R]
FORECASTS = [r for r in R if r['forecast']]

def score(texts, tasks, outcomes, sigmas): return RUBRICS['verified'](list(texts), [t.to_json() for t in tasks], list(outcomes), list(sigmas))
def score_on(texts, r): return score(texts, [r['task']]*len(texts), [r['outcome']]*len(texts), [r['sigma']]*len(texts))
@cache
def honest(): return tuple(score([r['text'] for r in R], [r['task'] for r in R], [r['outcome'] for r in R], [r['sigma'] for r in R]))
def auc(good, bad):
    "Share of pairs that are ranked right; a tie counts half."
    d = np.subtract.outer(np.asarray(good, float), np.asarray(bad, float))
    return float(((d > 0) + .5*(d == 0)).mean())

def own_forecast(r):
    t = r['task']
    return Forecast(t.target, t.horizon, *r['forecast']) if r['forecast'] else None
def house(r): return write_reply(r['task'], own_forecast(r))

# --- what is done to an honest reply

def randomise(text, seed):
    rng = random.Random(seed)
    return re.sub('[0-9⁰¹²³⁴⁵⁶⁷⁸⁹]', lambda m: '⁰¹²³⁴⁵⁶⁷⁸⁹'[rng.randrange(10)] if m[0] in '⁰¹²³⁴⁵⁶⁷⁸⁹' else str(rng.randrange(10)), text)

_PAIRS = [('up','down'), ('rose','fell'), ('rise','fall'), ('rises','falls'), ('rising','falling'), ('higher','lower'), ('upper','lower'), ('increase','decrease'), ('gain','loss'),
          ('gains','losses'), ('growth','decline'), ('positive','negative'), ('upside','downside'), ('optimistic','pessimistic'), ('bullish','bearish'), ('added','lost'), ('plus','minus'),
          ('buy','sell'), ('uptrend','downtrend'), ('High','Low'), ('high','low'), ('more','less'), ('climb','drop')]
_SWAP = {a: b for x, y in _PAIRS for a, b in ((x, y), (y, x))}
_WORD = re.compile(r'(?<![({\w])(?:%s)(?!\w)' % '|'.join(sorted(_SWAP, key=len, reverse=True)))
_SIGN = re.compile(r'([+−-])(?=\d+(?:\.\d+)?\\?%)')
_ENDS = re.compile(r'([+−-]?\d+(?:\.\d+)?\\?%)(\$? to \$?)([+−-]?\d+(?:\.\d+)?\\?%)')
_PROB = re.compile(r'(?i)((?:p\(up\)|p\(\\text\{up\}\)|increase)[^\d|\n]{0,12}|\| 30 days \| )(\d+(?:\.\d+)?)(%?)')
def flip_numbers(text):
    "Turn the signs of percentages round, the ends of intervals, and the probability."
    text = _ENDS.sub(r'\3\2\1', _SIGN.sub(lambda m: '+' if m[1] in '−-' else '−', text))
    return _PROB.sub(lambda m: m[1] + (f'{100 - float(m[2]):.0f}%' if m[3] else f'{1 - float(m[2]):.2f}'), text)
def flip(text):
    "Turn every direction round: words, signs, the probability; magnitudes stay."
    return flip_numbers(_WORD.sub(lambda m: _SWAP[m[0]], text))
def flip_forecast(text):
    "Turn only the forecast round and leave all that is said about the past."
    return '\n'.join(flip_numbers(l) if re.search(r'(?i)p\(up\)|p\(\\text\{up\}\)|^- median|80% interval|\| 30 days \|', l) and not l.startswith('|---') else l for l in text.split('\n'))

def corrupt(text, spans, seed):
    "Change the first digit that is not zero in each span."
    rng = random.Random(seed)
    out = list(text)
    for a, b in spans:
        i = next(k for k in range(a, b) if out[k] in '123456789')
        out[i] = rng.choice([d for d in '123456789' if d != text[i]])
    return ''.join(out)
def data_figures(r):
    "Spans of the figures taken from the data or worked out, by the author's marks: all but the forecast, marks and dates."
    v = verify(r['text'], r['task'])
    return [(c.start, c.end) for c in v.claims if c.supported and re.search('[1-9]', r['text'][c.start:c.end])]

# --- the measurements

def measure_auc(seeds=5):
    good = honest()
    digits = [s for k in range(seeds) for s in score([randomise(r['text'], f'{k}{r["name"]}') for r in R], [r['task'] for r in R], [r['outcome'] for r in R], [r['sigma'] for r in R])]
    foreign = [other_chain(r) for r in R]
    chain = score([r['text'] for r in R], *zip(*foreign))
    f = [i for i, r in enumerate(R) if r['forecast']]
    flipped, turned = (score([how(R[i]['text']) for i in f], [R[i]['task'] for i in f], [R[i]['outcome'] for i in f], [R[i]['sigma'] for i in f]) for how in (flip, flip_forecast))
    best = [good[i] for i in f]
    return dict(digits=auc(good, digits), other_chain=auc(good, chain), flipped=auc(best, flipped), flipped_forecast=auc(best, turned))

def measure_gap():
    "House format less free form, for each reply."
    return np.array([score_on([house(r)], r)[0] for r in R]) - np.array(honest())

def corruption_curve(r, orders=100):
    "Mean score with k of n data figures corrupted, k from 0 to n."
    spans, rng, rows = data_figures(r), random.Random(r['name']), []
    for o in range(orders):
        order = rng.sample(spans, len(spans))
        rows.append(score_on([corrupt(r['text'], order[:k], f'{o}') for k in range(len(order)+1)], r))
    return np.mean(rows, axis=0)

@cache
def measure_cheats():
    "(cheat, reply) -> (what the cheat earns, what the reply earns in house format, in free form)."
    out = {}
    for name, cheat in (OUTSIDE_CHEATS | FOUR_MORE).items():
        for r, free in zip(R, honest()):
            h = house(r)
            text = cheat(r['task'], h, own_forecast(r))
            if text is None: continue
            c, base = score_on([text, h], r)
            out[name, r['name']] = (c, base, free)
    return out

# What was measured before anything was mended for these replies and cheats, and what had to be reached; the cheats are counted against the house format of the same content
FIRST_TRY = dict(
    auc=dict(digits=.80, other_chain=.80, flipped=.57, flipped_forecast=.52),           # free form; the same four are 1.00 on the same content in house format
    honest_mean=.195, house_mean=.985, read_and_verified=2/20, forecasts_read=3/11,     # most free-form figures and forecasts were not understood at all
    prose_gap=dict(mean=.790, largest=1.0), corruption_rises=0,                         # corruption could be tried on 12 of 20 replies: the others had no supported figure
    cheats_paid=('hedge_every_way','numbers_in_words'),                                 # 2 of 10 earned what the honest reply earns: hack resistance 0.80
    more_paid=('right_values_new_meaning','smuggled_as_structure','right_work_wrong_words'),  # 3 of the 4 added later
    fakes_over_half=('parrot','identities','thesis'))                                   # up to 0.75 of the honest reply

# The same after that: all four AUCs on free form, and none of the cheats pays
FINAL = dict(
    auc=dict(digits=1.0, other_chain=1.0, flipped=1.0, flipped_forecast=1.0), honest_mean=.966, house_mean=.987, read_and_verified=20/20, forecasts_read=11/11,
    prose_gap=dict(mean=.021, largest=.066), corruption_rises=0, cheats_paid=(), more_paid=(), fakes_over_half=())

# --- the tests

def test_marks_are_true():
    "The author's own marks must be consistent with the tasks before anybody is judged by them."
    assert len(R) >= 20 and len(set(names)) == len(R)
    for r in R:
        assert 800 <= len(r['text']) <= 4000, r['name']
        assert set(r['cited']) <= set(r['task'].shown) and set(r['results']) <= {s.name for s in solve(r['task'])}
        t, o, s = other_chain(r)
        assert t.chain != r['task'].chain and t.asks == r['task'].asks and t.target == r['task'].target

@pytest.mark.parametrize('r', R, ids=names)
def test_reads_and_verifies(r):
    v = verify(r['text'], r['task'])
    f = asked_forecast(v.reply, r['task'])
    assert ((f.p_up, f.median, f.lo, f.hi) if f else None) == r['forecast'], v.reply.no_forecast
    wrong = [(c.text, c.reason) for c in v.claims if c.status == 'unsupported' and c.text.strip() not in r['loose']]
    assert not wrong
    assert set(r['cited']) <= {c.metric for c in v.claims if c.status == 'cited'}

def test_honest_beats_corrupted():
    m = measure_auc()
    assert m['digits'] >= .99 and m['other_chain'] >= .95 and m['flipped'] >= .95 and m['flipped_forecast'] >= .95, m

def test_prose_is_paid_like_the_house_format():
    gap = measure_gap()
    assert np.abs(gap).max() <= .1, dict(zip(names, gap.round(3)))

@pytest.mark.parametrize('name', ['headings and bold bullets', 'questions and answers', 'wrong way round, then corrected', 'British essay without brackets'])
def test_corruption_lowers_the_score(name):
    curve = corruption_curve(next(r for r in R if r['name'] == name))
    assert len(curve) > 8 and (np.diff(curve) <= 1e-9).all() and curve[-1] <= curve[0]/2, curve.round(3)

def test_reward_follows_a_changed_figure():
    for r, before in zip(R, honest()):
        for n in r['cited']:
            t = replace(r['task'], shown={**r['task'].shown, n: r['task'].shown[n]*1.3}, task_id=r['task'].task_id + ':changed')
            assert score([r['text']], [t], [r['outcome']], [r['sigma']])[0] < before, (r['name'], n)

@pytest.mark.parametrize('cheat', OUTSIDE_CHEATS | FOUR_MORE)
def test_outside_cheats_do_not_pay(cheat):
    paid = {k[1]: v for k, v in measure_cheats().items() if k[0] == cheat and v[0] >= v[1]}
    assert not paid, paid

@cache
def tasks_of_every_kind():
    "Make one task of every kind, from simulated days, with its outcome, sigma and a forecast made of its own trend and range."
    from cortex.cases import make_cases
    from cortex.features import add_features
    from cortex.opportunities import simulate_pools, simulate_quotes
    from cortex.sources import simulate_market
    from cortex.tasks import TASKS, forecast_key, make_task, work_out
    market = simulate_market(('near','ethereum','bitcoin'), start='2023-01-01', end='2024-06-30')
    cases = make_cases(add_features(market), every=30, pools=simulate_pools(market), quotes=simulate_quotes(market))
    out = {}
    for kind in TASKS:
        for c in reversed(cases):
            if kind in out or (t := make_task(kind, c.snapshot)) is None: continue
            out[kind] = t, forecast_key(t, c.outcome), None, None
            if t.target:
                ends = work_out(solve(t), t.shown, displayed=True)
                lo, hi = ends['low'], ends['high']
                y, sigma = out[kind][1], c.snapshot.features.get(f'{t.target}_sigma_{t.horizon}d')
                out[kind] = t, y, sigma, Forecast(t.target, t.horizon, .9 if y > 0 else .1, y, lo, hi)
    return out

@pytest.mark.parametrize('cheat', OUTSIDE_CHEATS | FOUR_MORE)
def test_outside_cheats_do_not_pay_in_any_kind(cheat):
    paid = {}
    for kind, (t, y, sigma, f) in tasks_of_every_kind().items():
        h = write_reply(t, f)
        text = (OUTSIDE_CHEATS | FOUR_MORE)[cheat](t, h, f)
        if text is None: continue
        c, base = score([text, h], [t, t], [y, y], [sigma, sigma])
        if c >= base: paid[kind] = c, base
    assert not paid, paid

@pytest.mark.parametrize('fake', ['parrot','identities','thesis'])
def test_full_fakes_earn_half_at_most(fake):
    "Nothing that was asked is answered but the forecast, which is the honest one."
    rich = {k[1]: v for k, v in measure_cheats().items() if k[0] == fake and v[0] > .5*v[1]}
    assert not rich, rich

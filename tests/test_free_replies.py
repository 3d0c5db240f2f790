"Rewards must hold on replies they were not built on: long analyses in free form of every kind, and cheats by a reader who has not read the reward code."
import random, re, sys
from dataclasses import replace
from functools import cache
from pathlib import Path
import numpy as np, pytest
from cortex.replies import Forecast, asked_forecast, parse_reply, write_reply
from cortex.rewards import RUBRICS
from cortex.tasks import TASKS, decide, solve
from cortex.verify import verify
sys.path.insert(0, str(Path(__file__).parent))
from free_replies import FREE_REPLIES, other_chain
from outside_cheats import FOUR_MORE, OUTSIDE_CHEATS, TEN_NEWER

R = FREE_REPLIES
names = [r['name'] for r in R]
FORECASTS = [r for r in R if r['forecast']]
FIRST = [r for r in R if r['task'].kind in ('market.forecast','protocol.ratios')]  # the twenty that came before the others
LATER = [r for r in R if r not in FIRST]

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
def house(r): return write_reply(r['task'], own_forecast(r), action=decide(r['task']) or 'hold')

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

# --- conclusions turned round, by hand: the figures stay
CONCLUSIONS = {
    'condition, rule by rule': (('is **bear**', 'is **bull**'),),
    'condition, terse trader': (('= BULL', '= BEAR'), ('condition: bull', 'condition: bear')),
    'growth that is mixed': (('is **mixed**: neither growing nor shrinking as a whole', 'is **growing**'),),
    'growth, angry bulletin': (('SOLANA IS SHRINKING', 'SOLANA IS GROWING'), ('That is the definition of shrinking', 'That is the definition of growing'), ('verdict      shrinking', 'verdict      growing')),
    'risk factors, committee paper': (('The largest load is the drawdown load', 'The largest load is the volatility load'),),
    'risk factors, nested bullets': (('Volatility load at 1.14, followed closely by beta load at 0.987', 'Beta load at 0.987, followed closely by volatility load at 1.14'),),
    'advice, two stages': (('The weakest is **volume per address**', 'The weakest is **tx per address**'),),
    'advice, consultant': (('The weakest improvement is in transactions per address (+2.6%)', 'The weakest improvement is in volume per address (+9.7%)'),),
    'mitigation, checklist': (('The rule says: KEEP', 'The rule says: REDUCE'), ('decision: keep', 'decision: reduce'), ('Action: keep the position as it is', 'Action: reduce the position')),
    'mitigation, letter': (('I must accordingly advise you to reduce it: by', 'You may keep it: the difference is'), ('my recommendation is to reduce', 'my recommendation is to keep it')),
    'arbitrage, itemised bill': (('hence: **trade**', 'hence: **no trade**'), ('*Action:* trade, but only', '*Action:* no trade, not even')),
    'arbitrage, quick no': (('=> no trade. and', '=> trade. and'), ('action: no trade. set', 'action: trade. set')),
    'yield, comparison in prose': (('pool c is the best', 'pool b is the best'), ('allocate to pool c', 'allocate to pool b')),
    'yield, wide table': (('The best pool is **a**', 'The best pool is **b**'), ('deposit in pool a;', 'deposit in pool b;')),
    'inefficiency, research note': (('**price ahead of usage**', '**usage ahead of price**'),),
    'inefficiency, sceptic': (('falls short: in line', 'falls short: price ahead of usage'), ('Finding: in line', 'Finding: price ahead of usage'))}
def conclude_wrongly(r):
    text = r['text']
    for a, b in CONCLUSIONS[r['name']]:
        assert a in text, (r['name'], a)
        text = text.replace(a, b)
    return text

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

def honest_of(rows): return [honest()[R.index(r)] for r in rows]
def score_each(how, rows): return [score_on([how(r['text'])], r)[0] for r in rows]

def measure_auc(rows=None, seeds=5):
    "How well honest replies are told from four corruptions of them; directions are turned where the corruption changes the text."
    rows = R if rows is None else rows
    good = honest_of(rows)
    digits = [s for k in range(seeds) for s in score([randomise(r['text'], f'{k}{r["name"]}') for r in rows], [r['task'] for r in rows], [r['outcome'] for r in rows], [r['sigma'] for r in rows])]
    chain = score([r['text'] for r in rows], *zip(*(other_chain(r) for r in rows)))
    turns = [r for r in rows if flip_numbers(r['text']) != r['text']]  # the others state no signed change
    out = dict(digits=auc(good, digits), other_chain=auc(good, chain)) | (dict(flipped=auc(honest_of(turns), score_each(flip, turns))) if turns else {})
    f = [r for r in rows if r['forecast']]
    return out | (dict(flipped_forecast=auc(honest_of(f), score_each(flip_forecast, f))) if f else {})

def measure_kinds():
    "The same kind by kind, with the mean honest score, the largest gap to the house format and the share that verifies."
    out = {}
    for kind in TASKS:
        rows = [r for r in R if r['task'].kind == kind]
        fine = [not wrong_figures(r)[0] and not wrong_figures(r)[1] for r in rows]
        out[kind] = measure_auc(rows) | dict(honest=float(np.mean(honest_of(rows))), gap=float(np.abs(measure_gap(rows)).max()), verified=f'{sum(fine)}/{len(rows)}')
    return out

def measure_gap(rows=None):
    "House format less free form, for each reply."
    rows = R if rows is None else rows
    return np.array([score_on([house(r)], r)[0] for r in rows]) - np.array(honest_of(rows))

def wrong_figures(r):
    "(figures that are not supported and are not marked loose, shown figures that are cited and were not recognised)."
    v = verify(r['text'], r['task'])
    return ([(c.text, c.reason) for c in v.claims if c.status == 'unsupported' and c.text.strip() not in r['loose']],
            set(r['cited']) - {c.metric for c in v.claims if c.status == 'cited'})

def corruption_curve(r, orders=100):
    "Mean score with k of n data figures corrupted, for ten k from 0 to n."
    spans, rng, rows = data_figures(r), random.Random(r['name']), []
    for o in range(orders):
        order = rng.sample(spans, len(spans))
        rows.append(score_on([corrupt(r['text'], order[:k], f'{o}') for k in sorted({round(len(order)*i/9) for i in range(10)})], r))
    return np.mean(rows, axis=0)

@cache
def measure_cheats():
    "(cheat, reply) -> (what the cheat earns, what the reply earns in house format, in free form)."
    out = {}
    for name, cheat in (OUTSIDE_CHEATS | FOUR_MORE).items():
        for r in FIRST:
            h, free = house(r), honest()[R.index(r)]
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

# The same for the twenty-eight replies to the other fourteen kinds and the ten cheats aimed at them, before anything was mended for them
FIRST_TRY_LATER = dict(
    auc=dict(digits=.957, other_chain=.942, flipped=.782, flipped_forecast=1.0),        # all forty-eight
    later_auc=dict(digits=.926, other_chain=.879, flipped=.689),                        # the twenty-eight alone; 1.00 on the same content in house format
    honest_mean=.446, house_mean=1.0, read_and_verified=5/28, prose_gap=dict(mean=.554, largest=1.0, within_a_tenth=4/28),
    kinds={  # (digits, other chain, flipped; None where no signed change is stated; mean of the honest replies)
        'market.condition': (1.0, 1.0, None, .756), 'market.users': (1.0, 1.0, .625, .561), 'market.correlation': (1.0, 1.0, 1.0, .698), 'protocol.growth': (.75, .75, .625, .362),
        'protocol.risk': (1.0, .75, .75, .515), 'protocol.advice': (.5, .5, .5, .000), 'risk.var': (1.0, 1.0, 1.0, .798), 'risk.drawdown': (1.0, 1.0, .5, .423),
        'risk.exposure': (1.0, 1.0, 1.0, .795), 'risk.mitigation': (1.0, 1.0, None, .561), 'opportunity.arbitrage': (1.0, 1.0, None, .006), 'opportunity.yield': (.75, .5, .5, .004),
        'opportunity.inefficiency': (1.0, 1.0, .625, .211), 'opportunity.levels': (1.0, 1.0, 1.0, .551)},
    conclusions=dict(cost_a_fault=1/16, cost_anything=5/16),                            # wrong conclusions from right sums, in free prose
    hack_resistance=488/494,                                                            # .988 of (cheat, task) pairs: the tasks of the hand-written replies, and a simulated one of each kind
    cheats_paid=('wrong_word_right_sums','both_words','rule_for_verdict'),              # 'no trade' for 'trade'; two decisions; the rule recited
    cheaper_than_a_fault=dict(wrong_word_right_sums=3/28, both_words=3/28, rule_for_verdict=11/23, answer_is_input=49/49))
# The same after that; what still fails is marked below
FINAL_LATER = dict(
    auc=dict(digits=1.0, other_chain=1.0, flipped=1.0, flipped_forecast=1.0), later_auc=dict(digits=1.0, other_chain=1.0, flipped=1.0), read_and_verified=27/28, within_a_tenth=26/28,
    conclusions=dict(cost_a_fault=15/16, cost_anything=16/16), hack_resistance=499/499, cheats_paid=(), cheaper_than_a_fault={})
# What is known to fail, by test: a mark must go as soon as its test passes
VERIFY_DEFECTS = {
    'arbitrage, quick no': 'size, gap, fees and gas in words are not read',
}
GAP_DEFECTS = {
    'correlation, thinking aloud': 'a share restated in percent counts as unsupported',
    'arbitrage, quick no': 'size, gap, fees and gas in words are not read',
}
CONCLUSION_DEFECTS = {
    'arbitrage, quick no': 'little is left to lose: size, gap, fees and gas in words are not read',
}
CURVE_DEFECTS = dict()
CHANGE_DEFECTS = dict()
CHEAT_DEFECTS = dict()
FAULT_DEFECTS = dict()
XFAIL_AUC = lambda test: test
DEFECTS = {**VERIFY_DEFECTS, **GAP_DEFECTS, **CONCLUSION_DEFECTS, **CURVE_DEFECTS, **CHANGE_DEFECTS}
def marked(rows, defects):
    "Replies as test parameters; those that are known to fail say why, and fail the test as soon as they pass."
    return [pytest.param(r, id=r['name'], marks=[pytest.mark.xfail(strict=True, reason=defects[r['name']])] if r['name'] in defects else []) for r in rows]

# --- the tests

def test_marks_are_true():
    "The author's own marks must be consistent with the tasks before anybody is judged by them."
    assert len(FIRST) >= 20 and len(set(names)) == len(R)
    assert all(sum(r['task'].kind == kind for r in R) >= 2 for kind in TASKS)
    assert set(CONCLUSIONS) <= set(names) and set(DEFECTS) <= set(names)
    for r in R:
        assert 800 <= len(r['text']) <= 4000, r['name']
        assert set(r['cited']) <= set(r['task'].shown) and set(r['results']) <= {s.name for s in solve(r['task'])}
        t, o, s = other_chain(r)
        assert t.chain != r['task'].chain and t.asks == r['task'].asks and t.target == r['task'].target

@pytest.mark.parametrize('r', marked(R, VERIFY_DEFECTS))
def test_reads_and_verifies(r):
    v = verify(r['text'], r['task'])
    f = asked_forecast(v.reply, r['task'])
    assert ((f.p_up, f.median, f.lo, f.hi) if f else None) == r['forecast'], v.reply.no_forecast
    wrong, missed = wrong_figures(r)
    assert not wrong and not missed

def assert_told_apart(m): assert m['digits'] >= .99 and m['other_chain'] >= .95 and m.get('flipped', 1) >= .95 and m.get('flipped_forecast', 1) >= .95, m

def test_honest_beats_corrupted(): assert_told_apart(measure_auc(FIRST))

@XFAIL_AUC
def test_honest_beats_corrupted_over_all_kinds(): assert_told_apart(measure_auc())

@pytest.mark.parametrize('r', marked(R, GAP_DEFECTS))
def test_prose_is_paid_like_the_house_format(r):
    assert abs(measure_gap([r])[0]) <= .1, (honest_of([r]), house(r))

@pytest.mark.parametrize('r', marked([r for r in R if r['name'] in CONCLUSIONS], CONCLUSION_DEFECTS))
def test_wrong_conclusion_costs(r):
    "The sums stay; only the words that the client acts on are turned."
    assert honest_of([r])[0] >= score_each(lambda text: conclude_wrongly(r), [r])[0] + .05

CORRUPTED = ['headings and bold bullets', 'questions and answers', 'wrong way round, then corrected', 'British essay without brackets', 'users, British memo', 'exposure, dialogue', 'arbitrage, itemised bill']

@pytest.mark.parametrize('r', marked([r for r in R if r['name'] in CORRUPTED], CURVE_DEFECTS))
def test_corruption_lowers_the_score(r):
    curve = corruption_curve(r)
    assert len(curve) > 8 and (np.diff(curve) <= 1e-9).all() and curve[-1] <= curve[0]/2, curve.round(3)

@pytest.mark.parametrize('r', marked(R, CHANGE_DEFECTS))
def test_reward_follows_a_changed_figure(r):
    for before in honest_of([r]):
        for n in r['cited']:
            if not r['task'].shown[n]: continue  # nothing times anything is nothing
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

@cache
def measure_newer():
    "(cheat, who) -> (kind, what the cheat earns, what the honest reply in house format earns): the tasks of all hand-written replies, and a simulated one of every kind."
    pairs = [(r['name'], r['task'], r['outcome'], r['sigma'], own_forecast(r)) for r in R] + [('simulated', *x) for x in tasks_of_every_kind().values()]
    out = {}
    for name, cheat in TEN_NEWER.items():
        for who, t, y, sigma, f in pairs:
            h = write_reply(t, f, action=decide(t) or 'hold')
            if (text := cheat(t, h, f)) is not None: out[name, f'{t.kind}: {who}'] = (t.kind, *score([text, h], [t, t], [y, y], [sigma, sigma]))
    return out

@pytest.mark.parametrize('cheat', [pytest.param(c, marks=pytest.mark.xfail(strict=True, reason=CHEAT_DEFECTS[c])) if c in CHEAT_DEFECTS else c for c in TEN_NEWER])
def test_newer_cheats_do_not_pay(cheat):
    paid = {k[1]: v[1:] for k, v in measure_newer().items() if k[0] == cheat and v[1] >= v[2]}
    assert not paid, paid

@pytest.mark.parametrize('cheat', [pytest.param(c, marks=pytest.mark.xfail(strict=True, reason=FAULT_DEFECTS[c])) if c in FAULT_DEFECTS else c for c in TEN_NEWER])
def test_newer_cheats_cost_as_much_as_a_single_fault(cheat):
    cheap = {k[1]: v[1:] for k, v in measure_newer().items() if k[0] == cheat and v[2] - v[1] < .05}
    assert not cheap, cheap

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

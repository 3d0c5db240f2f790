"The rewards tell work from its imitation: gold replies, cheats, tiers, corruption, order of batches, hash seeds, hostile text, in every kind of task."
import json, math, os, pickle, random, re, subprocess, sys, time
from dataclasses import replace
from functools import cache
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from cortex.artifacts import CortexError
from cortex.cheats import CHEATS, FAKES, FAULTS, cheat_pairs, hack_resistance
from cortex.metrics import format_value
from cortex.mocks import MOCKS, high_reply, honest_forecast, misranked, test_report as report, tier_table
from cortex.replies import Forecast, write_reply
from cortex.rewards import DEPTH, REWARDS, RUBRICS, Rubric, gold_reply, long_reply, plot_rewards, sample_problems, score_file
from cortex.tasks import TASKS, Task, solve
import cortex.tasks

R = RUBRICS['verified']
KINDS = list(TASKS)

@cache
def problems(per_kind=3): return sample_problems(per_kind)
def of(kind): return [p for p in problems() if p['task'].kind == kind]
def key(p): return p['task'], p['outcome'], p['sigma']
def pay(texts, p, rubric=R): return rubric(list(texts), [p['task'].to_json()]*len(texts), [p['outcome']]*len(texts), [p['sigma']]*len(texts))
def auc(good, bad):
    d = np.subtract.outer(np.asarray(good, float), np.asarray(bad, float))
    return float(((d > 0) + .5*(d == 0)).mean())

# --- gold

def test_every_kind_has_problems():
    assert {p['task'].kind for p in problems()} == set(TASKS)

@pytest.mark.parametrize('kind', KINDS)
def test_gold_reply_earns_everything(kind):
    for p in of(kind):
        parts = {n: x[0] for n, x in R.components([gold_reply(*key(p))], [p['task'].to_json()], [p['outcome']], [p['sigma']]).items()}
        assert parts.pop('depth') == DEPTH and parts.pop('total') >= .97
        if (f := parts.pop('forecast')) is not None: assert f >= .9
        assert {n: x for n, x in parts.items() if x not in (1., None)} == {}, gold_reply(*key(p))
        assert parts['interval'] == (None if p['task'].target is None else 1.)

# --- cheats

@cache
def pairs(): return cheat_pairs(*([p[k] for p in problems(2)] for k in ('task','outcome','sigma')))

@pytest.mark.parametrize('kind', KINDS)
def test_no_cheat_pays(kind):
    mine = [p for p in pairs() if p['kind'] == kind]
    assert [p for p in mine if p['cheating'] is not None and p['cheating'] >= p['honest']] == []
    assert len({p['cheat'] for p in mine if p['cheating'] is not None}) >= 20
    assert hack_resistance(mine) == 1.0

def test_fakes_earn_half_at_most_and_single_faults_cost():
    able = [p for p in pairs() if p['cheating'] is not None]
    assert [p for p in able if p['cheat'] in FAKES and p['cheating'] > .5*p['honest']] == []
    assert [p for p in able if p['cheat'] in FAULTS and p['honest'] - p['cheating'] < .05] == []

def test_layout_alone_earns_a_tenth_at_most():
    for p in problems(1):
        t = p['task']
        bare = '<think>' + ' '.join(f'[{n}]' for n in t.shown) + '</think>\n<answer>## Results\n' + '\n'.join(a.replace('_',' ') + ':' for a in t.asks) + '\n## Risk\nrisk: volatility\n## Action\naction: hold</answer>'
        assert pay([bare], p)[0] <= .1

def test_an_honest_forecast_may_meet_a_figure_with_its_sign_turned():
    "A median of +6.4% beside a lower end of -6.4% is chance; the mirror image of the whole interval is a lost sign."
    p = next(p for p in problems(1) if p['task'].target)
    t = p['task']
    shown = {**t.shown, f'trend_{t.horizon}d': .002, f'range_{t.horizon}d': .066}
    q = dict(task=replace(t, shown=shown, task_id=t.task_id + ':chance'), outcome=.064, sigma=.05)
    assert 'median +6.4%' in (gold := gold_reply(*key(q))) and '= -6.4%' in gold
    cheat = CHEATS['wrong_way'](q['task'], gold, None)
    honest, turned = pay([gold, cheat], q)
    assert honest >= .97 and turned <= honest - .05
    own = write_reply(q['task'], Forecast(t.target, t.horizon, .52, .002, -.064, .068))
    mirrored = write_reply(q['task'], Forecast(t.target, t.horizon, .48, -.002, -.068, .064))
    for outcome in (.03, -.03):
        a, b = pay([own, mirrored], dict(q, outcome=outcome))
        assert b <= a - .05

def test_a_name_inside_a_longer_one_is_not_said():
    "Who concludes 'no trade' where the trade pays has not concluded 'trade'."
    p = next(p for p in of('opportunity.arbitrage'))
    t = replace(p['task'], shown={**p['task'].shown, 'price_gap': .05}, task_id=p['task'].task_id + ':pays')
    gold = gold_reply(t)
    right, wrong, both = pay([gold, gold.replace('action: trade', 'action: no trade'), gold.replace('action: trade', 'action: trade or no trade')], dict(p, task=t))
    assert 'action: trade' in gold and max(wrong, both) <= right - .02

def test_exchanged_labels_cost_even_when_the_results_are_close():
    p = of('protocol.risk')[0]
    t = replace(p['task'], shown={'volatility_30d': .678, 'drawdown_90d': -.254, 'limit_volatility': .8, 'limit_drawdown': -.3}, asks=('volatility_load','drawdown_load'), task_id='close')
    gold = gold_reply(t)
    right, wrong = pay([gold, CHEATS['wrong_label'](t, gold, None)], dict(p, task=t))
    assert right == 1 and wrong <= right - .05

@pytest.mark.parametrize('outcome', [0., 1e-6, -.9995, .98, 1.265, 9.99, 40.])
def test_the_gold_interval_is_sane_after_rounding(outcome):
    p = next(p for p in problems(1) if p['task'].target)
    for sigma in (.004, .0653, .4288, .9):
        q = dict(p, outcome=outcome, sigma=sigma)
        assert REWARDS['interval']([gold_reply(*key(q))], [p['task'].to_json()], [outcome], [sigma]) == [1.]

# --- sums in another form, labels, conclusions

def components(text, p): return {n: x[0] for n, x in R.components([text], [p['task'].to_json()], [p['outcome']], [p['sigma']]).items()}
def think_of(text): return text.split('</think>')[0].removeprefix('<think>')
def rewrite(p, line): return '<think>' + '\n'.join(line(l) for l in think_of(gold_reply(*key(p))).split('\n')) + '</think>' + gold_reply(*key(p)).split('</think>')[1]
GROWTH = re.compile(r'(\S+) (\[\w+\]) / (\S+) (\[\w+\]) - 1 = ([+-])(\S+)%$')

@pytest.mark.parametrize('form', [r'(\1 \2 - \3 \4) / \3 = \5\6%', r'\1 \2 / \3 \4 - \3 / \3 = \5\6%'])
def test_a_calculation_may_take_another_form(form):
    for p in of('protocol.growth'):
        text = rewrite(p, lambda l: GROWTH.sub(form, l))
        assert text != gold_reply(*key(p)) and components(text, p)['calculation'] == 1 and pay([text], p)[0] >= .97, text

def test_a_calculation_may_take_two_lines():
    for p in of('protocol.growth'):
        def two(l):
            m = GROWTH.match(l)
            x = 1 + float(m[5] + m[6])/100
            return f'{m[1]} {m[2]} / {m[3]} {m[4]} = {x:.3f}\n{x:.3f} - 1 = {m[5]}{m[6]}%'
        assert components(rewrite(p, two), p)['calculation'] == 1, rewrite(p, two)

def test_wrong_operators_are_not_paid():
    "Right figures, a result that recomputes, another calculation: the ratio inverted, one added, the difference of the two."
    from cortex.arithmetic import evaluate
    for p in of('protocol.growth'):
        wrong = lambda x, y: (f'{y} / {x} - 1', f'{x} / {y} + 1', f'{x} - {y}', f'{x} * {y}')
        for i in range(4):
            def other(l):
                m = GROWTH.match(l)
                e = wrong(f'{m[1]} {m[2]}', f'{m[3]} {m[4]}')[i]
                x = evaluate(e)
                return f'{e} = ' + (f'{100*x:+.1f}%' if i == 0 else f'{x:.4g}')
            paid = components(rewrite(p, other), p)
            assert paid['calculation'] <= .1 and paid['depth'] <= .25, rewrite(p, other)

def test_costs_added_for_costs_taken_off_are_not_paid():
    from cortex.arithmetic import evaluate
    for p in of('opportunity.arbitrage'):
        *first, last = think_of(gold_reply(*key(p))).split('\n')
        e = last.rsplit(' = ', 1)[0].replace(' - ', ' + ', 3)
        text = gold_reply(*key(p)).replace(last, f'{e} = ${evaluate(e):.4g}')
        assert components(text, p)['calculation'] <= .5

LAYOUTS = {'behind': lambda r: '\n'.join(f'{x} ({n})' for n, x in r), 'respectively': lambda r: ', '.join(n for n, _ in r) + ': respectively ' + ', '.join(x for _, x in r),
    'in words': lambda r: '\n'.join(f'The result for {n} came out as {x}.' for n, x in r), 'columns': lambda r: '| ' + ' | '.join(n for n, _ in r) + ' |\n' + '|---'*len(r) + '|\n| ' + ' | '.join(x for _, x in r) + ' |',
    'rows': lambda r: '| result | value |\n|---|---|\n' + '\n'.join(f'| {n} | {x} |' for n, x in r), 'bullets': lambda r: '\n'.join(f'- **{n}** – {x}' for n, x in r), 'one line': lambda r: '; '.join(f'{n} {x}' for n, x in r)}

@pytest.mark.parametrize('layout', LAYOUTS)
def test_results_are_read_with_their_labels_in_any_layout(layout):
    "The right labels cost nothing, exchanged ones more than a single fault."
    for p in problems(1):
        gold, t = gold_reply(*key(p)), p['task']
        if t.target: continue
        r = [tuple(l.split(': ')) for l in re.search(r'<answer>(.*?)\nrisk:', gold, re.S)[1].split('\n')]
        values = [x for _, x in r]
        if len(set(values)) < len(values) or len(values) < 2: continue
        put = lambda pairs: gold.replace('\n'.join(map(': '.join, r)), LAYOUTS[layout](pairs))
        right, wrong = pay([put(r), put(list(zip([n for n, _ in r], values[1:] + values[:1])))], p)
        assert right >= .95 and wrong <= right - .05, (t.task_id, right, wrong)

@pytest.mark.parametrize('said,drawn', [('The condition is bear.', 1), ('Verdict: bear', 1), ('It is **bear**, not bull.', 1), ('It is not volatile, hence bear.', 1), ('=> BEAR', 1), ('It is bull.', -1), ('condition: bull', -1),
    ('bear or bull', 0), ('bear\nbull\ncorrection', 0), ('Volatile if heat is above 0, bull if height is 0 or more, else bear.', 0), ('', 0)])
def test_conclusions_are_read_in_sentences(said, drawn):
    from cortex.rewards import concludes
    from cortex.verify import verify
    t = replace(of('market.condition')[0]['task'], shown={'move_30d': -1.04, 'volatility_ratio_14d': 1.18, 'place_365d': .287, 'limit_move': .6, 'limit_volatility_ratio': 1.5, 'middle_place': .5}, task_id='bear')
    gold = gold_reply(t)
    assert 'action: bear' in gold
    text = gold.replace('action: bear: monitor weekly', 'action: monitor weekly').replace('\nrisk:', f'\n{said}\nrisk:')
    assert concludes(verify(text, t), t) == drawn

def test_a_wrong_or_missing_conclusion_costs_a_tenth():
    for p in problems(1):
        for name in ('wrong_conclusion', 'no_conclusion', 'conclusions_listed', 'every_conclusion'):
            gold = gold_reply(*key(p))
            if (text := CHEATS[name](p['task'], gold, None)) is not None: assert pay([text], p)[0] <= pay([gold], p)[0] - .1, (name, p['task'].task_id)

def test_true_repetitions_do_not_thin_out_a_lie():
    for p in problems(1):
        n, gold = next(iter(p['task'].shown)), gold_reply(*key(p))
        lie = lambda k: gold.replace('</think>', '\nWhales hold 41%, insiders 37% and exchanges 29%.' + ''.join(f'\nPoint {i}: {format_value(n, p["task"].shown[n])} [{n}] stands.' for i in range(k)) + '</think>')
        bare, once, padded = pay([lie(0), lie(1), lie(40)], p)  # the first may add a figure, the others add none
        assert max(bare, once) <= pay([gold], p)[0] - .05 and padded <= once + .01

# --- tiers

def test_mock_replies_are_ranked_by_every_reward(): assert misranked(tier_table(problems(2))) == []

def test_the_report_fails_loudly():
    assert 'Hack resistance 1.000' in report()
    RUBRICS['layout'] = Rubric('layout', (('format', 1.),), gated=False)
    try:
        with pytest.raises(CortexError, match='failures:'): report(rubric='layout', per_kind=1)
    finally: del RUBRICS['layout']

# --- honest against corrupted

def randomise(text, seed):
    rng = random.Random(seed)
    return re.sub('[0-9]', lambda m: str(rng.randrange(10)), text)
def flip(text): return re.sub(r'(?<=[ >])[+-](?=[0-9.$]*[1-9][0-9.]*%)|P\(up\) 0\.[0-9]+|P\(up\) 1\.00',
    lambda m: {'+':'-', '-':'+'}.get(m[0]) or f'P(up) {1-float(m[0][6:]):.2f}', text)

def test_auc_against_random_digits():
    good = [pay([high_reply(*key(p))], p)[0] for p in problems()]
    bad = [pay([randomise(high_reply(*key(p)), f'{k}{p["task"].task_id}')], p)[0] for p in problems() for k in range(5)]
    assert auc(good, bad) >= .99

def test_auc_against_another_chain():
    good, bad = [], []
    for p in problems():
        for q in problems():
            same = (q['task'].kind, q['task'].target) == (p['task'].kind, p['task'].target)
            if same and q['task'].chain != p['task'].chain and q['task'].shown != p['task'].shown and set(q['task'].shown) == set(p['task'].shown):
                good.append(pay([high_reply(*key(p))], p)[0]); bad.append(pay([high_reply(*key(q))], p)[0])
    assert len(good) >= 30 and auc(good, bad) >= .95

def test_auc_against_flipped_directions():
    good, bad = [], []
    for p in problems():
        text = high_reply(*key(p))
        if flip(text) != text: good.append(pay([text], p)[0]); bad.append(pay([flip(text)], p)[0])
    assert len(good) >= 10 and auc(good, bad) >= .95

def cited_spans(text): return [m.span() for m in re.finditer(r'[$+-]?[0-9][0-9.,]*[kMBT%]?(?= \[)', text) if re.search('[1-9]', m[0])]
def corrupt(text, spans, rng):
    out = list(text)
    for a, b in spans:
        i = next(k for k in range(a, b) if out[k] in '123456789')
        out[i] = rng.choice([d for d in '123456789' if d != text[i]])
    return ''.join(out)

@pytest.mark.parametrize('kind', KINDS)
def test_corrupting_more_figures_earns_less(kind):
    p = of(kind)[0]
    text = high_reply(*key(p))
    lines = '\n'.join(f'{format_value(n, x)} [{n}] was shown.' for n, x in p['task'].shown.items() if f'[{n}]' not in text)
    text = text.replace('</think>', f'\n{lines}</think>') if lines else text
    spans, rng, curves = cited_spans(text), random.Random(kind), []
    ks = sorted({0, 1, 2, len(spans)//2, len(spans) - 1, len(spans)} & set(range(len(spans) + 1)))
    for _ in range(100):
        order = rng.sample(spans, len(spans))
        curves.append(pay([corrupt(text, order[:k], random.Random(f'{_}')) for k in ks], p))
    curve = np.mean(curves, axis=0)
    assert len(ks) == len(curve) >= 2 and (np.diff(curve) <= 1e-9).all() and curve[1] < curve[0], curve.round(3)

def test_the_reward_follows_a_changed_metric():
    for p in problems(1):
        t, text = p['task'], gold_reply(*key(p))
        for n in {o for s in solve(t) for o in s.operands} & set(t.shown):
            if abs(t.shown[n]) < 1e-3: continue
            changed = replace(t, shown={**t.shown, n: t.shown[n]*1.3}, task_id=f'{t.task_id}:{n}')
            q = dict(p, task=changed)
            assert pay([text], q)[0] < pay([text], p)[0], (t.task_id, n)
            assert pay([gold_reply(*key(q))], q)[0] > pay([text], q)[0], (t.task_id, n)

@pytest.mark.skipif(not hasattr(cortex.tasks, 'mask'), reason='tasks cannot be masked yet')
def test_masked_tasks_pay_the_same():
    for p in problems(1):
        q = dict(p, task=cortex.tasks.mask(p['task']))
        assert pay([gold_reply(*key(q))], q)[0] == pytest.approx(pay([gold_reply(*key(p))], p)[0], abs=.01)

@pytest.mark.skipif(not hasattr(cortex.tasks, 'counterfactual'), reason='tasks have no counterfactuals yet')
def test_counterfactual_tasks_pay_the_changed_answer():
    for p in problems(1):
        t = p['task']
        name = next(o for s in solve(t) for o in s.operands if o in t.shown and abs(t.shown[o]) > 1e-3)
        q = dict(p, task=cortex.tasks.counterfactual(t, name, 1.5))
        assert pay([gold_reply(*key(q))], q)[0] > pay([gold_reply(*key(p))], q)[0]

# --- prose without tags

def test_prose_without_tags_is_paid_alike():
    for p in problems(1):
        text = gold_reply(*key(p))
        prose = re.sub('</?(?:think|answer)>', '', text)
        assert abs(pay([text], p)[0] - pay([prose], p)[0]) <= .1, p['task'].task_id

# --- the contract

JUNK = ['', None, b'\xff\xfe', '\u2066\u200d1.04M\u2069', '('*40 + '1' + ')'*40 + ' = 1', '9^9^9^9 = 1', '-inf [tx_count] = nan', 'x', '<think>'*500, '١٢٣ [tx_count]', '１２３', '1e308 * 1e308 = 1', '10^400 = inf', 'NaN', 'inf', '\u202e\u200b\x00', '('*2000, [{'role':'assistant','content':None}], [], 3.7, 'risk: \naction:', '= = =', '\ud800']

def test_junk_earns_little_and_order_does_not_matter():
    for p in problems(1):
        scores = pay(JUNK, p)
        assert all(0 <= s <= .1 for s in scores)
        assert pay(JUNK[::-1], p) == scores[::-1]
        for f in REWARDS.values():
            paid = f(JUNK, [p['task'].to_json()]*len(JUNK), [p['outcome']]*len(JUNK), [p['sigma']]*len(JUNK))
            assert all(x is None or 0 <= x <= 1 for x in paid) and len({x is None for x in paid}) == 1

def test_a_megabyte_is_scored_low():
    p = next(p for p in problems(1) if p['task'].target)
    assert all(0 <= s <= .1 for s in pay(['x = 1 + '*125_000, b'\xff'*1_000_000], p))

PIECES = ['1.04M', '[tx_count]', '<think>', '</answer>', 'rose', '= 2.59', '-3.1%', '[trend_7d]', '/', '(', '\n', 'forecast: tx_count 7d: P(up) 0.5, median +1.0%, 80% interval -5.0% to +7.0%', 'risk: x', 'action: buy', '\u200b', '9'*40, '1e400', 'ignore all', '²', '٣']
@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=400), st.lists(st.sampled_from(PIECES), max_size=60).map(' '.join)), st.sampled_from([0, 5, 9]))
def test_any_text_scores_between_nought_and_one(text, i):
    p = problems(1)[i % len(problems(1))]
    assert 0 <= pay([text], p)[0] <= 1

def test_rewards_and_rubrics_pickle_and_have_names():
    for f in (*REWARDS.values(), *RUBRICS.values()): assert pickle.loads(pickle.dumps(f)) in (*REWARDS.values(), *RUBRICS.values()) and f.__name__.isidentifier()

def test_the_batch_shape_is_that_of_trl():
    "Any extra column may come along, a batch may mix kinds and chat messages, and a task without its key is left out of the forecast alone."
    ps = problems(1)
    texts = [gold_reply(*key(p)) for p in ps]
    columns = dict(task=[p['task'].to_json() for p in ps], outcome=[p['outcome'] for p in ps], sigma=[p['sigma'] for p in ps])
    for f in (*REWARDS.values(), *RUBRICS.values()):
        plain = f(texts, **columns)
        assert isinstance(plain, list) and all(x is None or type(x) in (float, int) for x in plain), f.__name__
        assert f(completions=[[{'role':'assistant','content':x}] for x in texts], prompts=texts, completion_ids=[[1]]*len(ps), trainer_state=None, **columns) == plain
        assert [f([x], [t], [o], [s])[0] for x, t, o, s in zip(texts, *columns.values())] == plain
    unknown = REWARDS['forecast'](texts, columns['task'], [None]*len(ps), columns['sigma'])
    assert unknown == [None]*len(ps)
    assert all(0 <= x <= 1 for x in RUBRICS['verified'](texts, columns['task'], None, columns['sigma']))

def test_columns_of_any_make():
    "Arrays, NaN for a missing key, bytes, and a column of the wrong length."
    p = next(p for p in problems(1) if p['task'].target)
    text, t = gold_reply(*key(p)), p['task'].to_json()
    plain = R([text]*2, [t]*2, [p['outcome']]*2, [p['sigma']]*2)
    assert R([text, text.encode()], [t]*2, np.array([p['outcome']]*2), np.array([p['sigma']]*2)) == plain
    unknown = R([text], [t], [None], [None])
    assert R([text], [t], [math.nan], [math.nan]) == unknown == R([text], [t]) and unknown[0] >= .97
    assert R([text], [t], [p['outcome']], [None]) == unknown
    for column in ('outcome', 'sigma'):
        with pytest.raises(CortexError, match=f'3 completions came with 1 values of {column}'): R([text]*3, [t]*3, **{column: [.1]})
    with pytest.raises(CortexError, match='finite'): Rubric('mine', (('forecast', math.inf),))

def test_none_only_where_the_key_is_missing():
    for p in problems(1):
        t = p['task'].to_json()
        paid = {n: f(['hello'], [t], [p['outcome']], [p['sigma']])[0] for n, f in REWARDS.items()}
        assert {n for n, x in paid.items() if x is None} <= ({'history'} if p['task'].target else {'forecast','interval','history'})

def test_unknown_rewards_and_weights_are_refused():
    with pytest.raises(CortexError, match='Rewards: format, calculation'): Rubric('mine', (('charm', 1.),))
    for unknown in ('charm', 'Forecast', ''):
        with pytest.raises(CortexError) as e: Rubric('mine', (('forecast', 1.), (unknown, 1.)))
        assert repr(unknown) in str(e.value) and ', '.join(REWARDS) in str(e.value)
    for weights in ((('forecast', 0.),), (('forecast', 0.), ('depth', 0.)), ()):
        with pytest.raises(CortexError, match='not all zero. Rewards: format, calculation'): Rubric('mine', weights)
    with pytest.raises(CortexError, match='zero or more'): Rubric('mine', (('forecast', -1.), ('format', 2.)))

HASHED = """
import json
from cortex.rewards import RUBRICS, gold_reply, sample_problems
from cortex.mocks import MOCKS
out = []
for p in sample_problems(1):
    for write in (gold_reply, *MOCKS.values()):
        parts = RUBRICS['verified'].components([write(p['task'], p['outcome'], p['sigma'])], [p['task'].to_json()], [p['outcome']], [p['sigma']])
        out.append({k: None if v[0] is None else float(v[0]).hex() for k, v in parts.items()})
print(json.dumps(out))
"""
def test_scores_do_not_depend_on_the_hash_seed():
    run = lambda seed: subprocess.run([sys.executable, '-c', HASHED], env={**os.environ, 'PYTHONHASHSEED': seed}, capture_output=True, text=True, check=True, timeout=200).stdout
    assert run('0') == run('4242') != ''

def test_time_grows_with_length():
    "Twice the text may not take much more than twice the time, whatever the text is; the seconds themselves are a benchmark."
    p = next(p for p in problems() if p['task'].target)
    def seconds(text): 
        best = math.inf
        for i in range(3):
            start = time.process_time(); pay([f'{text} {i}'], p); best = min(best, time.process_time() - start)
        return best
    for unit in ('(', '9', '1 + 1 = 2\n', '<think>', 'rose -3.1% [change_7d] ', 'a_', '[', 'action: ', 'x: buy\n', 'risk ', '= 1 ', '\u200b', 'forecast: P(up) '):
        assert seconds(unit*(40_000//len(unit))) <= 4*seconds(unit*(20_000//len(unit))) + .05, unit

# --- files

def test_files_of_replies(tmp_path):
    rows = [dict(text=w(*key(p)), task=p['task'].to_json(), outcome=p['outcome'], sigma=p['sigma']) for p in problems(1) for w in MOCKS.values()]
    path = tmp_path/'replies.jsonl'
    path.write_text('\n'.join(map(json.dumps, rows)))
    frame = score_file(path)
    assert len(frame) == len(rows) and list(frame.total) == [pay([r['text']], dict(task=Task.from_json(r['task']), outcome=r['outcome'], sigma=r['sigma']))[0] for r in rows]
    assert all(f.stat().st_size > 5000 for f in plot_rewards(frame, tmp_path/'pictures'))
    for bad, why in (('{', 'line 1'), ('{"text": "x"}', 'task'), ('{"text": "x", "task": "{}"}', 'line 1'), ('', 'no replies')):
        path.write_text(bad)
        with pytest.raises(CortexError, match=why): score_file(path)
    with pytest.raises(CortexError, match='not a file'): score_file(tmp_path/'none.jsonl')

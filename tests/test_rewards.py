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
from cortex.replies import write_reply
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
    for _ in range(100):
        order = rng.sample(spans, len(spans))
        curves.append(pay([corrupt(text, order[:k], random.Random(f'{_}')) for k in range(len(order)+1)], p))
    curve = np.mean(curves, axis=0)
    assert len(curve) >= 2 and (np.diff(curve) <= 1e-9).all() and curve[1] < curve[0], curve.round(3)

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

JUNK = ['', None, b'\xff\xfe', 'x', '<think>'*500, '١٢٣ [tx_count]', '１２３', '1e308 * 1e308 = 1', '10^400 = inf', 'NaN', 'inf', '\u202e\u200b\x00', '('*2000, [{'role':'assistant','content':None}], [], 3.7, 'risk: \naction:', '= = =', '\ud800']

def test_junk_earns_little_and_order_does_not_matter():
    for p in problems(1):
        scores = pay(JUNK, p)
        assert all(0 <= s <= .1 for s in scores)
        assert pay(JUNK[::-1], p) == scores[::-1]
        for f in REWARDS.values():
            paid = f(JUNK, [p['task'].to_json()]*len(JUNK), [p['outcome']]*len(JUNK), [p['sigma']]*len(JUNK))
            assert all(x is None or 0 <= x <= 1 for x in paid) and len({x is None for x in paid}) == 1

PIECES = ['1.04M', '[tx_count]', '<think>', '</answer>', 'rose', '= 2.59', '-3.1%', '[trend_7d]', '/', '(', '\n', 'forecast: tx_count 7d: P(up) 0.5, median +1.0%, 80% interval -5.0% to +7.0%', 'risk: x', 'action: buy', '\u200b', '9'*40, '1e400', 'ignore all', '²', '٣']
@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=400), st.lists(st.sampled_from(PIECES), max_size=60).map(' '.join)), st.sampled_from([0, 5, 9]))
def test_any_text_scores_between_nought_and_one(text, i):
    p = problems(1)[i % len(problems(1))]
    assert 0 <= pay([text], p)[0] <= 1

def test_rewards_and_rubrics_pickle_and_have_names():
    for f in (*REWARDS.values(), *RUBRICS.values()): assert pickle.loads(pickle.dumps(f)) in (*REWARDS.values(), *RUBRICS.values()) and f.__name__.isidentifier()

def test_none_only_where_the_key_is_missing():
    for p in problems(1):
        t = p['task'].to_json()
        paid = {n: f(['hello'], [t], [p['outcome']], [p['sigma']])[0] for n, f in REWARDS.items()}
        assert {n for n, x in paid.items() if x is None} <= ({'history'} if p['task'].target else {'forecast','interval','history'})

def test_unknown_rewards_and_weights_are_refused():
    with pytest.raises(CortexError, match='Rewards: format, calculation'): Rubric('mine', (('charm', 1.),))
    with pytest.raises(CortexError, match='not all zero'): Rubric('mine', (('forecast', 0.),))
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

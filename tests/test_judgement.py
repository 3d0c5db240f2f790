"""All benchmarks on one page: what the summary says is what was counted, nothing that is missing is silent, two runs are compared on the same data or not at all, and the page holds up in a browser.

The browser tests need the `playwright` package and a Chromium or Chrome that is installed already. CORTEX_CHROMIUM names the browser if it is not on the PATH, CORTEX_SHOTS a folder for screenshots."""
import json, os, re, sys, types
from pathlib import Path
import numpy as np, pandas as pd, pytest
from cortex.artifacts import CortexError
from cortex.judgement import BENCHES, Bench, Judgement, bench_all, compare_results, comparisons, gather, judge_all, load_bench, run_section
from cortex.report import INK, inline_svg
from cortex.scores import diebold_mariano, estimate
from cortex.sections import Section, figure_row, load_section, save_section, verdict_of

DATA = dict(source='store:market', simulated=False, hash='0b7c55ad012ef98a', licence='CC-BY-4.0')
DAYS = pd.date_range('2023-01-01', periods=300).strftime('%Y-%m-%d').to_numpy()
FACTS = {'Code hash': '51aa20bb31cc4dd0'}
HOSTILE = '"><script>window.stolen = 1</script><img src=x onerror="window.stolen = 2">'

def forecasts(gains=(0., 0.), seed=0, noise=.03, data=DATA, scores=True, name='forecasts', days=DAYS, extra='', **kw):
    "Two targets; `gains` is by how much the model's Brier score beats climatology in each."
    rng, rows, kept = np.random.default_rng([seed, 7]), [], []
    for i, gain in enumerate(gains):
        base = np.random.default_rng(i).normal(.25, .05, len(days)); mine = base + rng.normal(0, noise, len(days)) - gain; d, names = mine - base, dict(target=f'target{i}{extra}', horizon=1, system='model' + extra)
        rows += [figure_row('brier', estimate(mine, days, horizon=1), 'climatology', estimate(d, days, horizon=1), p=diebold_mariano(d, 1)[1], names=names), figure_row('mae', estimate(mine, days, horizon=1), names=names)]
        kept.append(pd.DataFrame(names | dict(metric='brier', date=days, value=mine)))
    return Section(name, kw.pop('title', 'Forecasts'), f'cortex bench {name}', data, rows, kw.pop('words', ['As measured.']), scores=pd.concat(kept) if scores else None, settings=dict(seed=seed), **kw)

def sizes(**kw): return Section(**dict(dict(name='efficiency', title='Efficiency', command='cortex bench efficiency', data=DATA | dict(hash='87f51c86'), table=[dict(system='nano', metric='bytes', value=269_000_000, exact=True), dict(system='nano', metric='latency', value=1.4, lo=1.3, hi=1.5, n=64, unit='s')], words=['Fast enough.']), **kw))

def market():
    from cortex.sources import simulate_market
    return simulate_market(['near'], '2024-01-01', '2024-03-31'), dict(source='simulated', licence='MIT')
SMALL = market()

def results(**kw):
    "What `cortex run` leaves, in its own words."
    row = dict(group='all', n=48, dates=24, skill=None, dm_p=None, diff=None, diff_lo=None, diff_hi=None, verdict=None)
    return dict(dict(schema='cortex.results/1', sources=['simulated'], simulated=True, headline=['Format: 0% → 98%.'], limits=['Two months.'], left_out=[dict(system='sft', group='bull', measure='brier', n=4, dates=4, left_out='no interval from 4 dates')],
        results=[row | dict(system='base', measure='format', value=0., lo=0., hi=.1, reference='base'), row | dict(system='grpo', measure='brier', value=.26, lo=.24, hi=.28, reference='climatology', diff=.01, diff_lo=-.01, diff_hi=.03, dm_p=.3, verdict='no edge found')],
        steps=[], facts={}, run=dict(config=dict(size='nano', data='simulated', minutes=15., seed=0), stages=dict(data=dict(outputs={'data/frame.parquet': 'abc'})))), **kw)

# ---- the summary

def test_no_edge_is_said_in_words():
    j = judge_all([forecasts()], [], facts=FACTS)
    assert j.summary[0].startswith('No edge found: in none of 2 comparisons') and 'Better' not in ' '.join(j.summary)
    for text in (j.to_html(), j.to_json(), j.to_text()): assert 'No edge found: in none of 2 comparisons' in text

def test_an_edge_is_named_with_its_difference():
    j = judge_all([forecasts((0., .03))], [], facts=FACTS)
    assert j.summary[0].startswith("Better than the baseline after Holm's correction in 1 of 2 comparisons") and 'forecasts: target1, 1, model, brier against climatology (−0.02' in j.summary[0]
    worse = judge_all([forecasts((-.03, 0.))], [], facts=FACTS).summary
    assert worse[0].startswith('No edge found') and worse[1] == 'Worse than the baseline in 1 of 2: forecasts model (1).'

def test_simulated_data_are_never_an_edge_in_a_market():
    j = judge_all([forecasts((0., .03), data=DATA | dict(simulated=True))], [], facts=FACTS)
    assert any('no evidence of an edge in any market' in w for w in j.summary) and 'SIMULATED DATA' in j.to_html()
    assert 'SIMULATED' not in judge_all([forecasts()], [], facts=FACTS).to_html()

def test_luck_does_not_survive_the_number_of_looks():
    "Forty nulls, some of them significant alone: nothing is better after the correction over all sections, also if each section is small."
    parts = [forecasts((0.,)*5, seed=s, name=f'backtest' if s == 0 else f'x{s}') for s in range(8)]
    c = comparisons(parts)
    assert len(c) == 40 and c.uncorrected.isin(['better', 'worse']).sum() >= 1 and not c.verdict.isin(['better', 'worse']).any()
    from statsmodels.stats.multitest import multipletests
    np.testing.assert_allclose(c.p_all, multipletests(c.p, method='holm')[1])

def test_a_difference_without_p_value_counts_for_nothing():
    s = sizes(name='backtest', table=[dict(system='x', metric='sharpe', value=2., lo=1., hi=3., n=100, baseline='hold', diff=1., diff_lo=.5, diff_hi=1.5)])
    words = judge_all([s], [], facts=FACTS).summary
    assert words[0].startswith('No edge found') and 'differ by their interval alone' in words[1]

def test_nothing_missing_is_silent(tmp_path):
    "What was not run, what failed and what is damaged is in the words, the page and the JSON."
    save_section(forecasts(), tmp_path/'sections'); (tmp_path/'sections'/'live.json').write_text('{"schema": "cort')
    j = judge_all(tmp_path, missing={'external': 'needs lm_eval'}, facts=FACTS)
    assert set(j.missing) == {b.name for b in BENCHES} - {'forecasts'} and j.missing['external'] == 'needs lm_eval' and 'not whole JSON' in j.missing['live'] and j.missing['efficiency'] == 'was not run'
    for text in (j.to_html(), json.dumps(json.loads(j.to_json())['summary']), j.to_text()): assert all(n in text for n in j.missing) and 'needs lm_eval' in text
    assert f'{len(j.missing)} MISSING OR REFUSED' in j.to_html()
    with pytest.raises(CortexError, match='needs lm_eval'): j['external']

def test_left_out_figures_are_counted():
    s = sizes(table=[dict(case=i, metric='brier', left_out='no interval from 3 dates') for i in range(7)] + [dict(case=9, metric='n', value=1, exact=True)])
    assert any(w == '7 figures left out: no interval from 3 dates (7).' for w in judge_all([s], [], facts=FACTS).summary)

# ---- files

def test_each_figure_of_the_json_stands_alone(tmp_path):
    j = judge_all([forecasts(), sizes()], [], facts=FACTS); page, file = j.save(tmp_path)
    held = json.loads(file.read_text())
    assert held['schema'] == 'cortex.judgement/1' and len(held['figures']) == 6 == sum(s['figures'] for s in held['sections'])
    for f in held['figures']: assert f['command'].startswith('cortex bench ') and f['data_hash'] in ('0b7c55ad012ef98a', '87f51c86') and ('lo' in f and 'hi' in f or f['exact']) and f['names']
    assert {s['hash'] for s in held['sections']} == {s.hash for s in j.sections} and 'NaN' not in file.read_text()
    again = judge_all(file, [], facts=FACTS)
    assert [s for s in again.sections] == [s for s in j.sections] and again.to_html() == page.read_text() == j.to_html()

def test_a_run_enters_as_a_section(tmp_path):
    folder = tmp_path/'Nano run 1'; folder.mkdir(); (folder/'results.json').write_text(json.dumps(results()))
    s = run_section(folder)
    assert s.name == 'run-nano-run-1' and s.command == 'cortex run --size nano --data simulated --minutes 15 --seed 0' and s.data['hash'] == 'abc' and list(s.table.baseline) == ['', 'climatology', ''] and s.table.left_out[2] == 'no interval from 4 dates'
    j = judge_all([forecasts(), folder], [], facts=FACTS)
    assert len(j.compared) == 3 and 'run-nano-run-1' in j.summary[0] and judge_all(folder, [], facts=FACTS).sections == [s]

@pytest.mark.parametrize('bad', [dict(schema='cortex.results/9'), dict(run={}), dict(results=[dict(system='x')]), dict(results=[dict(results()['results'][1], lo=None, diff_lo=None)])])
def test_results_that_cannot_be_judged(tmp_path, bad):
    (tmp_path/'results.json').write_text(json.dumps(results(**bad)))
    with pytest.raises(CortexError): run_section(tmp_path)
    found, wrong = gather(tmp_path); assert not found and set(wrong) == {'results'}
    with pytest.raises(CortexError, match='nothing to judge'): judge_all(tmp_path)

def test_real_runs_of_the_pipeline_are_read():
    "The pipeline writes what `run_section` reads: the columns are those of `results_of`."
    import inspect
    from cortex import report
    from cortex.benchmarks import bench_rows
    for k in ('results', 'left_out', 'steps', 'headline', 'limits', 'facts', 'sources', 'simulated'): assert f'{k}=' in inspect.getsource(report.results_of)
    assert all(k in inspect.getsource(bench_rows) + inspect.getsource(sys.modules['cortex.benchmarks'].paired) for k in ('reference', 'diff_lo', 'dm_p', 'verdict', 'left_out'))

def test_two_sections_of_one_name(tmp_path):
    save_section(forecasts(), tmp_path/'a'); save_section(forecasts(seed=1), tmp_path/'b')
    j = judge_all([tmp_path/'a', tmp_path/'b'], [], facts=FACTS)
    assert len(j.sections) == 1 and 'two sections of this name' in j.missing['forecasts']
    assert judge_all([tmp_path/'a', tmp_path/'a'], [], facts=FACTS).missing == {}
    with pytest.raises(CortexError, match='two sections are called forecasts'): judge_all([forecasts(), forecasts(seed=1)])
    with pytest.raises(CortexError, match='no such file or folder'): judge_all(tmp_path/'c')

# ---- two runs

def test_pairing_finds_what_intervals_hide():
    "A gain of an eighth of a date's spread: intervals overlap, paired dates tell. The difference is that of the raw scores."
    a, b = forecasts((0., 0.), noise=.01), forecasts((0., .006), seed=1, noise=.01)
    c = compare_results(a, b); rows = {r['line']: r for r in c.rows if r['how'].startswith('paired')}
    assert [verdict_of(r) for r in rows.values()] == ['no edge found', 'better'] and 'B better than A in 1, worse in 0 of 2 paired lines' in c.words[0]
    d = b.scores[b.scores.target == 'target1'].value.to_numpy() - a.scores[a.scores.target == 'target1'].value.to_numpy()
    e = estimate(d, DAYS, horizon=1); r = rows['target1, 1, model']
    assert np.allclose([r['diff'], r['diff_lo'], r['diff_hi']], [e.value, e.lo, e.hi]) and r['how'] == 'paired on 300 dates, bootstrap'
    bare = compare_results(forecasts((0., 0.), scores=False, noise=.01), forecasts((0., .006), seed=1, scores=False, noise=.01))
    assert {r['verdict'] for r in bare.rows} == {'intervals overlap'} and 'Overlap does not show equality' in ' '.join(bare.words)
    assert [verdict_of(r) for r in compare_results(b, a).rows if r['how'].startswith('paired')] == ['no edge found', 'worse']

def test_a_run_equals_itself():
    c = compare_results(forecasts((0., .03)), forecasts((0., .03)))
    assert c.words[0] == "No difference found in 2 paired lines after Holm's correction." and all(r['diff'] == 0 for r in c.rows)

def test_other_data_are_refused(tmp_path):
    "Unless one insists; then nothing is paired, and the first sentence says what the figures mix."
    a, b = forecasts((0., .03)), forecasts((0., 0.), data=DATA | dict(hash='f00d'))
    with pytest.raises(CortexError, match='made from different data .0b7c55ad012ef98a and f00d.'): compare_results(a, b)
    c = compare_results(a, b, anyway=True)
    assert c.words[0].startswith('The data differ in forecasts') and not any(r['how'].startswith('paired') for r in c.rows) and c.command.endswith('--anyway') and c.data['hash'] not in ('f00d', DATA['hash'])

def test_pairs_share_dates_and_what_is_alone_is_named():
    a, b = forecasts(days=DAYS[:200]), forecasts(days=DAYS[100:])
    assert {r['how'] for r in compare_results(a, b).rows if 'paired' in r['how']} == {'paired on 100 dates, bootstrap'}
    few = compare_results(forecasts(days=DAYS[:153]), forecasts(days=DAYS[150:]))
    assert {verdict_of(r) for r in few.rows if 'paired' in r['how']} == {'not comparable: too few dates'}
    c = compare_results(judge_all([a, sizes()], [], facts=FACTS), judge_all([a], [], facts=FACTS))
    assert 'Only in A: efficiency.' in c.words
    with pytest.raises(CortexError, match='nothing to compare'): compare_results(a, sizes())

def test_the_comparison_is_a_section(tmp_path):
    c = compare_results(forecasts((0., .03)), forecasts((.02, 0.), seed=3)); assert load_section(save_section(c, tmp_path)) == c
    assert 'seed: 0 -> 3' in ' '.join(c.words) and 'Better: forecasts target0' in ' '.join(c.words) and 'Worse: forecasts target1' in ' '.join(c.words)

# ---- all of them

@pytest.fixture
def toy(monkeypatch):
    m = types.ModuleType('cortex.toy_benches'); monkeypatch.setitem(sys.modules, 'cortex.toy_benches', m); m.calls = []
    monkeypatch.setattr('cortex.judgement.code_hash', lambda: '51aa20bb31cc4dd0')
    from cortex.sections import data_of
    def good(market, meta, quick=False): m.calls.append('good'); return forecasts(data=data_of(market, meta), words=['quick' if quick else 'whole'])
    def fails(): m.calls.append('fails'); raise (CortexError if len(m.calls) > 99 else RuntimeError)('out of luck')
    def asks(ledger): return sizes(name='live')
    def wrong(): return sizes(name='other')
    m.good, m.fails, m.asks, m.wrong = good, fails, asks, wrong
    B = lambda name, fn, module='toy_benches': Bench(name, module, fn)
    m.benches = (Bench('forecasts', 'toy_benches', 'good', True), B('safety', 'fails'), B('live', 'asks'), B('trials', 'wrong'), B('external', 'x', 'not_there_at_all'), B('efficiency', 'nothing'))
    return m

def test_one_failure_stops_nobody(toy, tmp_path):
    said = []; j = bench_all(tmp_path, SMALL, benches=toy.benches, say=said.append)
    assert [s.name for s in j.sections] == ['forecasts'] and j['forecasts'].words == ('whole',)
    assert j.missing == {'safety': 'failed with RuntimeError: out of luck', 'live': 'needs ledger, which were not given', 'trials': 'cortex.toy_benches.wrong gave the section other, not trials', 'external': 'cortex.not_there_at_all is not there', 'efficiency': 'cortex.toy_benches has no nothing'}
    assert {p.name for p in tmp_path.iterdir()} >= {'judgement.html', 'judgement.json', 'sections'} and any('out of luck' in s for s in said)
    assert judge_all(tmp_path, [], facts=FACTS).sections == j.sections

def test_it_goes_on_where_it_stopped(toy, tmp_path):
    for k in range(2): bench_all(tmp_path, SMALL, benches=toy.benches[:2])
    assert toy.calls == ['good', 'fails', 'fails']            # what failed is tried again
    bench_all(tmp_path, SMALL, benches=toy.benches[:1], quick=True); bench_all(tmp_path, SMALL, benches=toy.benches[:1], quick=True, fresh=True)
    assert toy.calls.count('good') == 3
    assert bench_all(tmp_path, SMALL, benches=toy.benches, only=['forecasts', 'live'], ledger='x', quick=True)['live'].title == 'Efficiency'

def test_another_seed_takes_nothing_from_the_last_one(toy, tmp_path):
    "A call that makes some sections with a new seed does not make the old ones pass for new."
    first = bench_all(tmp_path, SMALL, benches=toy.benches[:1]); toy.calls.clear()
    with pytest.raises(CortexError, match='nothing to judge'): bench_all(tmp_path, SMALL, benches=toy.benches[:2], only=['safety'], seed=1)
    bench_all(tmp_path, SMALL, benches=toy.benches[:1], seed=1); assert toy.calls == ['fails', 'good']
    bench_all(tmp_path, SMALL, benches=toy.benches[:1], seed=1); assert toy.calls == ['fails', 'good']

def test_the_listed_benchmarks_exist():
    "Each name in the list leads to a function, or to a package that is not installed here."
    for b in BENCHES:
        try: fn = load_bench(b)
        except CortexError as e: assert 'needs the package' in str(e), b
        else: assert callable(fn)

# ---- the page

def full(hostile=''):
    pic = inline_svg(lambda fig: fig.subplots().plot([1, 2, 3], color=INK['c1']), 'a line' + hostile)
    a = forecasts((0., .03), data=DATA | dict(simulated=True, source='simulated' + hostile), extra=hostile, figures={'Skill' + hostile: pic}, notes=['One limit.' + hostile], words=['As measured.' + hostile], title='Forecasts' + hostile, tables={'By year' + hostile: pd.DataFrame({'year' + hostile: ['2023' + hostile], 'n': [300]})})
    many = sizes(table=[dict(system='nano' + hostile, group=f'g{i}', metric='latency', value=i/7, lo=i/8, hi=i/6, n=64, unit='s', better=-1, baseline='base', diff=-.1, diff_lo=-.2, diff_hi=-.05, p=.001) for i in range(1, 60)])
    return Judgement([a, many], {'live' + hostile: 'was not run' + hostile}, 'cortex judgement' + hostile, FACTS | {'x' + hostile: hostile})

def test_one_file_without_script_or_link():
    page = full(HOSTILE).to_html()
    assert '<script' not in page and '<img' not in page and not re.search(r'(?:https?:)?//\w', page) and '@import' not in page and page.count('&lt;script') > 12
    assert set(re.findall(r'href="([^"]*)"', page)) <= {f'#{i}' for i in re.findall(r'id="([^"]*)"', page)}

SLOW = [pytest.mark.slow, pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='slow: set CORTEX_SLOW=1')]

@pytest.mark.parametrize('width, scheme, hostile', [(360, 'dark', HOSTILE), pytest.param(1280, 'light', '', marks=SLOW), pytest.param(360, 'light', '', marks=SLOW), pytest.param(1280, 'dark', HOSTILE, marks=SLOW)])
def test_the_page_in_a_browser(browser, tmp_path, width, scheme, hostile):
    "It opens from a file, runs nothing, asks for nothing, fits, opens what is folded, and axe has nothing to object to."
    file = full(hostile).save(tmp_path)[0]
    c = browser.new_context(viewport=dict(width=width, height=740), color_scheme=scheme, reduced_motion='reduce'); page = c.new_page(); page.set_default_timeout(120_000); asked, faults = [], []
    page.on('request', lambda r: asked.append(r.url)); page.on('pageerror', lambda e: faults.append(str(e)))
    page.goto(file.as_uri())
    assert asked == [file.as_uri()] and faults == [] and page.evaluate('window.stolen') is None and page.evaluate('document.scripts.length') == 0
    for d in page.locator('summary').all(): d.click()
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
    assert page.locator('h1').count() == 1 and page.locator('.stamp').count() == 2 and page.locator('tbody tr').count() == 2 + 4 + 1 + 59
    for a in page.locator('nav a').all(): assert page.locator(a.get_attribute('href')).count() == 1
    if folder := os.environ.get('CORTEX_SHOTS'): page.screenshot(path=Path(folder)/f'judgement-{width}-{scheme}.png', full_page=True)
    axe = pytest.importorskip('axe_playwright_python.sync_playwright', reason='axe is not installed: pip install axe-playwright-python').Axe()
    found = axe.run(page, options=dict(resultTypes=['violations'], runOnly=['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']))
    assert [(v['id'], v['impact'], v['nodes'][0]['html'][:120], v['nodes'][0].get('failureSummary', '')[:200]) for v in found.response['violations']] == []
    c.close()

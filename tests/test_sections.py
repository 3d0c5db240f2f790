"What every benchmark returns: figures that cannot come without interval or baseline, files that know whether they are whole, and nothing that runs in a page."
import json, math, random
from pathlib import Path
import numpy as np, pandas as pd, pytest
from cortex.artifacts import CortexError, content_hash
from cortex.report import INK, inline_svg
from cortex.scores import Estimate
from cortex.sections import Section, check_svg, check_table, data_of, direction, figure_row, figures_html, folded_html, freeze, line_texts, load_section, name_columns, number_text, readable, save_section, section_html, thaw, verdict_of

DATA = dict(source='store:market', simulated=False, hash='0b7c55ad012ef98a', licence='CC-BY-4.0')
GOOD = dict(target='price_usd', horizon=7, system='teacher', metric='brier', value=.24, lo=.22, hi=.26, n=300, baseline='climatology', diff=-.01, diff_lo=-.03, diff_hi=.01, p=.3, p_holm=.9)
def section(rows=(GOOD,), **kw): return Section(**dict(dict(name='forecasts', title='Forecasts', command='cortex bench forecasts', data=DATA, table=list(rows), words=['No edge found.']), **kw))

# ---- the table

@pytest.mark.parametrize('change, why', [
    (dict(lo=None, diff_lo=None), 'neither an interval'), (dict(hi=None, baseline='', diff=None), 'neither an interval'), (dict(lo=.3), 'upside down'), (dict(diff_lo=.2), 'upside down'), (dict(n=None), 'does not say n'), (dict(n=0), 'does not say n'),
    (dict(value=None), 'has no value'), (dict(value=math.nan), 'has no value'), (dict(value=math.inf), 'infinite'), (dict(baseline=''), 'does not name its baseline'), (dict(p=-.1), 'outside 0..1'), (dict(p_holm=.1), 'made smaller'), (dict(value='much'), 'is no number'), (dict(value=[.1]), 'is no number'), (dict(value=1j), 'is no number')])
def test_a_figure_that_cannot_be_judged_is_refused(change, why):
    "The message names the section, the row and what is wrong with it."
    other = dict(GOOD, horizon=1)
    with pytest.raises(CortexError, match=why) as e: section([other, GOOD | change])
    assert 'section forecasts' in str(e.value) and ('row 1 (target price_usd, horizon 7' in str(e.value) or 'no number' in why)

def test_what_needs_no_interval():
    "Counts are exact, gaps have a reason, and a difference with an interval is enough."
    rows = [dict(case='a', metric='bytes', value=12, exact=True), dict(case='b', metric='brier', left_out='no interval from 3 dates'), dict(case='c', metric='brier', value=.2, n=9, baseline='drift', diff=.1, diff_lo=0., diff_hi=.2)]
    t = section(rows).table
    assert list(t.case) == ['a', 'b', 'c'] and name_columns(t) == ['case'] and [line_texts(r)['interval'] for r in t.to_dict('records')] == ['exact', 'no interval from 3 dates', '']
    with pytest.raises(CortexError, match='has neither'): section([dict(rows[0], exact=False, n=3)])
    assert len(section([]).table) == 0 and section([]).to_json()

def test_two_lines_of_one_name_are_refused():
    with pytest.raises(CortexError, match='row 2 .* occurs twice'): section([GOOD, dict(GOOD, horizon=1), GOOD])

def test_tables_of_odd_shape():
    "A column twice is refused; names may be anything that prints."
    with pytest.raises(CortexError, match="two columns are called 'n'"): check_table(pd.concat([pd.DataFrame([GOOD]), pd.DataFrame([dict(n=3)])], axis=1))
    assert len(check_table([dict(GOOD, target=['a', 'b']), dict(GOOD, target=['a'])])) == 2
    with pytest.raises(CortexError, match='occurs twice'): check_table([dict(GOOD, target=['a']), dict(GOOD, target=['a'])])

def test_estimates_without_interval_give_their_reason():
    row = figure_row('brier', Estimate(.2, math.nan, math.nan, 6, 3), 'drift', Estimate(.1, math.nan, math.nan, 6, 3))
    assert row['left_out'] == 'no interval from 3 dates' and line_texts(check_table([row]).to_dict('records')[0])['value'] == '–'

@pytest.mark.parametrize('name', ['', '../up', 'Forecasts', 'a b', 'x'*61, '-a'])
def test_names_that_are_no_file_names(name):
    with pytest.raises(CortexError, match="becomes a file's name"): section(name=name)

@pytest.mark.parametrize('change, why', [(dict(command=''), 'has no command'), (dict(title=' '), 'has no title'), (dict(words=[]), 'says nothing in words'), (dict(words=[' ']), 'says nothing in words'), (dict(data=dict(DATA, hash='')), 'its data has no hash'),
    (dict(data={k: v for k, v in DATA.items() if k != 'licence'}), 'no licence'), (dict(scores=[dict(metric='brier', value=1)]), 'no column date')])
def test_parts_that_are_missing(change, why):
    with pytest.raises(CortexError, match=why): section(**change)

# ---- words and numbers

def test_verdicts_follow_the_interval_the_direction_and_holm():
    "Against every combination of direction, interval and correction, worked out by hand."
    for metric, way in (('brier', -1), ('accuracy', 1)):
        for lo, hi in ((-.2, -.1), (.1, .2), (-.1, .1), (0., .1)):
            for p_holm in (None, .01, .05, .4):
                said = verdict_of(dict(GOOD, metric=metric, diff_lo=lo, diff_hi=hi, p_holm=p_holm))
                straddles, refuted = lo <= 0 <= hi, p_holm is not None and p_holm >= .05
                assert said == ('no edge found' if straddles else 'no edge found after Holm' if refuted else 'better' if (lo > 0) == (way > 0) else 'worse')
    assert verdict_of(dict(GOOD, verdict='not comparable')) == 'not comparable' and direction('tokens_per_s') == 0 and direction('tokens_per_s', 1) == 1

def test_numbers_are_what_they_say():
    "Written figures, read again, are the figures to three digits; signs and units survive."
    rng = random.Random(0)
    for _ in range(300):
        x = rng.choice([-1, 1])*10**rng.uniform(-8, 9); text = number_text(x)
        assert math.isclose(float(text.replace('−', '-').replace(',', '')), x, rel_tol=.06 if abs(x) < 1e-3 else .006), (x, text)
    assert number_text(-.0004) == '−0.0004' and number_text(1, 'share') == '100%' and number_text(-.013, 'share', True) == '−1.3 pp' and number_text(math.inf) == '–'

def test_readable_keeps_every_row_and_drops_empty_columns():
    t = readable(check_table([GOOD, dict(GOOD, horizon=30, baseline='', diff=None, diff_lo=None, diff_hi=None, p=None, p_holm=None, note='seen')]))
    assert list(t.horizon) == ['7', '30'] and list(t.verdict) == ['no edge found', ''] and list(t.note) == ['', 'seen'] and 'exact' not in t and list(t.p) == ['0.900 (Holm)', '']

# ---- files

def test_a_section_survives_its_file(tmp_path):
    "Dates, gaps, whole numbers, big and tiny floats come back, and the hash with them."
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(dict(target='price_usd', horizon=7, system='teacher', metric='brier', date=pd.date_range('2024-01-01', periods=50), value=rng.normal(size=50)*1e-9))
    s = section([GOOD, dict(GOOD, horizon=None, value=1e300/3, lo=None, hi=None, n=2**53)], scores=scores, settings=dict(since=pd.Timestamp('2024-01-01'), seeds=(1, 2), x=np.float64(.1)), tables=dict(t=pd.DataFrame(dict(a=pd.array([1, None], 'Int64'), b=['x', None], c=[True, False]))), notes='One limit.')
    back = load_section(save_section(s, tmp_path))
    assert back == s and back.hash == s.hash and list(back.scores.value) == list(s.scores.value) and back.table.value[1] == 1e300/3 and back.notes == ('One limit.',) and back.tables['t'].b[1] is None or pd.isna(back.tables['t'].b[1])
    assert save_section(back, tmp_path/'again').read_bytes() == (tmp_path/'forecasts.json').read_bytes() and Section.from_json(s.to_json()) == s

def test_every_changed_byte_is_noticed(tmp_path):
    "A cut or an edit anywhere is refused with a message; the rare edit that changes no meaning leaves the same section."
    path = save_section(section(), tmp_path); text, rng, refused = path.read_text(), random.Random(1), 0
    for _ in range(150):
        i = rng.randrange(len(text)); changed = text[:i] + rng.choice([c for c in 'abc0123{}",: ' if c != text[i]]) + text[i + 1:] if rng.random() < .7 else text[:i]
        path.write_text(changed)
        try: same = load_section(path) == section()
        except CortexError: refused += 1
        else: assert same, changed
    assert refused > 130

def test_a_forged_hash_does_not_help(tmp_path):
    "A file whose hash was made to fit still passes through all checks of a section."
    held = json.loads(section().to_json()); held['section']['table']['rows'][0][5] = None; held['section']['table']['rows'][0][10] = None
    held['hash'] = content_hash(held['section']); (tmp_path/'x.json').write_text(json.dumps(held))
    with pytest.raises(CortexError, match='neither an interval'): load_section(tmp_path/'x.json')

@pytest.mark.parametrize('content', ['', '[]', '{}', 'null', '{"schema": "cortex.section/1"}', '{"schema": "cortex.section/1", "hash": 1, "section": {}}', '['*100_000])
def test_files_that_are_no_sections(tmp_path, content):
    (tmp_path/'x.json').write_text(content)
    with pytest.raises(CortexError, match='x.json'): load_section(tmp_path/'x.json')

def test_freezing_twice_changes_nothing():
    f = pd.DataFrame(dict(d=pd.to_datetime(['2024-01-01 12:00', None]), i=[1, None], s=['a', pd.NA], n=[None, None]))
    assert freeze(thaw(freeze(f))) == freeze(f) or freeze(thaw(freeze(thaw(freeze(f))))) == freeze(thaw(freeze(f)))

# ---- data

def test_data_of_says_where_it_came_from():
    from cortex.store import open_market
    pair = open_market('simulated', ['near'], '2024-03-01')
    assert data_of(pair) == data_of(*pair) and data_of(pair)['simulated'] is True and data_of(pair)['hash'] == content_hash(pair[0])
    assert data_of('prompts', dict(source='own prompts', licence='MIT')) == dict(source='own prompts', simulated=False, hash=content_hash('prompts'), licence='MIT')
    for bad in (pair[0], 'prompts'):
        with pytest.raises(CortexError, match='no source'): data_of(bad)

# ---- pages

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'

def test_hostile_text_is_escaped_everywhere():
    "Names, metrics, words, notes, settings, commands, titles, captions, tables: none becomes a tag."
    row = {HOSTILE: HOSTILE, **GOOD, 'baseline': HOSTILE, 'metric': HOSTILE, 'unit': HOSTILE, 'more': HOSTILE, 'verdict': HOSTILE}
    s = section([row], title=HOSTILE, command=HOSTILE, words=[HOSTILE], notes=[HOSTILE], settings={HOSTILE: HOSTILE}, data=dict(DATA, source=HOSTILE, licence=HOSTILE), tables={HOSTILE: pd.DataFrame({HOSTILE: [HOSTILE]})}, figures={HOSTILE: inline_svg(lambda fig: fig.subplots().set_title(HOSTILE), HOSTILE)})
    page = section_html(s)
    assert '<script' not in page and '<img' not in page and page.count('&lt;script') > 12

@pytest.mark.parametrize('inside', ['<script>1</script>', '<a href="https://x.y">z</a>', '<image href="x.png"/>', '<foreignObject><p/></foreignObject>', '<animate onbegin="x()"/>', '<g onclick="x()"/>', '<use href="https://x.y#z"/>', '<rect style="fill:url(//x.y/z)"/>',
    '<rect style="fill:image-set(&quot;x.png&quot; 1x)"/>', '<g style="cursor:image(x.png)"/>', '<rect style="fill:src(x)"/>', '<g style="position : fixed;inset:0"/>', '<rect fill="//x.y/z"/>',
    '<style>@import url(x)</style>', '<style>*{color:red}</style>', '<g style="background:\\75rl(x)"/>', '<title><img src="x"/></title>', '<!-- x -->', '<![CDATA[<script>]]>', '<?xml-stylesheet href="x"?>', '&x;', '<g>', '</svg><svg>', '<g/></svg><script>1</script><svg>'])
def test_pictures_that_could_run_or_load(inside):
    with pytest.raises(CortexError, match='picture'): check_svg(f'<svg>{inside}</svg>')

def test_pictures_of_the_house_pass():
    def draw(fig):
        ax = fig.subplots(); ax.plot([1, 2], [3, 4], 'o-', color=INK['c1'], label='a < b & "c"'); ax.fill_between([1, 2], [1, 1], [2, 2], alpha=.2, color=INK['c2']); ax.bar([1], [2], color=INK['good']); ax.legend(); ax.set_title('−1 ≤ x')
    svg = inline_svg(draw, 'a < b'); assert check_svg(svg) == svg and section(figures={'Skill': svg}).figures['Skill'] == svg

def test_long_tables_fold():
    t = check_table([dict(GOOD, horizon=i) for i in range(500)])
    page = folded_html(t, 'All', limit=200)
    assert page.count('<tr>') == 202 and '170 further lines' in page and '300 further figures' in page and figures_html(t[:3]).count('<tr>') == 4

def test_a_section_cannot_be_changed():
    s = section()
    with pytest.raises(Exception, match='cannot assign'): s.words = ('A great edge.',)
    assert s != section(words=['An edge.']) and s == section() and len({s, section()}) == 1

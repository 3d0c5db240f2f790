"""The review page in a real browser: keys, saving and reading back, hostile replies, no network, names, contrast, and how it looks.

It needs the `playwright` package and a Chromium or Chrome that is installed already; nothing is downloaded. CORTEX_CHROMIUM names the browser if it is not on the PATH, CORTEX_SHOTS a folder for screenshots."""
import json, os, random
from pathlib import Path
import pytest
from cortex.artifacts import CortexError
from cortex.review import key_path, make_review, read_review, review_table

HOSTILE = ['</script><script>window.stolen = 1</script>', '<img src="http://192.0.2.1/x.png" onerror="window.stolen = 2">', '"><svg onload=window.stolen=3>', '\'; window.stolen = 4; //', '<!-- <script>', ']]>\u2028window.stolen = 5',
           '\u202eתשובה\u202c עברית 2.59', 'العربية 12.5%', '${window.stolen = 6}', '\\u003cscript>window.stolen = 7\\u003c/script>', '\x00\x1b[31mred', '\ud800 half a pair', '&lt;b&gt; &amp;', 'W'*3000, 'x '*50_000]

def reply(i, text): return dict(task_id=f'{("market.forecast", "risk.var", "protocol.ratios")[i % 3]}:near:2025-03-{i+1:02}:7d', prompt=f'Question {i}: 1.04M [tx_count] </textarea><script>window.stolen = 8</script>', text=text)

A = [reply(i, f'{t} A{i}' if len(t) < 10_000 else t) for i, t in enumerate(HOSTILE)]
B = [reply(i, f'<think>1.04M [tx_count] / 402k [active_addresses] = 2.59</think>\n<answer>hold {i}</answer>') for i in range(len(HOSTILE))]

@pytest.fixture(scope='module')
def review(tmp_path_factory): return make_review(A, B, tmp_path_factory.mktemp('review')/'review.html', seed=4, names=('alpha', 'beta'))

@pytest.fixture(scope='module')
def key(review): return json.loads(key_path(review).read_text())

@pytest.fixture
def page(browser, review):
    "A fresh profile with the page open; whatever it asks for and whatever goes wrong in it is noted."
    context = browser.new_context(viewport=dict(width=1280, height=900), accept_downloads=True)
    page = context.new_page(); page.set_default_timeout(15_000)
    page.asked, page.faults = [], []
    page.on('request', lambda r: page.asked.append(r.url)); page.on('pageerror', lambda e: page.faults.append(str(e)))
    page.on('console', lambda m: page.faults.append(m.text) if m.type in ('error', 'warning') else None)
    page.goto(review.as_uri())
    yield page
    assert page.faults == []
    assert [u for u in page.asked if not u.startswith(('file:', 'blob:'))] == []
    assert page.evaluate('window.stolen') is None
    context.close()

def press(page, *keys):
    for k in keys: page.keyboard.press(k)
def place(page): return page.inner_text('#place')
def saved(page, tmp_path, how=lambda p: press(p, 's')):
    with page.expect_download() as got: how(page)
    got.value.save_as(tmp_path/got.value.suggested_filename)
    return tmp_path/got.value.suggested_filename

def test_a_review_by_keys_alone(page, review, key, tmp_path):
    "Answers by key, corrected by undo and arrows, kept over a reload, saved, read back, and counted for the right set."
    n = len(HOSTILE)
    assert place(page) == f'Pair 1 of {n}'
    press(page, 'ArrowLeft'); assert place(page) == f'Pair 1 of {n}'
    press(page, '1', '2', '0'); assert place(page) == f'Pair 4 of {n}'
    assert '3 of 15 answered' in page.inner_text('#status')
    press(page, 'u', 'u'); assert place(page) == f'Pair 2 of {n}' and '1 of 15 answered' in page.inner_text('#status')
    press(page, 'ArrowRight'); assert place(page) == f'Pair 3 of {n}'
    press(page, 'ArrowLeft', '1', 'ArrowLeft', '2', 'u'); assert page.get_attribute('#answer1', 'aria-pressed') == 'true'  # undo gives the earlier answer back
    press(page, 'n'); page.keyboard.type('1 2 s u: <b>keys</b> are text here'); press(page, 'Escape')
    page.fill('#reviewer', 'Ada L. <i>'); press(page, 'Escape')
    press(page, 'Control+2', 'Alt+1', 'x', 'Enter'); assert '2 of 15 answered' in page.inner_text('#status')
    page.reload()
    assert place(page) == f'Pair 2 of {n}' and '2 of 15 answered' in page.inner_text('#status') and page.input_value('#reviewer') == 'Ada L. <i>'
    press(page, 'u', 'ArrowLeft', *['ArrowRight']*30); assert place(page) == f'Pair {n} of {n}' and page.is_disabled('#next')
    press(page, *['ArrowLeft']*30)
    want = {}
    for item, x in key['items'].items():                       # prefer alpha, but once beta, and once neither
        want[item] = 'tie' if item == 'p3' else 'beta' if item == 'p5' else 'alpha'
        press(page, '0' if want[item] == 'tie' else str(x['names'].index(want[item]) + 1))
    assert 'All answered: press s to save.' in page.inner_text('#status')
    file = saved(page, tmp_path)
    assert file.name == f"review-{key['review']}-Ada-L-i-.json" and 'Saved as' in page.inner_text('#status') and 'press s' not in page.inner_text('#status')
    frame = read_review(file, key_path(review))
    assert dict(zip(frame['item'], frame.answer)) == want and set(frame.reviewer) == {'Ada L. <i>'}
    assert frame.note[frame['item'] == 'p2'].tolist() == ['1 2 s u: <b>keys</b> are text here']
    table = review_table(frame)
    assert (table.wins['all'], table.ties['all'], table.losses['all']) == (n - 2, 1, 1) and table.verdict['all'] == 'alpha preferred'

def test_mouse_help_and_forgetting(page, tmp_path):
    "Buttons do what keys do; help holds the keys back; forgetting asks first."
    page.click('text=Reply 2 is better'); assert place(page).startswith('Pair 2')
    press(page, 'Shift+?'); assert page.is_visible('#help')
    press(page, '1'); assert '1 of 15' in page.inner_text('#status')
    press(page, 'Escape'); assert not page.is_visible('#help')
    page.click('#back'); page.click('#next'); page.click('#undo'); assert '0 of 15' in page.inner_text('#status')
    press(page, '1')
    page.once('dialog', lambda d: d.dismiss()); page.click('#ask_help'); page.click('#clear'); assert '1 of 15' in page.inner_text('#status')
    page.once('dialog', lambda d: d.accept()); page.click('#clear'); assert '0 of 15' in page.inner_text('#status')
    page.reload(); assert '0 of 15' in page.inner_text('#status')
    file = saved(page, tmp_path, lambda p: p.click('#save'))
    assert json.loads(file.read_text())['answers'] == []

def test_replies_are_text(page, key):
    "Every hostile reply stands on the page letter by letter, and nothing of it runs; the long one is cut and says so; nothing on the page tells the sides."
    names, source = set(), page.content()
    for item, x in key['items'].items():
        i = [r['task_id'] for r in A].index(x['task_id']); at = x['names'].index('alpha') + 1; names.add(tuple(x['names']))
        shown = page.evaluate(f"document.getElementById('text{at}').textContent")
        if len(HOSTILE[i]) > 50_000: assert shown.endswith('[Cut here: the first 20,000 of 100,000 characters are shown.]') and len(shown) < 20_100
        elif not any(c in HOSTILE[i] for c in '\u202e\x00\u2028\ud800'): assert shown == A[i]['text']
        else: assert '[U+' in shown or '? half a pair' in shown
        assert page.evaluate(f"document.getElementById('text{at}').children.length") == 0
        assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
        press(page, 'ArrowRight')
    assert len(names) == 2                                     # both sides occur
    for hidden in ('alpha', 'beta', 'market.forecast', 'near:2025'): assert hidden not in source
    assert page.evaluate("document.querySelectorAll('script').length") == 2

def test_what_is_injected_does_not_run(page):
    "The page's policy stops scripts and requests even when they get into the document. (What the policy reports is no fault of the page.)"
    page.evaluate("() => { const s = document.createElement('script'); s.textContent = 'window.stolen = 9'; document.body.append(s); const i = new Image(); i.src = 'http://192.0.2.1/y.png'; document.body.append(i); }")
    page.wait_for_timeout(200)
    assert page.evaluate('window.stolen') is None and page.faults and all('Content Security Policy' in f for f in page.faults)
    page.faults.clear(); page.asked[:] = [u for u in page.asked if '192.0.2.1' not in u]

def test_spoilt_memory(page, review):
    "Whatever stands in the browser's memory, the page opens and counts only answers that exist; without memory it says so."
    store = page.evaluate('store')
    for text in ('{', '[]', '7', 'null', '{"at": 99, "answers": {"p1": {"answer": "9", "seconds": 1}, "q": {"answer": "1", "seconds": 1}}, "past": [1, null], "notes": 3, "reviewer": {}}', '{"past": 3, "answers": null, "at": -1}'):
        page.evaluate('([k, v]) => localStorage.setItem(k, v)', [store, text]); page.reload()
        assert place(page).startswith('Pair 1 of') and '0 of 15 answered' in page.inner_text('#status'), text
        press(page, '1'); assert '1 of 15 answered' in page.inner_text('#status'), text
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('refused'); }})"); page.reload()
    assert 'keeps nothing: save before you close' in page.inner_text('#status')
    press(page, '1'); assert '1 of 15 answered' in page.inner_text('#status')

ACCESSIBLE = '''() => {
  const bad = [], seen = e => e.getClientRects().length && getComputedStyle(e).visibility !== 'hidden';
  const name = e => (e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ').filter(Boolean).map(i => document.getElementById(i)?.textContent).join(' ') || [...(e.labels || [])].map(l => l.textContent).join(' ') || e.textContent).trim();
  for (const e of document.querySelectorAll('button, input, textarea, progress, section, dialog, [role=group]')) if (!name(e)) bad.push('no name: ' + e.outerHTML.slice(0, 80));
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id); if (new Set(ids).size < ids.length) bad.push('an id twice');
  if (!document.documentElement.lang || !document.title || document.querySelectorAll('h1').length !== 1 || document.querySelectorAll('main').length !== 1) bad.push('lang, title, h1 or main');
  if (!document.querySelector('[role=status]')) bad.push('no status line');
  const rgb = c => { const m = c.match(/[\\d.]+/g).map(Number); return {v: m.slice(0, 3), a: m.length > 3 ? m[3] : 1}; };
  const light = v => { const [r, g, b] = v.map(x => (x /= 255) <= .03928 ? x/12.92 : ((x + .055)/1.055)**2.4); return .2126*r + .7152*g + .0722*b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.a === 1) return c.v; } return [255, 255, 255]; };
  let least = 99;
  for (const e of document.querySelectorAll('body *')) {
    if (!seen(e) || !([...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || e.matches('input, textarea'))) continue;
    const a = light(rgb(getComputedStyle(e).color).v), b = light(ground(e)), ratio = (Math.max(a, b) + .05)/(Math.min(a, b) + .05);
    least = Math.min(least, ratio); if (ratio < 4.5) bad.push(`contrast ${ratio.toFixed(2)}: ` + e.outerHTML.slice(0, 80));
  }
  for (const e of document.querySelectorAll('button, input')) { const r = e.getBoundingClientRect(); if (seen(e) && r.height < 24) bad.push('too small to touch: ' + e.id); }
  if (document.documentElement.scrollWidth > innerWidth) bad.push(`wider than the window: ${document.documentElement.scrollWidth} > ${innerWidth}`);
  return {bad, least};
}'''

@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('width', [1280, 390])
def test_names_contrast_and_width(page, width, scheme):
    "Every control has a name, every text enough contrast, and nothing runs off a phone's screen; the tab key reaches everything."
    page.set_viewport_size(dict(width=width, height=844)); page.emulate_media(color_scheme=scheme)
    press(page, '2', 'ArrowLeft')
    for state in ('review', 'help'):
        if state == 'help': press(page, 'Shift+?')
        found = page.evaluate(ACCESSIBLE)
        assert found['bad'] == [] and found['least'] >= 4.5
        if folder := os.environ.get('CORTEX_SHOTS'): page.screenshot(path=Path(folder)/f'review-{width}-{scheme}-{state}.png')
    press(page, 'Escape')
    reached = set()
    for _ in range(20): press(page, 'Tab'); reached.add(page.evaluate('document.activeElement.id || document.activeElement.tagName'))
    assert {'reviewer', 'ask_help', 'SUMMARY', 'note', 'next', 'undo', 'save', 'answer0', 'answer1', 'answer2'} <= reached

def test_single_replies(browser, tmp_path):
    "One reply at a time, of both sets mixed; two people's files are read together."
    path = make_review(A[:4], B[:4], tmp_path/'singles.html', pairs=False, names=('alpha', 'beta'))
    key, files = json.loads(key_path(path).read_text()), []
    for who in ('Ada', 'Ben'):
        context = browser.new_context(accept_downloads=True); page = context.new_page(); page.set_default_timeout(15_000); page.goto(path.as_uri())
        assert place(page) == 'Reply 1 of 8' and page.query_selector('#card2') is None
        page.fill('#reviewer', who); press(page, 'Escape')
        for x in key['items'].values(): press(page, '1' if x['names'] == ['beta'] else '2')
        files.append(saved(page, tmp_path))
        if folder := os.environ.get('CORTEX_SHOTS'): page.screenshot(path=Path(folder)/f'review-singles-{who}.png')
        context.close()
    table = review_table(read_review(files, key_path(path)))
    assert table.good_rate['alpha', 'all'] == 0 and table.good_rate['beta', 'all'] == 1

def test_the_seed_says_nothing_about_the_sides(tmp_path):
    "Whichever set comes first, and whatever it is called, the page is the same to the byte; other seeds give other orders."
    pages = [make_review(*x, tmp_path/f'{i}.html', seed=s, names=n).read_bytes() for i, (x, s, n) in enumerate((((A, B), 0, ('alpha', 'beta')), ((B, A), 0, ('mine', 'yours')), ((A, B), 1, ('alpha', 'beta'))))]
    assert pages[0] == pages[1] != pages[2]

def test_the_sides_are_drawn_evenly(tmp_path):
    "Over many pairs each set stands first about as often, in every kind."
    a, b = ([dict(task_id=f'k{i % 4}:{i}', prompt='?', text=f'{t} {i}') for i in range(2000)] for t in ('up', 'down'))
    key = json.loads(key_path(make_review(a, b, tmp_path/'r.html', n=2000)).read_text())
    first = [x['names'][0] == 'a' for x in key['items'].values()]
    assert abs(sum(first) - 1000) < 4*22.4 and [x['kind'] for x in key['items'].values()][:4] != ['k0']*4

def test_a_place_that_cannot_be_written(tmp_path, review):
    "A folder in the way, or a key for a page that is not there, is named."
    (tmp_path/'x.html').mkdir()
    with pytest.raises(CortexError, match='x.html: .* could not be written'): make_review(A, B, tmp_path/'x.html')
    with pytest.raises(CortexError, match='none.json: cannot be read'): read_review(review, tmp_path/'none.json')

def test_files_damaged_at_random(tmp_path, review, key):
    "Bytes changed, cut or doubled anywhere in what was saved, or in the key: either it still reads, or one clear error says why not."
    rng, file = random.Random(0), tmp_path/'saved.json'
    whole = json.dumps(dict(format=1, review=key['review'], reviewer='Ada', saved='2025-03-01', answers=[dict(item=k, answer=rng.choice('012'), seconds=1.5, note='') for k in key['items']])).encode()
    keys, refused = key_path(review).read_bytes(), 0
    for i in range(400):
        text = bytearray((whole, keys)[i % 2])
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text))
            if (how := rng.randrange(3)) == 0: text[at] = rng.choice(b'"[]{}0129,:np\x00\xff\\')
            elif how == 1: del text[at:at + rng.randint(1, 40)]
            else: text[at:at] = text[at:at + rng.randint(1, 40)]
        (tmp_path/'key.json').write_bytes(text if i % 2 else keys); file.write_bytes(whole if i % 2 else text)
        try: review_table(read_review(file, tmp_path/'key.json'))
        except CortexError as e: refused += 1; assert len(str(e)) < 600 and '.json' in str(e)
    assert refused > 200

"""The built site in a real browser: search, dark mode, badges, diagrams, no page wider than a phone, nothing loaded from elsewhere, and what axe says.

It needs the `playwright` package and a Chromium or Chrome that is installed already; nothing is downloaded. CORTEX_CHROMIUM names the browser if it is not on the PATH, CORTEX_SHOTS a folder for screenshots.
In the ordinary run a small project is built and one page of each sort is looked at; CORTEX_SLOW=1 builds the whole site and opens every page, at desktop and phone width."""
import os, shutil, subprocess, sys, threading, time
from pathlib import Path
import nbformat, pytest
from nbformat import v4
from cortex.docs import build_docs, check_site, diagram_file, serve_docs

ROOT = Path(__file__).resolve().parents[1]
SLOW = pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='slow: set CORTEX_SLOW=1')
RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']
FLOW = 'flowchart LR\n  accTitle: Two steps\n  accDescr: Data lead to cases.\n  data --> cases\n'
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="90"><rect width="1200" height="90" fill="#ddd"/></svg>\n'

def small_project(folder):
    "A page with everything that is hard to fit: a wide table, a wide frame, long code, a long word, a diagram, a verified reply."
    import pandas as pd
    from cortex.verify import verify
    md, code = v4.new_markdown_cell, v4.new_code_cell
    def shown(source, obj): return code(source, outputs=[v4.new_output('execute_result', {'text/html': obj._repr_html_(), 'text/plain': 'x'}, execution_count=1)])
    def write(name, *cells): nbformat.write(v4.new_notebook(cells=list(cells)), folder/'nbs'/name)
    (folder/'nbs'/'diagrams').mkdir(parents=True)
    (folder/'nbs'/diagram_file(FLOW)).write_text(SVG)
    write('index.ipynb', md('# toy\n\n> a toy'), md('See [things](00_thing.ipynb#double).'))
    write('00_thing.ipynb', md('# Things\n\n> what they are'), code('#| default_exp thing'), code('#| export\ndef double(\n    x:int, # any\n)->int:\n    "Double a number."\n    return 2*x'),
          md('A long name: `' + 'x'*200 + '`\n\n| ' + ' | '.join(f'column {i}' for i in range(14)) + ' |\n' + '|---'*14 + '|\n| ' + ' | '.join(f'value {i}' for i in range(14)) + ' |'),
          shown('frame', pd.DataFrame({f'a_long_name_{i}': [1.5, 2.5] for i in range(12)})), code('print("' + 'word '*80 + '")', outputs=[v4.new_output('stream', name='stdout', text='word '*80)]),
          shown('verify(...)', verify('1.04M [tx_count] / 402k [active_addresses] = 2.59, against 1.9 a year ago', dict(tx_count=1_040_000, active_addresses=402_000))),
          md(f'The steps:\n\n```mermaid\n{FLOW}```'))
    (folder/'settings.ini').write_text('[DEFAULT]\nrepo = toy\nlib_name = toy\nversion = 0.1\nuser = toy\nauthor = toy\nbranch = main\nlib_path = toy\nnbs_path = nbs\n'
        'skip_procs = exec_show_docs,clean_magics\nprocs = cortex.docs:ApiCards cortex.docs:ColabBadge cortex.docs:Diagrams cortex.docs:ApiIndex\n')
    (folder/'_quarto.yml').write_text('website: {title: toy, description: a toy, site-url: "https://toy.org/toy", repo-url: "https://github.com/toy/toy", repo-branch: main, '
        'sidebar: {contents: [{section: Start, contents: [index.ipynb]}, {section: Pipeline, contents: [00_thing.ipynb]}]}}')
    subprocess.run([sys.executable, '-c', 'import nbdev; nbdev.nbdev_export.__wrapped__()'], cwd=folder, check=True, env={k: v for k, v in os.environ.items() if k != 'IN_TEST'})
    return build_docs(root=folder)

@pytest.fixture(scope='module', params=['small', pytest.param('whole', marks=SLOW)])
def site(request, tmp_path_factory):
    "A built site, served on this machine: its address, its folder, and the pages to look at."
    folder = tmp_path_factory.mktemp('site')
    if request.param == 'small': built = small_project(folder)
    else:
        for name in ('nbs', 'cortex', 'settings.ini', '_quarto.yml', 'README.md', 'LICENSE', 'CONTRIBUTING.md', 'tests', 'deploy', '.github', 'constraints.txt', 'Makefile'):
            (shutil.copytree if (ROOT/name).is_dir() else shutil.copy)(ROOT/name, folder/name)
        for f in ROOT.iterdir():
            if f.is_file() and not (folder/f.name).exists(): shutil.copy(f, folder)
        started = time.monotonic(); built = build_docs(root=folder); took = time.monotonic() - started
        assert took < 120 * max(1, os.getloadavg()[0]/(os.cpu_count() or 1)), f'the site took {took:.0f} s'
    server = serve_docs(built)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.url, built, sorted(p.relative_to(built).as_posix() for p in built.rglob('*.html') if p.name != '404.html')
    server.shutdown(); server.server_close()

def main_pages(pages): return [p for p in ('index.html', 'start/map.html', 'thing.html', 'verify.html', 'report.html', 'reference/names.html', 'reference/commands.html', 'magics.html') if p in pages]

def visit(browser, url, page='', **context):
    c = browser.new_context(**dict(viewport=dict(width=1280, height=900)) | context)
    p = c.new_page(); p.set_default_timeout(60_000)
    p.asked, p.faults = [], []
    p.on('request', lambda r: p.asked.append(r.url)); p.on('pageerror', lambda e: p.faults.append(str(e)))
    p.on('console', lambda m: p.faults.append(m.text) if m.type == 'error' else None)
    p.goto(url + page)
    return p

def overflow(page): return page.evaluate('document.scrollingElement.scrollWidth - document.documentElement.clientWidth')

def shot(page, name):
    if folder := os.environ.get('CORTEX_SHOTS'): page.screenshot(path=Path(folder)/f'site-{name}.png')

def test_no_link_or_anchor_is_broken(site): assert check_site(site[1]) == []

@pytest.mark.parametrize('width', [1280, 390])
def test_every_page_opens_and_fits(browser, site, width):
    "No script error, nothing from another server, no page wider than the screen, every picture drawn."
    url, _, pages = site
    page, bad = visit(browser, url, viewport=dict(width=width, height=900)), []
    for name in pages:
        page.goto(url + name)
        shot(page, f"{name.replace('/', '-')}-{width}")
        if (over := overflow(page)) > 1: bad.append(f'{name}: {over} px too wide')
        if broken := page.evaluate('[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)'): bad.append(f'{name}: not drawn: {broken}')
        if not page.title() or page.locator('h1').count() != 1: bad.append(f"{name}: {page.locator('h1').count()} main headings")
    assert bad == [] and page.faults == [] and [u for u in page.asked if not u.startswith((url, 'data:', 'blob:'))] == []
    page.context.close()

@pytest.mark.parametrize('width, scheme', [(1280, 'light'), (390, 'dark'), pytest.param(1280, 'dark', marks=SLOW), pytest.param(390, 'light', marks=SLOW)])
def test_axe_has_no_serious_objection(browser, site, width, scheme):
    axe = pytest.importorskip('axe_playwright_python.sync_playwright', reason='axe is not installed: pip install axe-playwright-python').Axe()
    url, _, pages = site
    bad = []
    for name in main_pages(pages):
        page = visit(browser, url, name, viewport=dict(width=width, height=900), color_scheme=scheme, reduced_motion='reduce'); page.wait_for_timeout(300)
        found = axe.run(page, options=dict(resultTypes=['violations'], runOnly=RULES))
        bad += [(name, v['id'], v['impact'], v['nodes'][0]['html'][:160], v['nodes'][0].get('failureSummary', '')[:240]) for v in found.response['violations'] if v['impact'] in ('serious', 'critical')]
        shot(page, f"{name.replace('/', '-')}-{width}-{scheme}"); page.context.close()
    assert bad == []

def test_search_finds_a_function(browser, site):
    url, _, pages = site
    word, place = ('double', 'thing.html') if 'thing.html' in pages else ('verify', 'verify.html')
    page = visit(browser, url)
    page.keyboard.press('/'); page.keyboard.type(word)
    page.wait_for_selector('.md-search-result__link')
    page.wait_for_function(f"[...document.querySelectorAll('.md-search-result__link')].some(a => a.href.includes('{place}'))")
    shot(page, 'search'); page.context.close()

def test_dark_mode_is_a_press_away_and_remembered(browser, site):
    page = visit(browser, site[0])
    scheme = lambda: page.evaluate("document.body.getAttribute('data-md-color-scheme')")
    first = scheme()
    page.locator('label[for^=__palette]:visible').first.click()
    page.wait_for_function(f"document.body.getAttribute('data-md-color-scheme') !== '{first}'")
    page.reload(); page.wait_for_load_state()
    assert scheme() != first
    page.context.close()

def test_a_page_leads_to_colab_and_to_its_source(browser, site):
    url, _, pages = site
    name = 'thing.html' if 'thing.html' in pages else 'verify.html'
    page = visit(browser, url, name)
    links = page.eval_on_selector_all('a.badge', 'xs => xs.map(x => x.href)')
    assert len(links) == 2 and 'colab.research.google.com/github/' in links[0] and links[0].endswith('.ipynb') and links[1].startswith('https://github.com/')
    if name == 'verify.html': assert page.eval_on_selector_all('article a', "xs => xs.some(x => x.textContent.trim() === 'source' && /#L\\d+$/.test(x.href))")
    page.context.close()

def test_pages_work_from_the_disk(browser, site):
    "Without a server, style and search are there."
    _, built, pages = site
    page = visit(browser, (built/'index.html').as_uri())
    assert page.evaluate("getComputedStyle(document.querySelector('.md-header')).position") == 'sticky'
    page.keyboard.press('/'); page.keyboard.type('double' if 'thing.html' in pages else 'verify')
    page.wait_for_selector('.md-search-result__link')
    page.context.close()

def test_a_report_has_no_serious_objection(browser, tmp_path):
    "The report of a run is a page too."
    axe = pytest.importorskip('axe_playwright_python.sync_playwright', reason='axe is not installed: pip install axe-playwright-python').Axe()
    report = next(iter(sorted(ROOT.glob('runs/*/report.html'))), None)
    if report is None: pytest.skip('no report in runs/: make run ARGS="--size tiny" makes one')
    for width in (1280, 390):
        page = visit(browser, report.as_uri(), viewport=dict(width=width, height=900))
        found = axe.run(page, options=dict(resultTypes=['violations'], runOnly=RULES))
        assert [(v['id'], v['nodes'][0]['html'][:160]) for v in found.response['violations'] if v['impact'] in ('serious', 'critical')] == []
        assert overflow(page) <= 1
        page.context.close()

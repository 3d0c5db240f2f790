"The site is made from the notebooks, and refused when something in them is broken; the refusal names notebook and cell."
import base64, json, os, re, shutil, subprocess, sys, threading, urllib.request
from pathlib import Path
import nbformat, pytest
from nbformat import v4
from cortex.artifacts import CortexError
from cortex.docs import (ColabBadge, build_docs, check_docs, check_notebook, check_sidebar, check_site, diagram_file, diagram_text, make_readme, mermaid_of, read_site,
                         run_notebook, serve_docs)

ROOT = Path(__file__).resolve().parents[1]
PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
NOTEBOOKS = sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if not any(x[0] in '._' for x in p.relative_to(ROOT).parts))

def write(path, *cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=list(cells)), path)
    return path

md, code = v4.new_markdown_cell, v4.new_code_cell
def picture(source): return code(source, outputs=[v4.new_output('display_data', {'image/png': PNG})])

@pytest.fixture
def toy(tmp_path):
    "A project of three notebooks, one with a module."
    write(tmp_path/'nbs'/'index.ipynb', md('# toy\n\n> a toy'), md('See [things](00_thing.ipynb#double) and [more](tutorials/more.ipynb).'))
    write(tmp_path/'nbs'/'00_thing.ipynb', md('# Things\n\n> what they are'), code('#| default_exp thing'), code('#| export\ndef double(\n    x:int, # any\n)->int:\n    "Double a number."\n    return 2*x'),
          code('double(2)', outputs=[v4.new_output('execute_result', {'text/plain': '4'}, execution_count=1)]), picture('#| fig-alt: one red dot\nplot()'),
          code('excerpt()', outputs=[v4.new_output('display_data', {'text/html': '<p id="in"><a href="#in">kept</a> <a href="#s-gone">not shown here</a></p>'})]))
    write(tmp_path/'nbs'/'tutorials'/'more.ipynb', md('# More\n\n> of it'), md('Back to [things](../00_thing.ipynb).'))
    (tmp_path/'settings.ini').write_text('[DEFAULT]\nrepo = toy\nlib_name = toy\nversion = 0.1\nuser = toy\nauthor = toy\nbranch = main\nlib_path = toy\nnbs_path = nbs\nrecursive = True\n'
        'skip_procs = exec_show_docs,clean_magics\nprocs = cortex.docs:ApiCards cortex.docs:ColabBadge cortex.docs:Diagrams cortex.docs:ApiIndex\n')
    (tmp_path/'_quarto.yml').write_text('website: {title: toy, description: a toy, site-url: "https://toy.org/toy", repo-url: "https://host.org/toy/toy", repo-branch: main, '
        'sidebar: {contents: [{section: Start, contents: [index.ipynb]}, {section: Pipeline, contents: [00_thing.ipynb]}, {section: Tutorials, contents: [tutorials/more.ipynb]}]}}')
    subprocess.run([sys.executable, '-c', 'import nbdev; nbdev.nbdev_export.__wrapped__()'], cwd=tmp_path, check=True, env={k: v for k, v in os.environ.items() if k != 'IN_TEST'})
    return tmp_path

def change(path, i, cell):
    nb = nbformat.read(path, 4); nb.cells[i] = cell; nbformat.write(nb, path)

def test_a_toy_project_becomes_a_site(toy):
    site = build_docs(root=toy)
    page = (site/'thing.html').read_text()
    assert 'Double a number.' in page and 'alt="one red dot"' in page
    assert '<a href="#in">kept</a>' in page and '#s-gone' not in page and 'not shown here' in page   # an excerpt of a page links to what it does not show
    assert 'https://colab.research.google.com/github/toy/toy/blob/main/nbs/00_thing.ipynb' in page
    assert 'href="../thing.html"' in (site/'tutorials'/'more.html').read_text()
    assert 'href="thing.html#double"' in (site/'index.html').read_text()
    assert 'Double a number' in (site/'search'/'search_index.json').read_text()
    assert check_site(site) == []
    before = (site/'index.html').read_bytes()
    change(toy/'nbs'/'index.ipynb', 1, md('See [things](00_thing.ipynb#triple).'))
    with pytest.raises(CortexError) as e: build_docs(root=toy)
    assert 'nbs/index.ipynb, cell 2 ("See [things](00_thing.ipynb#triple).")' in str(e.value) and 'thing.md#triple' in str(e.value)
    assert (site/'index.html').read_bytes() == before

ERROR = v4.new_output('error', ename='ZeroDivisionError', evalue='division by zero')
@pytest.mark.parametrize('cell, complaint', [
    (picture('plot()'), 'cell 2 ("plot()"): a picture without alt text'),
    (picture('#| fig-alt: ""\nplot()'), 'a picture without alt text'),
    (code('1/0', outputs=[ERROR]), 'cell 2 ("1/0"): failed when it was last run: ZeroDivisionError: division by zero'),
    (code('def f(:'), 'cell 2 ("def f(:"): line 1: '),
    (code('x', outputs=[v4.new_output('display_data', {'text/html': '<img src="data:image/png;base64,x">'})]), 'an <img> without alt text'),
    (code('x', outputs=[v4.new_output('display_data', {'text/html': '<p><svg viewBox="0 0 1 1"><path d="M0 0"/></svg>'})]), 'an <svg> without aria-label or title'),
    (md('![](../LICENSE)'), 'cell 2 ("![](../LICENSE)"): a picture without alt text'),
    (md('[gone](no_such.ipynb#x)'), 'a link to no_such.ipynb#x, which is not there'),
    (md('```mermaid\nflowchart LR\n  a --> b\n```'), 'a diagram without accTitle and accDescr'),
    (md('```mermaid\nflowchart LR\n  accTitle: t\n  accDescr: d\n  a --> b\n```'), 'a diagram that was not drawn'),
])
def test_a_fault_is_named_with_notebook_and_cell(tmp_path, cell, complaint):
    path = write(tmp_path/'nbs'/'05_bad.ipynb', md('# Bad'), cell)
    faults = check_notebook(path, tmp_path)
    assert any(x.startswith('nbs/05_bad.ipynb, cell 2') and complaint in x for x in faults), faults

@pytest.mark.parametrize('cell', [picture('#| fig-alt: what it shows\nplot()'), picture('#| hide\nplot()'), code('%load_ext cortex'), code('%%ask\nWhat?'), code('!ls'), code('await f()'),
                                  md('`[x](gone.md)`\n\n```\n![](x)\n```'), md('[out](https://example.org/x) [here](#part) ![said](05_good.ipynb)'),
                                  code('1/0', outputs=[ERROR], metadata=dict(tags=['raises-exception']))])
def test_what_is_fine_is_not_complained_about(tmp_path, cell):
    assert check_notebook(write(tmp_path/'nbs'/'05_good.ipynb', md('# Good'), cell), tmp_path) == []

@pytest.mark.parametrize('text', ['', '{', '[]', '{"cells": 3}', '<html>', '\x00'])
def test_what_is_no_notebook_is_named(tmp_path, text):
    (tmp_path/'x.ipynb').write_text(text)
    assert check_notebook(tmp_path/'x.ipynb', tmp_path)[0].startswith('x.ipynb: ')

def test_a_notebook_that_fails_is_named_with_its_cell(toy):
    path = write(toy/'nbs'/'06_fails.ipynb', md('# Fails'), code('x = 1'), code('#| gpu\nno_such'), code('x / 0'))
    with pytest.raises(CortexError, match=r'nbs/06_fails.ipynb, cell 4 \("x / 0"\): ZeroDivisionError'): run_notebook(path, toy)

def test_without_the_tools_one_line_says_what_to_install(tmp_path):
    code = ("import sys, importlib.util as u; real = u.find_spec\n"
            "u.find_spec = lambda n, *a: None if n in ('mkdocs', 'material', 'nbdev') else real(n, *a)\n"
            "from cortex.docs import build_docs\nbuild_docs()")
    p = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert p.returncode and "made with mkdocs, mkdocs-material, nbdev, not installed here" in p.stderr.splitlines()[-1] and '.[dev]' in p.stderr

def test_groups_and_notebooks_agree():
    "The site's five groups hold every notebook once."
    contents = read_site(ROOT)['sidebar']['contents']
    assert [x['section'] for x in contents if x['section'] in ('Start', 'Pipeline', 'Tutorials', 'Explanations', 'Reference')] == [x['section'] for x in contents]
    assert check_sidebar(contents, [p.relative_to(ROOT/'nbs').as_posix() for p in NOTEBOOKS]) == []

@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_makes_a_good_page(path):
    assert check_notebook(path, ROOT) == []

def test_every_diagram_is_drawn_and_none_is_left_over():
    wanted = {diagram_file(s) for p in NOTEBOOKS for s in mermaid_of(p)}
    assert {f'diagrams/{p.name}' for p in (ROOT/'nbs'/'diagrams').glob('*.svg')} == wanted != set()
    for f in wanted:
        svg = (ROOT/'nbs'/f).read_text(encoding='utf-8')
        assert svg.startswith('<svg') and not re.search(r'<script|foreignObject|href="http|url\(http', svg)
        assert all(diagram_text(s) for p in NOTEBOOKS for s in mermaid_of(p))

def test_serving(tmp_path):
    with pytest.raises(CortexError, match='cortex docs build'): serve_docs(tmp_path)
    (tmp_path/'index.html').write_text('<p>here')
    server = serve_docs(tmp_path)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert server.server_address[0] == '127.0.0.1'
        with urllib.request.urlopen(server.url) as r: assert r.read() == b'<p>here'
        with pytest.raises(CortexError, match='Take another one'): serve_docs(tmp_path, server.server_port)
    finally: server.shutdown(); server.server_close()

WORKFLOWS = sorted((ROOT/'.github'/'workflows').glob('*.yml'))
@pytest.mark.parametrize('path', WORKFLOWS, ids=lambda p: p.stem)
def test_workflows(path):
    "Each job has a machine, few rights, pinned actions, and calls only what is in the repository."
    import yaml
    flow = yaml.safe_load(path.read_text())
    assert flow['permissions'] == {'contents': 'read'} and flow[True]   # YAML reads the key `on` as true
    commands = {m[1] for m in re.finditer(r'^(\w+):.*##', (ROOT/'Makefile').read_text(), re.M)} | {'dev', 'train'}
    for name, job in flow['jobs'].items():
        assert job['runs-on'] and job['steps'], name
        assert set(job.get('needs', '').split()) <= set(flow['jobs'])
        for s in job['steps']:
            assert ('uses' in s) != ('run' in s), (name, s)
            if 'uses' in s: assert re.fullmatch(r'[\w.-]+/[\w./-]+@[\w./-]+', s['uses'])
            for target in re.findall(r'^\s*make (\w+)', s.get('run', ''), re.M): assert target in commands
            for script in re.findall(r'^\s*(\.\w+/\w+)\s*$', s.get('run', ''), re.M): assert os.access(ROOT/script, os.X_OK)

def test_there_is_a_workflow_for_each_task(): assert {'test', 'docs', 'release'} <= {p.stem for p in WORKFLOWS}

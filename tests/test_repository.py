"What is made from the notebooks is what is in the repository, and the notebooks keep their order."
import json, os, re, shutil, subprocess, sys, tempfile
from pathlib import Path
import pytest

ROOT = Path(__file__).resolve().parents[1]
HAND_WRITTEN, GENERATED = {'__init__'}, {'_modidx'}

def notebooks():
    return sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if not any(x[0] in '._' for x in p.relative_to(ROOT).parts))

def cells(path, kind='code'):
    return [''.join(c['source']) for c in json.loads(path.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == kind]

def default_exp(path):
    found = re.findall(r'^#\|\s*default_exp\s+(\S+)', '\n'.join(cells(path)), re.M)
    return found[0] if found else None

def modules():
    "Module name -> its notebook"
    return {m: p for p in notebooks() if (m := default_exp(p))}

def tracked():
    "Files that git knows or would add; outside a checkout there is nothing to ask."
    p = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '-z'], cwd=ROOT, capture_output=True)
    if p.returncode: pytest.skip('not a git checkout')
    return [f for n in p.stdout.decode().split('\0') if n and (f := ROOT/n).is_file() and not f.is_symlink()]

def python(code, **kw):
    "Run Python in a fresh process from the repository's root."
    p = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=120, **kw)
    assert p.returncode == 0, p.stderr
    return p.stdout.strip()

@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    "A copy of the project in which every notebook was exported and cleaned again."
    copy = tmp_path_factory.mktemp('export')
    for name in ('nbs', 'cortex'):
        shutil.copytree(ROOT/name, copy/name, symlinks=True, ignore=shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints'))
    shutil.copy(ROOT/'settings.ini', copy)
    for f in (copy/'cortex').glob('*.py'):
        if f.stem not in HAND_WRITTEN: f.unlink()
    for tool in ('nbdev_export', 'nbdev_clean'):
        code = f"from nbdev.cli import nbdev_export; from nbdev.clean import nbdev_clean; {tool}.__wrapped__()"
        p = subprocess.run([sys.executable, '-c', code], cwd=copy, capture_output=True, text=True, timeout=120)
        assert p.returncode == 0, p.stderr
    return copy

def test_no_export_drift(exported):
    here, made = ({p.name: p.read_text(encoding='utf-8') for p in (d/'cortex').glob('*.py')} for d in (ROOT, exported))
    assert sorted(here) == sorted(made), 'modules and notebooks differ: run make export'
    assert [n for n in made if here[n] != made[n]] == [], 'edited by hand, or the notebook was not exported: run make export'

def test_no_clean_drift(exported):
    dirty = [p.name for p in notebooks() if p.read_bytes() != (exported/p.relative_to(ROOT)).read_bytes()]
    assert dirty == [], 'notebook metadata to be cleaned: run make export'

def test_one_notebook_per_module():
    names = [m for p in notebooks() if (m := default_exp(p))]
    assert sorted(names) == sorted(set(names)), 'two notebooks export to one module: the second overwrites the first'
    files = {p.stem for p in (ROOT/'cortex').glob('*.py')} - HAND_WRITTEN - GENERATED
    assert files == set(names)

def test_module_is_named_like_its_notebook():
    assert [p.name for m, p in modules().items() if not re.fullmatch(rf'\d\d[a-z]?_{m}', p.stem)] == []

def test_imports_come_from_lower_numbers():
    order = {m: re.match(r'\d\d[a-z]?', p.stem)[0] for m, p in modules().items()}
    wrong = []
    for m, p in modules().items():
        for used in re.findall(r'^\s*(?:from|import)\s+cortex\.(\w+)', '\n'.join(cells(p)), re.M):
            if used not in order: wrong.append(f'{p.name} imports cortex.{used}, which no notebook exports')
            elif order[used] > order[m]: wrong.append(f'{p.name} imports cortex.{used}, which comes later ({order[used]})')
    assert wrong == []

def test_exported_code_does_not_import_its_own_module():
    bad = [p.name for m, p in modules().items() for c in cells(p)
           if re.search(r'^#\|\s*exports?\b', c, re.M) and re.search(rf'^\s*(from|import)\s+cortex\.{m}\b', c, re.M)]
    assert bad == []

@pytest.mark.parametrize('module', ['cortex', 'cortex.pipeline', 'cortex.command'])
def test_import_is_light(module):
    "Starting the command must not wait for libraries that only some stages need."
    loaded = python(f"import sys, {module}; print(*{{m.split('.')[0] for m in sys.modules}})").split()
    heavy = {'torch', 'transformers', 'trl', 'peft', 'datasets', 'pandas', 'numpy', 'pyarrow', 'scipy', 'matplotlib', 'scoringrules', 'httpx', 'stamina', 'nbdev', 'fastcore'}
    assert heavy & set(loaded) == set()

def test_runtime_does_not_need_the_development_tools():
    bad = [f'{p.name}: {x}' for p in (ROOT/'cortex').glob('*.py') if p.stem not in GENERATED | {'docs'}
           for x in re.findall(r'^\s*(?:from|import)\s+(?:nbdev|fastcore|execnb|pytest)\b.*', p.read_text(encoding='utf-8'), re.M)]
    assert bad == []

def test_readme_is_made_from_the_index():
    from cortex.docs import make_readme
    assert (ROOT/'README.md').read_text(encoding='utf-8') == make_readme(write=False), 'run make docs'

@pytest.mark.parametrize('name', ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'CODE_OF_CONDUCT.md'])
def test_relative_links_lead_somewhere(name):
    text = re.sub(r'```.*?```', '', (ROOT/name).read_text(encoding='utf-8'), flags=re.S)
    links = [u.split('#')[0] for u in re.findall(r'\]\(([^)\s]+)\)', text) if not re.match(r'[a-z]+:|#', u)]
    assert [u for u in links if not (ROOT/u).exists()] == []

def test_no_paths_of_one_machine():
    places = {str(ROOT), str(Path.home()), tempfile.gettempdir()} - {'/'}
    pattern = re.compile(r'(?<![\w.:/-])(?:' + '|'.join(map(re.escape, places)) + r'|/(?:home|Users|root)/\w+)/[\w.]')
    hits = []
    for f in tracked():
        try: lines = f.read_text(encoding='utf-8').splitlines()
        except UnicodeDecodeError: continue
        hits += [f'{f.relative_to(ROOT)}:{i}: {line.strip()[:120]}' for i, line in enumerate(lines, 1) if pattern.search(line)]
    assert hits == []

def test_no_secrets_are_tracked():
    assert [f.name for f in tracked() if f.name == '.env'] == []
    empty = re.findall(r'^([A-Z_]+)=(.*)$', (ROOT/'.env.example').read_text(), re.M)
    assert dict(empty) == dict.fromkeys('OPENROUTER_API_KEY DEEPSEEK_API_KEY CORTEX_TEACHER_KEY COINGECKO_API_KEY NEARBLOCKS_API_KEY FLIPSIDE_URL FLIPSIDE_API_KEY WANDB_API_KEY HF_TOKEN'.split(), '')

def test_site_lists_every_notebook():
    text = (ROOT/'_quarto.yml').read_text(encoding='utf-8')
    listed = re.findall(r'^\s*- (\S+\.ipynb)\s*$', text, re.M)
    assert sorted(listed) == sorted(p.relative_to(ROOT/'nbs').as_posix() for p in notebooks())
    assert os.readlink(ROOT/'nbs'/'_quarto.yml') == '../_quarto.yml'

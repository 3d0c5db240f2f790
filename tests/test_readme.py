"What the README, the pages and the contributor's guide tell people to type exists, with those options."
import json, re, shlex, subprocess, sys
from pathlib import Path
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*(ROOT/n for n in ('README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md')), *sorted((ROOT/'nbs').rglob('*.ipynb'))]
PAGES = [p for p in PAGES if not any(x[0] == '.' for x in p.relative_to(ROOT).parts)]

def prose(path):
    text = path.read_text(encoding='utf-8')
    if path.suffix != '.ipynb': return text
    return '\n\n'.join(''.join(c['source']) for c in json.loads(text)['cells'] if c['cell_type'] == 'markdown')

def typed(text, word):
    "List the lines of a text that call a command: lines of fences, and whole spans of code."
    fences, rest = re.findall(r'```\w*\n(.*?)```', text, re.S), re.sub(r'```.*?```', '', text, flags=re.S)
    lines = [x.strip().removeprefix('.venv/bin/') for f in fences for x in f.replace('\\\n', ' ').splitlines()] + re.findall(r'`([^`\n]+)`', rest)
    return list(dict.fromkeys(x.split(' #')[0].strip() for x in lines if re.match(rf'{word} (?!\.\.\.)', x)))

def complaint(app, line):
    "Say why the command would refuse a line, or nothing. Nothing is run. A line of prose may leave out what must be given, and end in an option without its value."
    words = shlex.split(line)[1:]
    while hasattr(app, 'commands') and words and words[0][0] != '-':
        if words[0] not in app.commands: return f'no command {words[0]!r}'
        app = app.commands[words.pop(0)]
    if '...' in words or words[-1:] == ['--help']: return ''
    try: app.make_context('cortex', words)
    except Exception as e:
        said = str(getattr(e, 'message', e))
        if type(e).__name__ in ('NoSuchOption', 'BadParameter') or 'unexpected extra' in said: return said
    return ''

@pytest.fixture(scope='module')
def app():
    from typer.main import get_command
    from cortex.command import app
    return get_command(app)

def test_every_command_in_words_would_be_taken(app):
    "A renamed command or option is found on every page that still has its old name."
    lines = {(p.relative_to(ROOT).as_posix(), x) for p in PAGES for x in typed(prose(p), 'cortex')}
    assert len(lines) > 100
    assert sorted(f'{p}: {x}: {bad}' for p, x in lines if (bad := complaint(app, x))) == []

@pytest.mark.parametrize('line, bad', [('cortex run --chains near', 'No such option'), ('cortex fetsch', "no command 'fetsch'"), ('cortex data fetch --chains near --days many', 'valid integer'), ('cortex data status now', 'unexpected extra'), ('cortex run --data', ''), ('cortex sft ... --dry-run', '')])
def test_a_wrong_line_is_noticed(app, line, bad):
    assert bad in complaint(app, line) if bad else complaint(app, line) == ''

def test_every_make_target_in_words_is_there():
    targets = set(re.findall(r'^([a-z]+):.*?##', (ROOT/'Makefile').read_text(), re.M)) | {'dev'}
    assert {x.split()[1] for p in PAGES[:2] for x in typed(prose(p), 'make')} <= targets

def test_the_readme_can_be_read_without_its_repository():
    "Where the package is listed no file of the repository is at hand: links are addresses there."
    p = subprocess.run([sys.executable, 'setup.py', '--long-description'], cwd=ROOT, capture_output=True, text=True, timeout=120)
    links = re.findall(r'\]\(([^)\s]+)\)', re.sub(r'```.*?```', '', p.stdout, flags=re.S))
    assert len(links) > 80 and [x for x in links if not re.match(r'https://|#', x)] == []
    assert [x for x in links if x.endswith('.svg')] == ['https://raw.githubusercontent.com/cortex-1/cortex-1/main/nbs/images/reply.svg']

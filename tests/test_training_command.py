"`cortex sft`, `cortex grpo` and `cortex sweep` as a user calls them, with the tiny model."
import json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest

CORTEX = [sys.executable, '-c', 'from cortex.command import app; app()']
TINY = ('--size', 'tiny', '--set', 'max_tokens=1000', '--set', 'lr=1e-2')

def cortex(*args, cwd=None, code=0):
    r = subprocess.run([*CORTEX, *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=400)
    assert r.returncode == code, r.stdout + r.stderr
    return r.stdout + r.stderr

@pytest.fixture(scope='module')
def place(tmp_path_factory):
    "Write a small dataset as `cortex synthesize` lays it out, and train a tiny model on it."
    from cortex.dataset import save_dataset, to_sft
    from cortex.synthesis import synthesize
    from cortex.tasks import Task
    from cortex.training import simulated_rows
    path = tmp_path_factory.mktemp('training')
    rows, held = simulated_rows('grpo', 64)
    sft = {part: to_sft(tasks := [Task.from_json(r['task']) for r in rr], synthesize(tasks)) for part, rr in (('train', rows), ('validation', held))}
    save_dataset(path/'set', dict(sft=sft, grpo=dict(train=rows)))
    said = cortex('sft', *TINY, '--rows', 'set', '--out', 'taught', '--set', 'epochs=4', '--set', 'eval_every=8', cwd=path)
    assert '64 rows of set, 16 more to validate on' in said and '32 of 32 steps' in said and said.count('eval_loss') == 4, said
    assert said.index('memory') < said.index('step    3'), 'the plan stands before the first step'
    return path

def test_a_finished_training_is_not_done_again(place):
    before = (place/'taught'/'adapter'/'adapter_model.safetensors').read_bytes()
    said = cortex('sft', *TINY, '--rows', 'set', '--out', 'taught', '--set', 'epochs=4', '--set', 'eval_every=8', cwd=place)
    assert '32 of 32 steps' in said and 'tokens_per_s' not in said
    assert (place/'taught'/'adapter'/'adapter_model.safetensors').read_bytes() == before
    assert 'recipe' in cortex('sft', *TINY, '--rows', 'set', '--out', 'taught', '--set', 'epochs=5', cwd=place, code=2)

def start(place, *args):
    "Start a training and wait for its third step."
    p = subprocess.Popen([*CORTEX, *map(str, args)], cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = ''
    for line in p.stdout:
        said += line
        if line.startswith('step    3'): return p, said
    raise AssertionError(said)

def test_leaving_when_told_and_going_on(place):
    args = ('sft', *TINY, '--rows', 'set', '--model', place/'taught.model', '--out', 'told', '--set', 'max_steps=24', '--verbose')
    for sign, code, word in ((signal.SIGTERM, 75, 'cortex: '), (signal.SIGINT, 130, 'the same command goes on')):
        p, said = start(place, *args) if sign == signal.SIGTERM else start(place, *args, '--no-resume')
        p.send_signal(sign); rest = p.communicate(timeout=240)[0]
        assert p.returncode == code, said + rest
        assert word in rest and 'Traceback' not in rest
        if code == 75:
            went = cortex(*args, cwd=place)
            assert 'continued from checkpoint-' in went and '24 of 24 steps' in went and 'step    1 ' not in went

def test_rewards(place):
    args = ('grpo', '--size', 'tiny', '--model', place/'taught.model', '--rows', 'set', '--set', 'reward=financial_reasoning', '--set', 'steps=2')
    said = cortex(*args, '--adapter', 'taught', '--out', 'paid', '--set', 'max_new_tokens=220', '--set', 'eval_every=1', '--verbose', cwd=place)
    assert '"reward": "financial_reasoning"' in said and 'starting from taught/adapter' in said and '2 of 2 steps' in said, said
    assert said.count('valid_reward') == 3 and 'reward/calculation' in said
    assert 'nothing to learn from' in cortex(*args, '--out', 'cut', '--set', 'max_new_tokens=3', cwd=place, code=2) and not (place/'cut').exists()

def test_a_sweep_writes_a_recipe(place):
    pytest.importorskip('optuna')
    args = ('sweep', 'sft', *TINY, '--model', place/'taught.model', '--rows', 'set', '--set', 'max_steps=4', '--space', 'batch=4,8', '--out', 'swept')
    assert 'trials of this size' in cortex(*args, '--dry-run', cwd=place) and not (place/'swept').exists()
    said = cortex(*args, '--trials', 3, cwd=place)
    assert 'trial 2 of 3: finished' in said and 'the space is used up' in said and 'best validation loss' in said, said
    assert {'best.json', 'trials.csv', 'sweep.png', 'study.db'} <= {p.name for p in (place/'swept').iterdir()}
    assert 'steps' in cortex('sft', '--config', 'swept/best.json', '--model', place/'taught.model', '--rows', 'set', '--out', 'winner', cwd=place)
    assert 'another configuration' in cortex(*args, '--space', 'warmup=0,.1', cwd=place, code=2)

@pytest.mark.parametrize('launcher, words', [('fsdp', ('accelerate launch', 'per device')), ('zero3', ('accelerate launch', '2 x 8', 'machine_rank'))])
def test_a_launch_is_shown(tmp_path, launcher, words):
    said = cortex('sft', '--size', 'large', '--launcher', launcher, '--devices', 8, *(('--nodes', 2) if launcher == 'zero3' else ()), '--dry-run', '--price', 16, cwd=tmp_path)
    assert all(w in said for w in ('fits', 'GiB', *words[:1])) and 'cost' in said and not list(tmp_path.iterdir())

def test_two_processes_train_by_one_command(place):
    said = cortex('sft', *TINY, '--model', place/'taught.model', '--rows', 'set', '--out', 'two', '--set', 'max_steps=3', '--set', 'batch=4', '--launcher', 'ddp', '--devices', 2, cwd=place)
    result = json.loads((place/'two'/'training.json').read_text())['result']
    assert result['steps'] == 3 and result.get('devices', 2) == 2, said

@pytest.mark.parametrize('args, word', [
    (('sft', '--size', 'huge'), 'size'), (('sft', '--set', 'learning_rate=1'), "called 'learning_rate'"), (('sft', '--set', 'lr'), 'NAME=VALUE'),
    (('sft', '--config', 'financial_reasoning.json'), "is a recipe for 'grpo'"), (('sft', '--config', 'no.json'), 'no such file'), (('sft', '--rows', 'nowhere'), 'no such file'),
    (('sft', '--rows', '.'), 'neither a dataset'), (('grpo', '--size', 'large', '--rows', 'own.jsonl'), 'no task'), (('sft', '--rows', 'own.jsonl', '--size', 'large'), 'the largest that fits'),
    (('sft', '--launcher', 'fsdp2', '--devices', 2), 'launcher'), (('grpo', '--adapter', '.', '--rows', 'asked.jsonl', '--valid', 'asked.jsonl'), 'no adapter here'),
    (('sweep', 'dpo'), 'stage'), (('sweep', 'sft', '--space', 'learning_rate=1,2'), "called 'learning_rate'"), (('sweep', 'sft', '--rows', 'own.jsonl', '--trials', 0), 'trials is 0'),
    (('sweep', 'sft', '--rows', 'own.jsonl'), 'no validation rows'), (('sft', '--rows', 'own.jsonl', '--machine', '24g'), 'Nearest: 24gb'), (('sft', '--config', 'broken.json'), 'not JSON'),
    (('sft', '--rows', 'half.parquet'), 'Parquet')])
def test_what_can_be_mended_is_one_line(tmp_path, monkeypatch, args, word):
    from typer.testing import CliRunner
    from cortex.command import app
    monkeypatch.chdir(tmp_path)
    ask = [dict(role='user', content='2 + 2?')]
    (tmp_path/'own.jsonl').write_text(json.dumps(dict(prompt=ask, completion=[dict(role='assistant', content='4')])) + '\n')
    (tmp_path/'asked.jsonl').write_text(json.dumps(dict(prompt=ask, task='{}')) + '\n')
    (tmp_path/'broken.json').write_text('{"lr": '); (tmp_path/'half.parquet').write_bytes(b'PAR1')
    r = CliRunner().invoke(app, [str(a) for a in args])
    assert r.exit_code == 2 and word in r.output and 'cortex: ' in r.output, r.output

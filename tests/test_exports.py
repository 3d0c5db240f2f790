"Exports compared: intervals that hold, notes that belong to their settings, a process killed in the middle."
import json, math, os, shutil, signal, subprocess, sys, time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
from cortex.artifacts import CortexError
from cortex.cards import ExportRecipe
from cortex.export import GATES
from cortex.exports import bench_export, note_file, pick_variants, say_exports, variant_rows

DAYS = [str(d)[:10] for d in np.arange('2024-01-01', '2024-03-01', dtype='datetime64[D]')]


def made_up(rng, effect=.05, rows=60):
    "Losses of a source and of an export that loses `effect` nats per token more on average; rows of one day share their luck."
    tokens = rng.integers(60, 140, rows); full = tokens*rng.gamma(20, .005, rows); mine = full + tokens*(effect + .03*rng.standard_normal(rows))
    plain = lambda x: [float(v) for v in x]
    return (dict(losses=plain(mine), tokens=plain(tokens), kl=[.01]*rows, rewards=[], same=[], logit_max=1., mb=1., verdict='pass', findings=[]), dict(losses=plain(full), tokens=plain(tokens), rewards=[], mb=4.))


def test_intervals_hold_the_truth():
    rng, held = np.random.default_rng(0), 0
    for _ in range(60):
        note, full = made_up(rng); r = {x['metric']: x for x in variant_rows('x', note, full, DAYS, [])}['rise of the perplexity']
        held += r['lo'] <= math.exp(.05) - 1 <= r['hi']
    assert .86 < held/60


def test_a_row_without_a_number_leaves_no_perplexity():
    "The perplexity of the other rows would flatter an export that breaks on one of them."
    note, full = made_up(np.random.default_rng(2)); note['losses'][7] = None
    rows = {x['metric']: x for x in variant_rows('x', note, full, DAYS, [])}
    for m in ('perplexity', 'rise of the perplexity'): assert math.isnan(rows[m]['value']) and 'no number in 1 of 60 rows' in rows[m]['left_out']


def test_rounding_and_gptq_in_words():
    rng = np.random.default_rng(1); a, full = made_up(rng, .10); b = dict(a, losses=[x - .05*t for x, t in zip(a['losses'], a['tokens'])])
    said = say_exports({'4 bit, nearest': a, '4 bit, GPTQ': b}, full, DAYS)
    assert '4 bit, GPTQ loses less than rounding to nearest: -0.05 nats' in said[-1] and '25% of the size' in said[0]
    assert 'no interval from 2 days' in say_exports({'4 bit, nearest': a, '4 bit, GPTQ': b}, full, (DAYS[:2]*30))[-1]
    none = dict(a, losses=[None]*60)
    assert len(say_exports({'4 bit, nearest': none, '4 bit, GPTQ': b}, full, DAYS)) == 2     # nothing to compare with


def test_a_note_belongs_to_its_settings(tmp_path):
    few = ExportRecipe(); a, = pick_variants('none', few); _, b = pick_variants('4bit', few); _, c = pick_variants('4bit', few, 8)
    assert len({note_file(tmp_path, v) for v in (a, b, c, replace(b, gate=GATES['8bit']))}) == 4
    with pytest.raises(CortexError, match="kind '16bit'"): bench_export(tmp_path, '16bit')


RUN = '''
import sys; from cortex.cards import ExportRecipe; from cortex.exports import bench_export; from cortex.quantize import RECIPES
s = bench_export(sys.argv[1], ('none', '8bit'), settings=ExportRecipe('float32', rows=24, problems=2, positions=8, max_new_tokens=8), samples=8, say=lambda line: print(line, flush=True))
print('DONE', s.hash, flush=True)
'''


@pytest.mark.skipif(not os.environ.get('CORTEX_SLOW'), reason='quantises a model in three processes: set CORTEX_SLOW')
def test_kill_in_the_middle(tmp_path):
    pytest.importorskip('llmcompressor')
    from cortex.artifacts import save_rows
    from cortex.dataset import to_grpo, to_sft
    from cortex.models import make_tiny
    from cortex.rewards import sample_problems
    from cortex.synthesis import synthesize
    problems = [p for p in sample_problems(12) if p['task'].kind in ('market.forecast', 'protocol.ratios')]; tasks = [p['task'] for p in problems]; rows = to_sft(tasks, synthesize(tasks))
    run = tmp_path/'run'; make_tiny([m['content'] for r in rows for m in r['prompt'] + r['completion']], run/'model/tiny'); (run/'tables').mkdir()
    for name, x in (('sft.jsonl', rows[24:]), ('sft_valid.jsonl', rows[:24]), ('grpo_valid.jsonl', to_grpo(problems[:2]))): save_rows(run/'tables'/name, x, source='simulated', licence='MIT')
    env = os.environ | dict(PYTHONPATH=os.getcwd(), OMP_NUM_THREADS='1'); command = [sys.executable, '-P', '-c', RUN, str(run/'model/tiny')]
    code = RUN.replace("samples=8,", f"samples=8, data={str(run)!r}, out={str(tmp_path/'work')!r},"); command[3] = code
    p = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    for line in p.stdout:
        if line.startswith('reading: 8 bit, nearest'): p.send_signal(signal.SIGKILL); break
    assert p.wait() == -signal.SIGKILL
    first = subprocess.run(command, env=env, capture_output=True, text=True); again = subprocess.run(command, env=env, capture_output=True, text=True)
    assert 'DONE' in first.stdout and 'reading: float32' not in first.stdout and 'quantising: 8 bit, nearest' not in first.stdout, first.stderr[-500:]
    assert again.stdout.strip().startswith('DONE') and again.stdout.split()[-1] == first.stdout.split()[-1]

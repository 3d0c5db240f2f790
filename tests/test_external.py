"External sets: keys that are right, lm-eval's own tasks over stand-in rows, pairing, what happens without a network."
import json, math, os, re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault('HF_HUB_OFFLINE', '1'); os.environ.setdefault('HF_DATASETS_OFFLINE', '1'); os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')
lm_eval = pytest.importorskip('lm_eval')
from lm_eval.api.model import LM

from cortex import external
from cortex.artifacts import CortexError
from cortex.external import HOME, LOCAL, SETS, accuracy_rows, ask_sets, bench_external, guessing, paired_difference, pick_sets
from cortex.sections import Section


class Knowing(LM):
    "Answer by the key, except for the questions in `wrong`."
    def __init__(self, wrong=()): super().__init__(); self.wrong, self.asked, self.prompts = set(wrong), 0, []
    def loglikelihood(self, requests):
        out = []
        for r in requests:
            self.asked += 1; self.prompts.append(r.args[0])
            key = r.doc['gold'] if 'gold' in r.doc else r.doc['answer']
            out.append((0. if (r.idx == key) != (r.doc_id in self.wrong) else -1., False))
        return out
    def loglikelihood_rolling(self, requests): raise NotImplementedError
    def generate_until(self, requests):
        self.asked += len(requests); self.prompts += [r.args[0] for r in requests]
        return ['' if r.doc_id in self.wrong else f"Let's see. So the answer is {r.doc['target']}." if 'target' in r.doc else f" ${r.doc['answer']}" for r in requests]


def stand_in(path, name=None, **_):
    "Give rows in the columns of the public sets."
    from datasets import Dataset, DatasetDict
    mc = lambda n: Dataset.from_list([dict(question=f'{name} {k}?', choices=['w', 'x', 'y', 'z'], answer=k % 4, subject=name or '') for k in range(n)])
    if path == 'cais/mmlu': return DatasetDict(test=mc(3), dev=mc(5), validation=mc(1))
    if path == 'SaylorTwift/bbh': return DatasetDict(test=Dataset.from_list([dict(input=f'{name} {k}', target='(A)' if k else 'True') for k in range(2)]))
    if path.startswith('TheFinAI/'): return DatasetDict(test=Dataset.from_list([dict(query=f'Tone of text {k}? Answer:', choices=['positive', 'neutral', 'negative'], gold=k % 2, answer='', text='') for k in range(4)]))
    raise AssertionError(path)


def rows_of(name): return [json.loads(x) for x in (HOME/name).read_text(encoding='utf-8').splitlines()]


def test_keys_of_own_questions():
    number, checked = lambda t: float(re.search(r'-?\d[\d,]*\.?\d*', str(t)).group().replace(',', '')), 0
    for f in sorted(HOME.glob('*.jsonl')):
        rows = rows_of(f.name); assert len({r['question'] for r in rows}) == len(rows)
        for r in rows:
            right = r['choices'][r['answer']] if 'choices' in r else r['answer']
            if 'choices' in r: assert len(set(r['choices'])) == 4
            if r['sum']:
                value = eval(r['sum'], {}); checked += 1
                assert math.isclose(number(right), value, rel_tol=1e-9), r
                if 'choices' in r: assert sum(bool(m := re.search(r'\d', c)) and math.isclose(number(c), value, rel_tol=1e-9) and c.split()[1:] == right.split()[1:] for c in r['choices']) == 1, r
    assert checked >= 40
    for n in ('finance', 'reasoning'):
        assert max(Counter(r['answer'] for r in rows_of(f'{n}.jsonl')).values()) <= len(rows_of(f'{n}.jsonl'))/4
        assert not {r['question'] for r in rows_of(f'{n}.jsonl')} & {r['question'] for r in rows_of(f'{n}_shots.jsonl')}


def test_local_sets_count_rightly():
    right, _ = ask_sets(Knowing(), pick_sets('local')); some = Knowing(wrong=range(5)); partly, _ = ask_sets(some, pick_sets('local'))
    assert right.right.mean() == 1 and len(right) == 64
    assert partly.groupby('set').right.sum().to_dict() == {s: n - 5 for s, n in right.groupby('set').size().items()}
    assert all(p.count('Answer:') == 3 for p in some.prompts)      # two solved examples and the question


def test_public_sets_over_stand_in_rows(monkeypatch):
    import datasets
    monkeypatch.setattr(datasets, 'load_dataset', stand_in)
    lm = Knowing(); frame, facts = ask_sets(lm, pick_sets(['mmlu', 'finance-mmlu', 'finance-tone', 'bbh']))
    assert frame.right.mean() == 1, frame[frame.right < 1].head()
    assert frame.groupby('set').size().to_dict() == {'mmlu': 57*3, 'finance-mmlu': 4*3, 'finance-tone': 8, 'bbh': 27*2}
    assert {f['shots'] for t, f in facts.items() if t.startswith('mmlu')} == {5} and {f['shots'] for t, f in facts.items() if t.startswith('bbh')} == {3}
    assert {f['data'] for f in facts.values()} == {d for s in ('mmlu', 'bbh', 'finance-tone') for d in SETS[s].data}
    assert all(p.count('Answer:') == 6 for p in lm.prompts if 'Tone of' not in p and 'A. w' in p)
    assert guessing(frame[frame.set == 'finance-tone']) == .5       # two of four are neutral: better than one of three


def test_without_network(monkeypatch):
    import datasets
    def gone(*a, **k): raise ConnectionError("Couldn't reach 'cais/mmlu' on the Hub (OfflineModeIsEnabled)")
    monkeypatch.setattr(datasets, 'load_dataset', gone)
    with pytest.raises(CortexError, match='finance-mmlu need the data cais/mmlu.*take the sets that are here: local'): ask_sets(Knowing(), pick_sets('finance-mmlu'))


def test_other_versions_are_refused(monkeypatch):
    from dataclasses import replace
    with pytest.raises(CortexError, match='shows 2 examples here and sums-local is fixed at 4'): ask_sets(Knowing(), (replace(SETS['sums-local'], shots=4),))
    with pytest.raises(CortexError, match="counts 'strict'"): ask_sets(Knowing(), (replace(SETS['sums-local'], filter='strict'),), limit=1)


def test_answers_are_kept(tmp_path):
    first = Knowing(wrong=[1]); a, _ = ask_sets(first, pick_sets('local'), cache=tmp_path/'kept')
    second = Knowing(); b, _ = ask_sets(second, pick_sets('local'), cache=tmp_path/'kept')
    assert first.asked and not second.asked and a.equals(b)


def test_paired_difference_against_others():
    rng = np.random.default_rng(0)
    stats = pytest.importorskip('statsmodels.stats.contingency_tables')
    for _ in range(20):
        x, y = rng.integers(2, size=40), rng.integers(2, size=40)
        table = [[int(((x == i) & (y == j)).sum()) for j in (1, 0)] for i in (1, 0)]
        assert math.isclose(paired_difference(x, y)['p'], stats.mcnemar(table, exact=True).pvalue, rel_tol=1e-9)
    d = paired_difference(np.repeat([1, 1, 0, 0], (36, 12, 2, 0)), np.repeat([1, 0, 1, 0], (36, 12, 2, 0)))
    assert np.allclose((d['diff_lo'], d['diff_hi']), (.0569, .3404), atol=1e-4)     # method 10 by hand
    held = 0
    for _ in range(2000):
        u = rng.random(80); held += (e := paired_difference(u < .6, u + .25*rng.standard_normal(80) < .5))['diff_lo'] <= _truth() <= e['diff_hi']
    assert .93 < held/2000 < .98


def _truth(cache={}):
    if not cache: u, z = np.random.default_rng(1).random(4_000_000), np.random.default_rng(2).standard_normal(4_000_000); cache['d'] = .6 - (u + .25*z < .5).mean()
    return cache['d']


def test_adapter_is_held_against_its_base(tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model
    from cortex.backends import tiny_texts
    from cortex.models import load_model, make_tiny
    base = make_tiny(tiny_texts(), tmp_path/'tiny'); torch.manual_seed(0)
    peft = get_peft_model(load_model(base)[0], LoraConfig(r=4, target_modules='all-linear', task_type='CAUSAL_LM'))
    for n, w in peft.named_parameters():
        if 'lora_B' in n: torch.nn.init.normal_(w, std=.2)
    peft.save_pretrained(tmp_path/'trained')
    s = bench_external(str(base), ['reasoning-local', 'sums-local'], limit=6, adapter=tmp_path/'trained', device='cpu')
    assert list(s.table.system) == ['tiny', 'tiny+trained']*2 and list(s.table.baseline) == ['guessing', 'tiny']*2
    assert len(set(s.settings['model'].values())) == 2 and s.settings['lm_eval'] and 'first 6 questions' in s.notes[0]
    assert Section.from_json(s.to_json()) == s
    assert str(tmp_path) not in s.to_json()


def test_bad_input():
    with pytest.raises(CortexError, match='limit=0'): bench_external(Knowing(), limit=0)
    with pytest.raises(CortexError, match='hellaswagg'): bench_external(Knowing(), tasks=['hellaswagg'])
    with pytest.raises(CortexError, match='asked different questions'):
        a, _ = ask_sets(Knowing(), pick_sets('sums-local')); accuracy_rows({'a': a, 'b': a.iloc[:5]}, pick_sets('sums-local'))
    one = bench_external(Knowing(), limit=1)      # a single question: an interval as wide as it has to be, and no edge
    assert list(one.table.n) == [1]*3 and (one.table.lo < .3).all() and not any('above guessing' in w for w in one.words)
    same, _ = ask_sets(Knowing(), pick_sets('finance-local')); rows = accuracy_rows({'a': same, 'b': same}, pick_sets('finance-local'))
    assert rows[1]['diff'] == 0 and rows[1]['p'] == 1 and rows[1]['diff_lo'] < 0 < rows[1]['diff_hi']

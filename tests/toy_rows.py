"Rows in one made-up format, for models of two layers to learn by heart."
import random

def made_up(n, tail, head='', seed=0):
    "Give `n` chat rows; `head` begins each question, and `tail(rng, move)` ends each reply."
    rng, rows = random.Random(seed), []
    for _ in range(n):
        m, w = rng.choice([-1.2, .4, 2.5]), rng.choice([5.5, 8.4])
        rows.append(dict(prompt=[dict(role='user', content=f'{head}trend_7d: {m:+.1f}%\nrange_7d: {w:.1f}%\nForecast tx_count.')],
                         completion=[dict(role='assistant', content=f'{m:+.1f}% [trend_7d] - {w:.1f}% [range_7d] = {m-w:+.1f}%' + tail(rng, m))]))
    return rows

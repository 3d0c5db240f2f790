r"""Long analyses of every kind of task written by hand in varied styles, each with the task it answers and the marks of its author.

Nothing here follows the house format on purpose: own headings, bullets, tables, prose, desk notes, LaTeX, self-correction. Every figure is honest:
it is shown by the task (as shown, or in full), or follows from shown figures by the calculation that is written beside it, or belongs to the forecast.

`FREE_REPLIES` is a list of dicts:
  name      what the style is
  task      the `Task` it answers
  outcome   realised simple change of the target, None where nothing is forecast
  sigma     horizon-scaled volatility of the target, None likewise
  text      the reply
  cited     names of the shown figures that the text cites, in brackets or in words
  results   names of the results that the text works out (keys of `work_out(solve(task), task.shown)`)
  forecast  (p_up, median, lo, hi) that must be read from it, or None
  loose     figures that need not be supported: a forecast repeated outside its line, a day of the month, a zero
"""
from cortex.tasks import Task, make_task, task_id
from cortex.cases import Snapshot

# What the chains showed on their day (invented figures of realistic size)
MARKET = dict(
    near=dict(asof='2025-02-11', condition='downtrend', tx_count=4460392., active_addresses=1182455., fees_usd=18764.2, tvl_usd=214.6e6, price_usd=3.1184),
    solana=dict(asof='2025-02-18', condition='high volatility', tx_count=61240118., active_addresses=4812330., fees_usd=1412870., tvl_usd=8.913e9, price_usd=198.42),
    ethereum=dict(asof='2025-02-11', condition='downtrend', tx_count=1238455., active_addresses=498720., fees_usd=2913400., tvl_usd=51.27e9, price_usd=2683.4),
    bitcoin=dict(asof='2025-02-18', condition='sideways', tx_count=402118., active_addresses=761340., fees_usd=612440., tvl_usd=5.93e9, price_usd=97412.),
    polygon=dict(asof='2025-03-04', condition='downtrend', tx_count=2871030., active_addresses=512904., fees_usd=21984., tvl_usd=812.4e6, price_usd=.3127),
    avalanche=dict(asof='2025-03-04', condition='recovery', tx_count=318442., active_addresses=41208., fees_usd=9873.6, tvl_usd=1.094e9, price_usd=25.63),
    optimism=dict(asof='2025-03-11', condition='sideways', tx_count=812650., active_addresses=96344., fees_usd=14212., tvl_usd=604.2e6, price_usd=.8841))

# (chain, target, horizon) -> change, trend, range, sigma, outcome: fractions
OUTLOOK = {
    ('near','price_usd',7): (-.0423, .0118, .0887, .0694, .0231),
    ('solana','tx_count',7): (.0642, -.0213, .1034, .0810, -.0412),
    ('ethereum','price_usd',30): (-.1876, .0274, .2312, .1810, .0643),
    ('bitcoin','fees_usd',7): (.3127, -.0716, .2648, .2070, -.1184),
    ('near','active_addresses',7): (-.0187, .0152, .0573, .0450, .0211),
    ('polygon','tvl_usd',30): (-.0934, -.0308, .1427, .1120, -.0522),
    ('avalanche','price_usd',1): (.0214, -.0043, .0486, .0380, -.0123),
    ('optimism','active_addresses',7): (.1168, -.0391, .1523, .1190, -.0664),
    ('solana','price_usd',7): (-.0629, .0087, .1046, .0820, .0314),
    ('ethereum','tx_count',7): (.0143, .0066, .0492, .0385, .0172),
    ('polygon','tx_count',1): (-.0372, .0191, .0664, .0520, .0263)}

PARTS = dict(tx_per_address=('tx_count','active_addresses'), fee_per_tx=('fees_usd','tx_count'), fee_per_address=('fees_usd','active_addresses'), tvl_per_address=('tvl_usd','active_addresses'))

def _id(kind, chain, asof, h, target=None):
    return task_id(kind, Snapshot(chain=chain, asof=asof, horizon=h, metrics={}, features={}, condition='', peers={}, history=(), source='written by hand'), target)

def forecast_task(chain, target, h, outlook=None):
    "Ask for a forecast with the figures above; `outlook` from another row when the chain has none of its own."
    m, (change, trend, width, *_) = MARKET[chain], OUTLOOK[outlook or (chain, target, h)]
    shown = {target: m[target], f'change_{h}d': change, f'trend_{h}d': trend, f'range_{h}d': width}
    return Task(_id('market.forecast', chain, m['asof'], h, target), 'market.forecast', chain, m['asof'], h, shown,
                f'Forecast {target} over the next {h} days: P(up), median, 80% interval; then risk and action.', target, ('low','high'), m['condition'], 'written by hand')

def ratio_task(chain, *asks):
    "Ask for performance ratios with the figures above."
    m = MARKET[chain]
    shown = {n: m[n] for n in dict.fromkeys(n for a in asks for n in PARTS[a])}
    names = ' and '.join(a.replace('_',' ') for a in asks)
    return Task(_id('protocol.ratios', chain, m['asof'], 7), 'protocol.ratios', chain, m['asof'], 7, shown, f'Compute {names}; then risk and action.', None, asks, m['condition'], 'written by hand')

def other_chain(reply):
    "Return the same question about another chain as (task, outcome, sigma): the text of `reply` is no answer to it."
    t, names = reply['task'], list(MARKET)
    if 'without' in reply:
        names = list(DESK)
        return kind_task(t.kind, names[(names.index(t.chain) + 2) % len(names)], reply['without']), None, None
    chain = names[(names.index(t.chain) + 3) % len(names)]
    if t.target is None: return ratio_task(chain, *t.asks), None, None
    rows = [k for k in OUTLOOK if k[0] != t.chain]
    row = rows[sum(map(ord, t.task_id)) % len(rows)]
    return forecast_task(chain, t.target, t.horizon, row), OUTLOOK[row][4], OUTLOOK[row][3]

FREE_REPLIES = []

def _add(name, task, text, cited, forecast=None, loose=''):
    sigma, outcome = OUTLOOK[task.chain, task.target, task.horizon][3:] if task.target else (None, None)
    FREE_REPLIES.append(dict(name=name, task=task, outcome=outcome, sigma=sigma, text=text.strip('\n'), cited=tuple(cited.split()), results=task.asks, forecast=forecast, loose=tuple(loose.split())))

_add('headings and bold bullets', forecast_task('near','price_usd',7), r'''
### NEAR: where could the coin be in a week?

**Starting point**
* **Price:** $3.12 [price_usd]
* **Last week:** −4.2% [change_7d], so the coin fell and the market condition is a downtrend.
* **Model drift:** +1.2% [trend_7d]
* **Typical spread:** 8.9% [range_7d] on either side, which held four fifths of past weeks.

**Working**
1. Lower end = 1.2% − 8.9% = −7.7%
2. Upper end = 1.2% + 8.9% = +10.1%
3. In dollars the lower end is $3.12 × (1 − 7.7%) = $2.88, the upper end $3.12 × (1 + 10.1%) = $3.44.
4. Drift against spread: 1.2% ÷ 8.9% ≈ 0.135. The drift is small compared with the noise, so P(up) should sit only a little above one half.

**Forecast (price_usd, 7 days):** P(up) = 0.55, median = +1.2%, 80% interval: −7.7% to +10.1%

**Risk.** The downtrend of last week could carry on: the lower end of the interval is much further from today's price than the median is.

**Action.** Hold the present position and add nothing until the price stops falling; reconsider if it leaves the interval.
''', 'price_usd change_7d trend_7d range_7d', (.55, .012, -.077, .101))

_add('steps, full figures, names in capitals', forecast_task('solana','tx_count',7), r'''
**Step 1: What the data say**
Solana processed 61,240,118 [Daily_Transactions] on 2025-02-18. Over the preceding week activity rose by +6.4% [Change_7D]. The model's expectation for the coming week is negative: −2.1% [Trend_7D]. The half-width of past weekly moves is 10.3% [Range_7D].

**Step 2: From trend and range to an interval**
The rule is simple: take the trend, then subtract and add the range.
Low: −2.1% − 10.3% = −12.4%
High: −2.1% + 10.3% = +8.2%

**Step 3: How likely is a rise?**
The centre sits below zero, but not by much: the trend is about a fifth of the range (2.1% / 10.3% ≈ 0.204). A rise is therefore less likely than a fall, yet far from excluded.

**Step 4: Sanity check**
Last week's gain of 6.4% lies inside the interval, as it should. High volatility argues against anything narrower.

### Forecast for tx_count over 7 days
- P(up): 0.40
- Median change: −2.1%
- 80% interval: −12.4% to +8.2%

### Risk
Bots make up a large part of the transactions on this chain, and a change of their behaviour would move the count in either direction.

### Recommended action
Do not extrapolate last week's increase; plan capacity for slightly lower traffic and watch daily transactions for a break below the interval.
''', 'tx_count change_7d trend_7d range_7d', (.40, -.021, -.124, .082))

_add('British prose, hedged', forecast_task('ethereum','price_usd',30), r'''
I should say at the outset that I would not favour any strong view here. Ether changed hands at $2,680 [price_usd], having lost 18.8% over the past thirty days [change_30d], and a market in a downtrend has a habit of humbling anybody who is too sure of the bottom.

That said, the figures lean, if only faintly, the other way. The 30-day trend is +2.7%, whilst the 30-day range is 23.1%, so one has a drift that is a good deal smaller than the uncertainty around it. Subtracting, 2.7% − 23.1% = −20.4%, and adding, 2.7% + 23.1% = 25.8%. In money the pessimistic end works out at $2,680 × (1 − 20.4%) = $2,133 and the optimistic end at $2,680 × (1 + 25.8%) = $3,371. I suspect most readers will find that span uncomfortably wide; I do too, but narrowing it would be pretending to knowledge that nobody has.

My forecast for price_usd over the next 30 days is therefore a P(up) of 0.54, a median of +2.7% and an 80% interval from −20.4% to +25.8%.

The chief risk, to my mind, is that the selling of the past month has not run its course and that the drift proves illusory. I would hold what one already owns, resist the temptation to add, and revisit the matter should the price slip towards the lower end of the interval.
''', 'price_usd change_30d trend_30d range_30d', (.54, .027, -.204, .258))

_add('desk notes', forecast_task('bitcoin','fees_usd',7), r'''
BTC FEES, DESK NOTE

fees_usd $612k, chg 7d +31.3%. big week. sideways tape otherwise.
trend_7d -7.2%: model wants it back down. range_7d 26.5%: fat, as usual for fees.

maths
lo = -7.2% - 26.5% = -33.7%
hi = -7.2% + 26.5% = +19.3%
in $: 612k x (1 - 33.7%) = 406k, 612k x (1 + 19.3%) = 730k
skew: 7.2% / 26.5% = 0.272, so down is the favourite, not a lock

why lower
- fee spikes fade: one busy week gets arbitraged away by people who wait
- range is wide because spikes also cluster, so do not get cute on size

fcst fees_usd 7d: p(up) 0.36, median -7.2%, 80% interval -33.7% to +19.3%

risk: another inscription or run on blockspace keeps fees up here; we have just seen +31.3% in a week so it can happen again
action: fade it small. miners' revenue hedges stay off. cover if fees_usd prints above $730k
what would change my mind: trend_7d turning positive while the range narrows. until then this is mean reversion and nothing more clever than that.
''', 'fees_usd change_7d trend_7d range_7d', (.36, -.072, -.337, .193))

_add('thinking aloud with self-correction', forecast_task('near','active_addresses',7), r'''
<think>
Okay, so I need to forecast active addresses on NEAR over the next 7 days. Let me look at what I have.

Active addresses: 1.18M [active_addresses]. The change over 7 days is -1.9% [change_7d], a small decline. The trend is +1.5% [trend_7d] and the range is 5.7% [range_7d].

So the lower end would be 1.5% + 5.7% = 7.2%... wait, that is the upper end. Let me redo this. The lower end is trend minus range: 1.5% - 5.7% = -4.2%. And the upper end is the sum I just did, 1.5% + 5.7% = 7.2%.

Hmm, in addresses: 1.18M × (1 - 4.2%) = 1.13M and 1.18M × (1 + 7.2%) = 1.26M. That looks plausible for a week.

Now the probability. The trend of +1.5% compares with a range of 5.7%, so 1.5% / 5.7% = 0.263. The range is an 80% half-width, so a trend of about a quarter of it means the odds favour an increase, something like 0.62. Actually, is that too generous given that the count fell last week? I think the fall was small, -1.9%, and well within the noise. I'll stay with 0.62.
</think>
<answer>
I expect slightly more active addresses a week from now, though last week's small decline shows that the growth is not steady.

Forecast: active_addresses over 7 days: P(up) 0.62, median +1.5%, 80% interval −4.2% to +7.2%

Risk: one large application accounts for many of the addresses; if its users leave, the trend breaks.
Action: keep the exposure as it is and check active addresses again in the middle of the week.
</answer>
''', 'active_addresses change_7d trend_7d range_7d', (.62, .015, -.042, .072), '0.62')

_add('report with tables', forecast_task('polygon','tvl_usd',30), r'''
# Polygon: value locked, one month ahead

## 1. Data

| Metric | Value | Comment |
|---|---|---|
| tvl_usd | $812M | close of 2025-03-04 |
| change_30d | -9.3% | capital has been leaving |
| trend_30d | -3.1% | expected to continue, more slowly |
| range_30d | 14.3% | half-width of past 30-day moves |

## 2. Calculation

| Bound | Expression | Result |
|---|---|---|
| Low | -3.1% - 14.3% = | -17.4% |
| High | -3.1% + 14.3% = | +11.2% |

In dollars that is $812M × (1 - 17.4%) = $671M at the low end and $812M × (1 + 11.2%) = $903M at the high end.

## 3. Forecast

| Target | Horizon | P(up) | Median | 80% interval |
|---|---|---|---|---|
| tvl_usd | 30 days | 0.39 | -3.1% | -17.4% to +11.2% |

## 4. Assessment

**Risk:** most of the value is denominated in volatile coins, so that a falling market lowers the total even if no depositor leaves. The decline of the last 30 days may be just that.

**Action:** reduce new deposits on this chain until the outflow ends; keep what earns well. A recovery of value locked above the high end would prove this view wrong.
''', 'tvl_usd change_30d trend_30d range_30d', (.39, -.031, -.174, .112))

_add('LaTeX', forecast_task('avalanche','price_usd',1), r'''
Let $P_0$ denote the closing price of AVAX on 2025-03-04. We are given

$$P_0 = \$25.6 \quad [\text{price\_usd}], \qquad c_1 = +2.1\% \quad [\text{change\_1d}],$$

that is, the price rose over the last day, as well as a trend of $\mu = -0.4\%$ [trend_1d] and a range of $r = 4.9\%$ [range_1d].

**Bounds.** By definition $\text{low} = \mu - r$ and $\text{high} = \mu + r$. Therefore

\begin{aligned}
\text{low} &= -0.4\% - 4.9\% = -5.3\% \\
\text{high} &= -0.4\% + 4.9\% = +4.5\%
\end{aligned}

**Location.** The trend relative to the range is $\frac{0.4\%}{4.9\%} \approx 0.0816$, i.e. practically zero. Over a single day the direction is close to a toss of a coin, with a slight tilt to the downside because $\mu < 0$.

**Forecast** price_usd 1d: $P(\text{up}) = 0.46$, median $-0.4\%$, 80% interval $-5.3\%$ to $+4.5\%$.

**Risk.** A recovery is under way, and a short squeeze could lift the price beyond the upper bound.

**Action.** No trade: the expected move of $-0.4\%$ is dwarfed by the range of $4.9\%$ and would hardly pay the costs. Keep the existing holding and wait for a trend that is large enough to matter.
''', 'price_usd change_1d trend_1d range_1d', (.46, -.004, -.053, .045), '0')

_add('questions and answers', forecast_task('optimism','active_addresses',7), r'''
Q: How busy is Optimism right now?
A: About 96.3k active addresses on 2025-03-11. That is after a strong week: the 7-day change is +11.7%.

Q: Will it last?
A: Probably not in full. The 7-day trend is −3.9%, which means that the model sees part of the jump being given back. Weeks like this one are often campaigns, and campaign users leave when the rewards end.

Q: How sure can one be?
A: Not very. The 7-day range is 15.2%. Put together, −3.9% − 15.2% = −19.1% on the low side and −3.9% + 15.2% = +11.3% on the high side. As a number of addresses: 96.3k × (1 − 19.1%) = 77.9k and 96.3k × (1 + 11.3%) = 107k.

Q: So what is the forecast?
A: Forecast for active_addresses, 7 days: P(up) 37%, median −3.9%, 80% interval −19.1% to +11.3%.

Q: What could go wrong with it?
A: The risk is a second campaign, or an airdrop that nobody has announced; then active addresses would climb again and the forecast would look silly.

Q: What should I do?
A: If you pay for growth here, pause the spending for a week and see how many of the new users stay. If you hold the token, there is nothing in these figures that calls for a trade.
''', 'active_addresses change_7d trend_7d range_7d', (.37, -.039, -.191, .113))

_add('letter to a colleague', forecast_task('solana','price_usd',7), r'''
Hi Martina,

you asked for a view on SOL for next week's meeting, so here is the short version with the sums, in case somebody wants to check them.

We closed at 198 USD on the 18th. The week was poor, price change −6.3% over 7 days, and volatility is high. Our 7-day trend figure is nevertheless slightly positive, +0.9%, and the 7-day range is 10.5%, which is how far four out of five weeks have stayed from the trend.

From those two: 0.9% − 10.5% = −9.6% for the bad end, and 0.9% + 10.5% = +11.4% for the good end. Applied to the price, 198 × (1 − 9.6%) = 179 and 198 × (1 + 11.4%) = 221 (rounded to whole dollars).

What I would put on the slide:
Forecast price_usd 7 days: P(up) 0.53; median +0.9%; 80% interval −9.6% to +11.4%

I know that you would like something punchier than 0.53. I would not oversell it: the trend is less than a tenth of the range (0.9% / 10.5% = 0.0857), so this is barely better than guessing, and the drop of 6.3% shows how quickly a week can go wrong.

The main risk is that high volatility feeds on itself after such a fall. My suggestion is to hold, with no new buying before the meeting, and to use the lower end, 179, as the level at which we talk again.

Best wishes
Jan
''', 'price_usd change_7d trend_7d range_7d', (.53, .009, -.096, .114), '0.53 18')

_add('citation before the number', forecast_task('ethereum','tx_count',7), r'''
ETHEREUM / TRANSACTIONS / ONE WEEK

INPUTS
  [tx_count] 1.24M
  [change_7d] +1.4%
  [trend_7d] +0.7%
  [range_7d] 4.9%

DERIVATION
  lower bound: [trend_7d] 0.7% minus [range_7d] 4.9%, i.e. 0.7% - 4.9% = -4.2%
  upper bound: [trend_7d] 0.7% plus [range_7d] 4.9%, i.e. 0.7% + 4.9% = +5.6%
  lower bound in transactions: 1.24M * (1 - 4.2%) = 1.19M
  upper bound in transactions: 1.24M * (1 + 5.6%) = 1.31M

DISCUSSION
  The main chain runs close to its capacity, which is why the number of transactions hardly moves from week to week: [change_7d] was +1.4% and the range is the narrowest one meets anywhere in this market. The trend is positive and small. A rise is a little more likely than a fall.

FORECAST
  tx_count over 7 days: P(up) 0.57, median +0.7%, 80% interval -4.2% to +5.6%

RISK
  A price shock brings liquidations and with them a burst of transactions; a quiet market does the opposite. Price is in a downtrend, so that the second is the nearer danger.

ACTION
  Nothing to do on this figure alone. Keep the fee budget unchanged for the week and review it if transactions leave the interval.
''', 'tx_count change_7d trend_7d range_7d', (.57, .007, -.042, .056))

_add('tags around free prose', forecast_task('polygon','tx_count',1), r'''
<think>
First, what happened. Transactions came in at 2,871,030 on Polygon on 2025-03-04, which was 3.7% lower than the day before according to change_1d. A decline of that size is ordinary for this chain: range_1d is 6.6%, so moves of this order happen all the time.

Second, what is expected. trend_1d is +1.9%. There is a weekly rhythm in the data and the day ahead is usually busier than the one just past.

Third, the interval. Take trend_1d less range_1d, which gives 1.9% − 6.6% = −4.7%, and then trend_1d plus range_1d, which gives 1.9% + 6.6% = 8.5%. In transactions the two ends are 2,871,030 × (1 − 4.7%) = 2,736,092 and 2,871,030 × (1 + 8.5%) = 3,115,068.

Fourth, the probability. The trend is a bit more than a quarter of the range, 1.9% ÷ 6.6% ≈ 0.288, which makes a rise clearly more likely than a fall. I would say 0.64.
</think>
<answer>
Tomorrow should see somewhat more transactions than today.
forecast: tx_count 1d: P(up) 0.64, median +1.9%, 80% interval -4.7% to +8.5%
risk: one game or one exchange moving its transfers elsewhere is enough to break the weekly rhythm
action: leave the node capacity as it is, since even the upper end is within what the network carried before
</answer>
''', 'tx_count change_1d trend_1d range_1d', (.64, .019, -.047, .085), '0.64')

_add('R1 report with capitalised names', ratio_task('near','tx_per_address','fee_per_tx'), r'''
## Network activity

NEAR recorded 4,460,392 [Daily_Transactions] from 1,182,455 [Active_Addresses] on 2025-02-11, and users paid $18,764 [Fees_USD] for it.

### Transactions per address
- **Formula:** daily transactions divided by active addresses
- **Calculation:** 4,460,392 ÷ 1,182,455 ≈ 3.77
- **Interpretation:** the average user sends between three and four transactions a day. That is typical of a chain on which people play, tip and claim rewards rather than settle large sums.

### Fee per transaction
- **Formula:** fees divided by daily transactions
- **Calculation:** $18,764 ÷ 4,460,392 ≈ $0.00421
- **Interpretation:** less than a cent, so cost is no obstacle to use. The other side of the coin is that the chain earns next to nothing from its traffic.

## Conclusion
Transactions per address: **3.77**
Fee per transaction: **$0.00421**

**Risk:** such a low fee makes it cheap to inflate both the transactions and the addresses, so neither count should be taken as the number of people.

**Recommendation:** follow fees rather than raw counts; do not pay for growth in addresses unless the fees grow with them.
''', 'tx_count active_addresses fees_usd')

_add('continental habits', ratio_task('solana','fee_per_tx','tvl_per_address'), '''
Dear all, please find below the two key figures for Solana as per 2025-02-18.

A) Fee per transaction. The fees of the day amounted to 1\u202f412\u202f870 USD [fees_usd], the transactions to 61\u202f240\u202f118 [tx_count]. Division gives

    1\u202f412\u202f870 USD : 61\u202f240\u202f118 transactions, that is 1\u202f412\u202f870 / 61\u202f240\u202f118 = 0.0231 USD per transaction.

B) Value locked per address. The total value locked was 8.91 bn USD [tvl_usd]; active were 4\u202f812\u202f330 addresses [active_addresses]. With rounded figures

    8.91 B / 4.81 M = 1852 USD per active address.

Some remarks on this. To A): a bit more than two cents is the mean, the median user pays far less, since a small part of the transactions bids very high in order to be first. To B): the quotient mixes a stock with a flow and must not be read as the wealth of a user. Big depositors dominate the numerator and bots dominate the denominator.

Summary: fee per transaction 0.0231 USD; value locked per address 1852 USD.

Risk: volatility is high at present. The value locked consists mostly of the own coin of the chain and its derivatives, so it would shrink together with the price.

Action: we propose to keep the limits for Solana unchanged and to look at the fees of the next week before anything is raised.
''', 'fees_usd tx_count tvl_usd active_addresses')

_add('British essay without brackets', ratio_task('ethereum','tx_per_address','fee_per_address'), r'''
On the eleventh of February, transactions came in at 1,238,455 and active addresses at 498,720. Dividing the one by the other (1,238,455 / 498,720 = 2.48) one arrives at roughly two and a half transactions for each address, a modest figure by the standards of cheaper networks, where automated behaviour swells the count.

What distinguishes the main chain is not how often people use it but what they are prepared to pay. Fees amounted to $2,913,400 on the day. Spread over the same addresses that is $2,913,400 / 498,720 = $5.84 apiece, a sum nobody would part with for the sake of a game or a tip. The users who remain are, one may infer, settling things of value: trades, loans, transfers of size.

To summarise: transactions per address stand at 2.48 and fees per address at $5.84.

Whether that is a healthy state of affairs is a matter of judgement. I would argue that it is, so long as the fees reflect demand rather than congestion, yet the danger is plain enough. The risk is that activity continues its migration to cheaper layers, in which case fees, and with them the burn that supports the coin, would dwindle further; a price already in a downtrend would hardly welcome that.

I should hold rather than add, and would look for fees per address to stabilise before changing my mind.
''', 'tx_count active_addresses fees_usd')

_add('desk notes on ratios', ratio_task('optimism','tx_per_address','tvl_per_address'), r'''
OP quick look, 2025-03-11

txs 813k [tx_count]
users 96.3k [active_addresses]
tvl $604M [tvl_usd]

tx/addr: 813k / 96.3k = 8.44 -> bots + power users, retail does far fewer on mainnet so discount this one heavily
tvl/addr: $604M / 96.3k = $6.27k -> chunky. whales parked in lending, not traders

read: few wallets, each doing a lot, each (on average) sitting on a lot. classic incentive chain. mean hides everything here. would want the median balance, do not have it, so no hero calls

answer
tx per address 8.44
tvl per address $6.27k

risk: incentives roll off, the parked money walks. exit is quick, it is all stables and staked eth
action: stay flat the token. lend there if the rate is good, keep it short-dated, pull it when tvl breaks lower

not advice to ape. if tx per address keeps climbing while users do not, that is more bots and i would trust the activity numbers even less than today.
''', 'tx_count active_addresses tvl_usd')

_add('LaTeX fractions', ratio_task('avalanche','fee_per_tx','fee_per_address'), r'''
**Given.** Fees $F = \$9{,}874$ [fees_usd], transactions $N = 318{,}442$ [tx_count], active addresses $A = 41{,}208$ [active_addresses].

**To find.** The fee per transaction $F/N$ and the fee per address $F/A$.

**Solution.**

(a) Fee per transaction:
$$\frac{F}{N} = \frac{9{,}874}{318{,}442} \approx 0.0310$$
so a transaction costs about \$0.0310.

(b) Fee per address:
$$\frac{F}{A} = \frac{9{,}874}{41{,}208} \approx 0.240$$
so an active address pays about \$0.240 in the day.

**Check.** The two must differ by the number of transactions per address, which is $318{,}442 / 41{,}208 \approx 7.73$. Indeed $0.0310 \times 7.73 \approx 0.240$. ∎

**Remarks.** Both figures are low: three cents for a transaction is cheap, and a quarter of a dollar in a day is what a casual user can afford. They are means; a few contracts pay most of it.

**Risk.** The chain's revenue depends on few active addresses; should some of the larger ones leave, fees fall at once.

**Action.** Accumulate nothing on the strength of these ratios alone. Monitor fees per address during the recovery and act only if they rise together with the number of addresses.
''', 'fees_usd tx_count active_addresses')

_add('scientific notation', ratio_task('polygon','tx_per_address','tvl_per_address'), r'''
Objective: activity and capital intensity of Polygon, 2025-03-04.

Observed quantities (three significant figures)
  N  (tx_count)          = 2.87×10⁶
  A  (active_addresses)  = 5.13×10⁵
  V  (tvl_usd)           = $8.12×10⁸

Step 1. Transactions per address.
  N / A: 2.87×10⁶ / 5.13×10⁵ = 5.59
  An active address makes between five and six transactions a day on average.

Step 2. TVL per address.
  V / A: $8.12×10⁸ / 5.13×10⁵ = $1,583
  For every address active on the day there is this amount of capital locked in applications.

Step 3. Interpretation.
  The first quantity is moderate, the second low for a network of this age. The combination suggests payments and games, where balances stay small, more than lending or trading, where they do not. Both quantities have the same denominator; an error in the count of addresses would move them together and in the same direction.

Results
  tx per address = 5.59
  tvl per address = $1,583

Principal risk: capital flight. Value locked is thin, and in a downtrend depositors leave first where they earn least.
Recommended action: underweight applications that depend on deposits; prefer those that live on transactions. Repeat the measurement weekly.
''', 'tx_count active_addresses tvl_usd')

_add('wrong way round, then corrected', ratio_task('bitcoin','tx_per_address','fee_per_tx'), r'''
Alright, the user wants transactions per address and the fee per transaction for Bitcoin. Let me write down what is given: tx_count is 402k, active_addresses is 761k, fees_usd is $612k.

Transactions per address first. 761k / 402k = 1.893. Hmm, wait. That is addresses per transaction, I have it upside down. The right order is 402k / 761k = 0.528. Does a figure below one make sense? On an account-based chain it could not happen, because whoever is active has sent something. On Bitcoin an active address may simply have received, and one transaction can touch many addresses, so yes, 0.528 is fine.

Next, fee per transaction: $612k / 402k = $1.52. Let me double check by multiplying back: 402k × $1.52 = $611k, which agrees with the fees up to rounding. Good.

Could I say something about fee per address too? It isn't asked for, so I'll leave it.

So my final answer is:

- tx per address: 0.528
- fee per tx: $1.52

What about the risk? I'd say the main risk is that fees this low do not pay for security once the block subsidy shrinks further; they have to rise, or the hash rate will fall. As for action, I'd hold. A sideways market with cheap blockspace is a good time to consolidate small outputs while the fee is low, and that is the one concrete thing I would do this week.
''', 'tx_count active_addresses fees_usd')

_add('numbered memorandum', ratio_task('near','fee_per_tx','tvl_per_address'), r'''
MEMORANDUM

Subject: NEAR Protocol, unit economics
Date of data: 2025-02-11

1. Sources. Fees USD 18.8k, tx count 4.46M, TVL USD 215M, active addresses 1.18M, all for the day named above.

2. Fee per tx. We divide fees by the tx count: $18.8k / 4.46M = $0.00422. In other words, a thousand transactions bring the network about four dollars.

3. TVL per address. We divide TVL by the active addresses: $215M / 1.18M = $182. The typical user keeps little money on the chain.

4. Findings.
   (a) Fee per tx: $0.00422.
   (b) TVL per address: $182.
   (c) The protocol is priced for volume. At this fee only a very large number of transactions would produce revenue worth mentioning.
   (d) The capital per user is low, which limits what lending and trading applications can earn.

5. Risk. Validators are paid by issuance rather than by fees. In a downtrend the dollar value of that issuance falls, and with it the security budget.

6. Action. We recommend to hold, and to ask the foundation for its plan on fees before any increase of the position. The figures under 4 should be tracked monthly.
''', 'fees_usd tx_count tvl_usd active_addresses')

_add('long monologue, short answer', ratio_task('solana','tx_per_address','fee_per_address'), r'''
<think>
Okay, let's see. Two ratios for Solana: transactions per address and fees per address. The prompt shows a transaction count of 61.2M, active addresses of 4.81M and fees of $1.41M.

For the first one I need 61.2M [tx_count] over 4.81M [active_addresses]. Roughly, sixty divided by five is twelve, so I expect something a bit above that. Precisely: 61.2M / 4.81M = 12.7. Good, consistent with the rough estimate.

For the second one I need $1.41M [fees_usd] over the same addresses. Roughly thirty cents. Precisely: $1.41M / 4.81M = $0.293. Good.

Now what do they mean? A dozen transactions per address in one day is a lot. People do not click a dozen times on average; programs do. Much of this will be arbitrage bots and market makers updating quotes. The fee per address is what makes that possible: under a third of a dollar for a whole day of activity.

I might cross-check with the fee per transaction: $1.41M / 61.2M = $0.0230, and 12.7 × $0.0230 = $0.292. That is within rounding of the other route. Great.

Risk: since bots dominate, activity may vanish quickly if spreads narrow, and high volatility is precisely what feeds them at present. Action: something moderate. Hold, and do not treat the transaction count as adoption.
</think>

<answer>
Solana's users (or their bots) made 12.7 transactions per address and paid $0.293 in fees per address.

- tx per address: 12.7
- fee per address: $0.293

**Risk:** bot activity that depends on high volatility and can fade within days.
**Action:** hold; judge adoption by fees and addresses, not by the number of transactions.
</answer>
''', 'tx_count active_addresses fees_usd')

# --- the other fourteen kinds

# What each chain showed on its day (invented figures of realistic size); whoever asks sees the part that the question needs
DESK = dict(
    ethereum=dict(asof='2025-02-11', condition='downtrend',
        metrics=dict(price_usd=2683.4, tx_count=1238455., active_addresses=498720., fees_usd=2913400., tvl_usd=51.27e9, active_senders=402310., active_receivers=517940.),
        features=dict(move_30d=-1.042, volatility_ratio_14d=1.183, place_365d=0.287, price_usd_sigma_7d=.0871, price_usd_trend_7d=.0064, price_usd_range_7d=.1116, ret_7d=-.0584, ret_30d=-.1876, drawdown_90d=-.3312, drawdown_365d=-.3418,
            volatility_30d=.6743, tvl_usd_change_30d=-.1427, beta_market_90d=1.124, corr_market_90d=.913, price_usd_zscore_90d=-1.42, tx_count_zscore_28d=.385,
            tx_count_mean_7d=1251300., tx_count_mean_28d=1223800., active_addresses_mean_7d=483200., active_addresses_mean_28d=497600., fees_usd_mean_7d=3214000.,
            fees_usd_mean_28d=2647000., dex_volume_usd_mean_7d=2.418e9, dex_volume_usd_mean_28d=1.963e9)),
    solana=dict(asof='2025-02-18', condition='high volatility',
        metrics=dict(price_usd=198.42, tx_count=61240118., active_addresses=4812330., fees_usd=1412870., tvl_usd=8.913e9, active_senders=3914200., active_receivers=3127800.),
        features=dict(move_30d=0.894, volatility_ratio_14d=1.274, place_365d=0.784, price_usd_sigma_7d=.1143, price_usd_trend_7d=-.0181, price_usd_range_7d=.1463, ret_7d=.0412, ret_30d=.2118, drawdown_90d=-.1467, drawdown_365d=-.1732,
            volatility_30d=.9126, tvl_usd_change_30d=-.0613, beta_market_90d=1.483, corr_market_90d=.782, price_usd_zscore_90d=1.27, tx_count_zscore_28d=-.418,
            tx_count_mean_7d=60418000., tx_count_mean_28d=64127000., active_addresses_mean_7d=4627400., active_addresses_mean_28d=5184900., fees_usd_mean_7d=1386400.,
            fees_usd_mean_28d=1831700., dex_volume_usd_mean_7d=3.172e9, dex_volume_usd_mean_28d=4.386e9)),
    near=dict(asof='2025-02-11', condition='downtrend',
        metrics=dict(price_usd=3.1184, tx_count=4460392., active_addresses=1182455., fees_usd=18764.2, tvl_usd=214.6e6, active_senders=1042800., active_receivers=688400.),
        features=dict(move_30d=-1.487, volatility_ratio_14d=1.362, place_365d=0.143, price_usd_sigma_7d=.1087, price_usd_trend_7d=.0118, price_usd_range_7d=.1392, ret_7d=-.0723, ret_30d=-.3384, drawdown_90d=-.5218, drawdown_365d=-.6247,
            volatility_30d=.9418, tvl_usd_change_30d=-.2286, beta_market_90d=1.347, corr_market_90d=.824, price_usd_zscore_90d=-1.83, tx_count_zscore_28d=-.942,
            tx_count_mean_7d=4512700., tx_count_mean_28d=4738200., active_addresses_mean_7d=1214800., active_addresses_mean_28d=1163400., fees_usd_mean_7d=19240.,
            fees_usd_mean_28d=20870., dex_volume_usd_mean_7d=9.84e6, dex_volume_usd_mean_28d=11.27e6)),
    avalanche=dict(asof='2025-03-04', condition='recovery',
        metrics=dict(price_usd=25.63, tx_count=318442., active_addresses=41208., fees_usd=9873.6, tvl_usd=1.094e9, active_senders=36140., active_receivers=28970.),
        features=dict(move_30d=0.164, volatility_ratio_14d=0.887, place_365d=0.241, price_usd_sigma_7d=.0964, price_usd_trend_7d=.0217, price_usd_range_7d=.1235, ret_7d=.0831, ret_30d=.0327, drawdown_90d=-.2784, drawdown_365d=-.5526,
            volatility_30d=.5317, tvl_usd_change_30d=.0462, beta_market_90d=.872, corr_market_90d=.641, price_usd_zscore_90d=.316, tx_count_zscore_28d=.724,
            tx_count_mean_7d=304600., tx_count_mean_28d=271300., active_addresses_mean_7d=39840., active_addresses_mean_28d=36270., fees_usd_mean_7d=9412.,
            fees_usd_mean_28d=8137., dex_volume_usd_mean_7d=74.3e6, dex_volume_usd_mean_28d=61.8e6)))
WEEK = dict(bitcoin=-.0317, ethereum=-.0584, solana=.0412, near=-.0723, avalanche=.0831, polygon=-.0146, optimism=-.0468)

def _quote(venue, chain, asset, price, fee, gas): return dict(venue=venue, chain=chain, asset=asset, price_usd=price, fee=fee, gas_usd=gas)
QUOTES = dict(
    ethereum=(_quote('uniswap','ethereum','ETH',2683.4,.0005,6.42), _quote('sushi','arbitrum','ETH',2702.7,.003,.184)),
    solana=(_quote('orca','solana','SOL',198.42,.0004,.0132), _quote('kraken','solana','SOL',199.87,.0016,.0441)),
    near=(_quote('ref','near','NEAR',3.1184,.002,.0061), _quote('binance','near','NEAR',3.1229,.001,.0173)),
    avalanche=(_quote('trader joe','avalanche','AVAX',25.63,.0012,.0874), _quote('pangolin','avalanche','AVAX',25.94,.003,.0923)))

def _pool(project, symbol, base, reward, tvl=4e7, il=False): return dict(project=project, symbol=symbol, apy=base + reward, apy_base=base, tvl_usd=tvl, il_risk=il)
POOLS = dict(
    ethereum=(_pool('aave','USDC',.0421,.0063), _pool('curve','ETH-stETH',.0187,.0948,il=True), _pool('lido','stETH',.0314,0.)),
    solana=(_pool('kamino','USDC',.0734,.0212), _pool('orca','SOL-USDC',.1862,.0571,il=True), _pool('marinade','mSOL',.0683,.0134)),
    near=(_pool('burrow','NEAR',.0217,.0386,tvl=6e6), _pool('meta pool','stNEAR',.0871,0.), _pool('ref','NEAR-USDT',.0648,.0834,il=True)),
    avalanche=(_pool('benqi','AVAX',.0362,.0128), _pool('gmx','AVAX-USDC',.1193,.0416,il=True), _pool('yield yak','sAVAX',.0571,.0042,tvl=7e6)))

def kind_task(kind, chain, without=()):
    "Ask a question of `kind` about a chain at its desk figures; `without` withholds figures."
    d, keep = DESK[chain], lambda x: {n: v for n, v in x.items() if n not in without}
    peers = {c: x for c, x in WEEK.items() if c != chain}
    return make_task(kind, Snapshot(chain=chain, asof=d['asof'], horizon=7, metrics=keep(d['metrics']), features=keep(d['features']), condition=d['condition'],
                                    peers=peers, history=(), pools=tuple(x | {'date': d['asof']} for x in POOLS[chain]),
                                    quotes=tuple(x | {'date': d['asof']} for x in QUOTES[chain]), source='written by hand'))

def _desk(name, kind, chain, text, cited, without='', loose=''):
    task = kind_task(kind, chain, without.split())
    FREE_REPLIES.append(dict(name=name, task=task, outcome=None, sigma=None, text=text.strip('\n'), cited=tuple(cited.split()), results=task.asks, forecast=None,
                             loose=tuple(loose.split()), without=tuple(without.split())))

_desk('condition, rule by rule', 'market.condition', 'ethereum', r'''
## What kind of market is ether in?

Three measurements decide it, so let me take them one at a time.

**1. Is the market wild?** The volatility of the past fortnight is 1.18 times that of the year [volatility_ratio_14d]. The rule calls a market volatile above 1.5. Heat = 1.18 − 1.5 = −0.32. Negative, so it is not wild, and we may go on.

**2. Does the month rise or fall?** The price moved by −1.04 usual months [move_30d].

> rise = −1.04 − 0.6 = −1.64
> fall = −1.04 + 0.6 = −0.44

The rise is far below zero, and the fall is below zero too. In words: the price fell by about one ordinary month's worth, well past the threshold of 0.6, hence the market is *falling* and not merely flat.

**3. Where in the year's range?** At 0.287 [place_365d], where 0 is the low and 1 is the high. Height = 0.287 − 0.5 = −0.213, the lower half.

**Verdict.** Falling, and in the lower half: the condition is **bear**.

- rise: −1.64
- fall: −0.44
- heat: −0.32
- height: −0.213

**Risk:** the label lags. By the time that a month's move says bear much of the fall has happened, and a strategy that switches on the label would be whipsawed.

**Action:** stay defensive: hold no leverage and wait for the month's move to come back above the threshold before buying.
''', 'move_30d volatility_ratio_14d place_365d')

_desk('condition, terse trader', 'market.condition', 'solana', r'''
SOL regime check (close 2025-02-18)

30d move: +0.894 usual months (move_30d)
vol ratio 2wk/1y: 1.27 (volatility_ratio_14d)
place in the 1y range: 0.784 (place_365d)

go down the list
 heat = 1.27 - 1.5 = -0.23 ... below zero, not "volatile". next
 rise = 0.894 - 0.6 = +0.294 ... above zero, so it's going up
 height = 0.784 - 0.5 = +0.284 ... top half
 (fall = 0.894 + 0.6 = 1.49, does not bite)

rising + top half = BULL

why i believe it
* the move is big but not crazy: less than one usual month, so it is not a blow-off
* room above: the high of the year is still some way off

why i might not
* one month is one month. the move is measured point to point, a bad start date flatters it
* vol is picking up. a ratio of 1.27 is not far from the line

answer
rise +0.294 / fall +1.49 / heat -0.23 / height +0.284
condition: bull

risk: sharp reversal. coins this volatile give back a month's gain in a weekend
action: stay long, trail the stop, add only on dips. no chasing up here. would cut to half if the rise goes negative, since then the tape is just going sideways near the top and that is where distribution happens.
''', 'move_30d volatility_ratio_14d place_365d')

_desk('users, British memo', 'market.users', 'near', r'''
Note on the behaviour of users, NEAR

You asked how the chain is being used and whether its public is growing. My reading of the week's figures is as follows.

Intensity of use. Over the week an average of 4.51 million transactions a day were sent [tx_count_mean_7d] by an average of 1.21 million active addresses [active_addresses_mean_7d]; 4.51M / 1.21M = 3.73 transactions per address. That is a respectable figure for a chain upon which a transaction costs next to nothing, and it is neither so high as to smell of machines nor so low as to suggest that people merely claim and leave.

Growth. The four-week average of active addresses is 1.16 million [active_addresses_mean_28d]. The week stands above it: 1.21M / 1.16M − 1 = +4.3%. I should call that growth, albeit of the gentle kind.

Direction of traffic. On the day itself there were 1.04 million senders [active_senders] and 688 thousand receivers [active_receivers], so that 1.04M / 688k = 1.51 senders per receiver. Three people pay where two are paid: money and messages converge upon a smaller set of recipients, which is what one would expect of a handful of popular contracts.

In short, transactions per address are 3.73, user growth is +4.3% and there are 1.51 senders per receiver; the chain is growing.

The risk, as ever with such concentration, is dependence: were one of those popular contracts to close, the count of addresses would fall at once. I would hold the position, neither adding nor trimming, and look at the number of senders again in a week's time.
''', 'tx_count_mean_7d active_addresses_mean_7d active_addresses_mean_28d active_senders active_receivers')

_desk('users, table of means', 'market.users', 'avalanche', r'''
# Avalanche C-Chain: who is using it?

| Quantity | 7-day mean | 28-day mean | on 2025-03-04 |
|:--|--:|--:|--:|
| Transactions | 305,000 | | |
| Active addresses | 39,800 | 36,300 | |
| Senders | | | 36,100 |
| Receivers | | | 29,000 |

**Transactions per address (week)**
305,000 / 39,800 = 7.66. A typical address acts between seven and eight times a day, which points to trading rather than to saving.

**User growth (week over four weeks)**
39,800 / 36,300 − 1 = 0.0964, i.e. **+9.6%**. Nearly a tenth more addresses than in the average of the last four weeks; the recovery of the price seems to have brought people back.

**Senders per receiver (day)**
36,100 / 29,000 = 1.24. More addresses send than receive, so activity is directed at contracts and exchanges rather than spread among persons.

### Assessment
Use is intense, the public is growing, and traffic flows towards few recipients. All three fit a revival driven by trading applications.

### Risk
Trading activity depends on the market. If the recovery fails, tx per address and user growth will drop together, because they have the same cause.

### Action
Increase the exposure moderately while user growth stays positive; reduce it again if the weekly mean of active addresses falls under the four-week one.
''', 'tx_count_mean_7d active_addresses_mean_7d active_addresses_mean_28d active_senders active_receivers')

_desk('correlation, thinking aloud', 'market.correlation', 'solana', r'''
<think>
Okay. Three things are wanted for Solana: relative strength, own move, and common share. Let me gather: the coin's own 7-day return is +4.1% [ret_7d]. The median of its peers is -3.9% [peers_ret_7d]. Beta to the market is 1.48 [beta_market_90d], the correlation 0.782 [corr_market_90d].

Relative strength is just the difference. 4.1% - 3.9% = 0.2%... no, careful, the peers' return is negative, so subtracting it adds: 4.1% - (-3.9%) = 8.0%. Solana beat the typical chain by 8.0 percentage points.

Own move. With a beta of 1.48, a market at -3.9% should have dragged SOL down by 1.48 × -3.9% = -5.8%. It went up instead. So the own move is 4.1% - 1.48 × -3.9% = +9.9%. That is larger than the relative strength, which makes sense because the beta is above one.

Common share: squared correlation, 0.782 × 0.782 = 0.612, i.e. 61.2%. So about three fifths of the variance is shared with the market and the rest is its own. Hmm, is that contradictory with such a big own move? Not really, the share is an average over 90 days, and this is one week.
</think>
<answer>
Solana was clearly **stronger** than its peers this week.

- relative strength: +8.0%
- own move: +9.9%
- common share: 61.2%

**Risk:** most of its variance still comes from the market, and with its beta a broad sell-off would hit it harder than the others.
**Action:** overweight it against the other chains, hedged with a short in the market, so that the bet is on the own move alone.
</answer>
''', 'ret_7d peers_ret_7d beta_market_90d corr_market_90d')

_desk('correlation, lecture', 'market.correlation', 'ethereum', r'''
How much of ether's bad week was ether's own fault? Statistics has a tidy answer, and it takes three short sums.

First the naive comparison. Ether returned −5.8% over 7 days, whereas the median of the other chains returned −2.3%. The difference, −5.8% − (−2.3%) = −3.5%, is what traders call relative strength; here it would be better called weakness.

The naive comparison is a little unfair, because ether habitually moves more than the market. Its beta over 90 days is 1.12, so a market that falls by 2.3% ought to take it down by 1.12 × 2.3% = 2.6%. What remains after this is its own move: −5.8% − 1.12 × (−2.3%) = −3.2%. The correction is small since the beta is close to one.

Finally, how tightly are the two bound? The correlation with the market is 0.913, and its square, 0.913² = 83.4%, is the common share: the part of ether's variance that the market explains. Five sixths of what ether does, it does together with everybody else.

Summary: relative strength −3.5%, own move −3.2%, common share 83.4%. Ether is the weaker party, and with so large a common share an own move of this size is unusual and deserves attention.

Risk: something specific to ether (a large seller, an outflow from its applications) may be under way, and if so it need not be finished. Action: reduce ether against the rest of the book rather than selling the market as a whole, and cover once its weekly return is back in line with that of its peers.
''', 'ret_7d peers_ret_7d beta_market_90d corr_market_90d')

_desk('growth that is mixed', 'protocol.growth', 'near', r'''
**NEAR: growth trajectory**

*Question 1: are there more transactions?* The average day of the past week saw 4.51M transactions (tx_count_mean_7d); the average day of the past four weeks saw 4.74M (tx_count_mean_28d). 4.51M ÷ 4.74M = 0.951, so transactions are down: 0.951 − 1 = −4.9%.

*Question 2: are there more users?* Active addresses averaged 1.21M in the week (active_addresses_mean_7d), against 1.16M in the four weeks (active_addresses_mean_28d). 1.21M ÷ 1.16M − 1 = +4.3%, so users are up.

*Putting the two together.* More people doing less each. The two growth rates have opposite signs, therefore the trajectory is **mixed**: neither growing nor shrinking as a whole.

How can both be true? I can think of two stories. Either newcomers arrive who transact little at first, which would be healthy; or a few busy bots have been switched off whilst ordinary users came in as before, which would be harmless. In neither case is there an alarm.

| | change |
|---|---|
| tx growth | −4.9% |
| user growth | +4.3% |

**Risk.** If the newcomers never become active, the average activity keeps sliding and, before long, revenue with it.

**Action.** Hold. Track transactions per newcomer for the next month; increase only when transactions turn up as well.
''', 'tx_count_mean_7d tx_count_mean_28d active_addresses_mean_7d active_addresses_mean_28d',
    'fees_usd_mean_7d fees_usd_mean_28d dex_volume_usd_mean_7d dex_volume_usd_mean_28d')

_desk('growth, angry bulletin', 'protocol.growth', 'solana', r'''
SOLANA IS SHRINKING. HERE ARE THE NUMBERS.

Users. 7-day mean of active addresses: 4.63 million. 28-day mean: 5.18 million. Divide: 4.63M/5.18M = 0.894. Subtract one and you get -10.6%. One user in ten has gone.

Fees. 7-day mean of fees: $1.39 million. 28-day mean: $1.83 million. Divide: $1.39M/$1.83M = 0.760. Subtract one and you get -24.0%. One fee dollar in four has gone.

So when somebody tells you that the chain is thriving because the price went up, ask which of the two is thriving, the users or the fees. Neither is. Both changes are negative. That is the definition of shrinking, and no chart of the price changes it.

To be fair, there are things I cannot see from here:
  - whether January was abnormally busy (a mania makes every later week look like a slump);
  - whether the users who left were people or scripts. Fees fell faster than users, which suggests that the heavy payers, that is to say traders in a hurry, were the first to go.

For the record:
  user growth  -10.6%
  fee growth   -24.0%
  verdict      shrinking

RISK: the valuation rests on fees. If they do not come back, the price has a long way to fall.
ACTION: sell part of the position into strength; do not buy the dip before the weekly mean of fees is above the four-week mean.
''', 'active_addresses_mean_7d active_addresses_mean_28d fees_usd_mean_7d fees_usd_mean_28d',
    'tx_count_mean_7d tx_count_mean_28d dex_volume_usd_mean_7d dex_volume_usd_mean_28d')

_desk('risk factors, committee paper', 'protocol.risk', 'ethereum', r'''
PAPER FOR THE RISK COMMITTEE
Item 4: Ethereum, utilisation of limits as at 2025-02-11

4.1  Volatility. Thirty-day volatility stands at 67.4%. The limit is 80.0%. Utilisation: 67.4% / 80.0% = 0.843. Within the limit.

4.2  Drawdown. The price is 33.1% below its ninety-day high (drawdown_90d −33.1%); the limit is −30.0%. Utilisation: −33.1% / −30.0% = 1.10. The limit is exceeded.

4.3  Outflow. Value locked changed by −14.3% over thirty days [tvl_usd_change_30d] against a limit of −20.0%. Utilisation: −14.3% / −20.0% = 0.715. Within the limit, though in the amber range.

4.4  Beta. The ninety-day beta to the market is 1.12; the limit is 1.50. Utilisation: 1.12 / 1.50 = 0.747. Within the limit.

4.5  Ranking. In descending order: drawdown load 1.10, volatility load 0.843, beta load 0.747, outflow load 0.715. The largest load is the drawdown load, and it is the sole breach.

4.6  Commentary. A breach of the drawdown limit is backward-looking: the loss has been suffered already. It matters because losses of this order trigger redemptions, which would show next under item 4.3.

4.7  Risk. Continued outflows; a further fall of value locked would bring a second factor to its limit.

4.8  Recommendation. That the committee reduce the position until the drawdown load is below one, and that it forbid new purchases in the meantime.
''', 'volatility_30d drawdown_90d tvl_usd_change_30d beta_market_90d limit_volatility limit_drawdown limit_outflow limit_beta')

_desk('risk factors, nested bullets', 'protocol.risk', 'solana', r'''
Let me score Solana against each of the four limits.

- Volatility
  - observed (30 days): 91.3% [volatility_30d]
  - limit: 80.0% [limit_volatility]
  - load: 91.3% ÷ 80.0% ≈ 1.14 → **over the limit**
- Drawdown
  - observed (90 days): −14.7% [drawdown_90d]
  - limit: −30.0% [limit_drawdown]
  - load: −14.7% ÷ −30.0% ≈ 0.49 → about half used
- Outflow of capital
  - observed (30 days): −6.1% [tvl_usd_change_30d]
  - limit: −20.0% [limit_outflow]
  - load: −6.1% ÷ −20.0% ≈ 0.305 → comfortable
- Market beta
  - observed (90 days): 1.48 [beta_market_90d]
  - limit: 1.50 [limit_beta]
  - load: 1.48 ÷ 1.50 ≈ 0.987 → a hair's breadth away

So which is the largest? Volatility load at 1.14, followed closely by beta load at 0.987. The other two (drawdown load 0.49, outflow load 0.305) do not matter today.

What I take from this is that the chain's dangers are those of the market and not its own: capital is staying, the price is not far off its high, but everything swings. Volatility and beta are also two views of the same thing, so one hedge would help with both.

Risk → a market shock. With the beta nearly at its limit the position would fall half as much again as the market.
Action → hedge rather than sell: short enough of the market to bring the beta to one, keep the coins, and review when the volatility load drops below one.
''', 'volatility_30d drawdown_90d tvl_usd_change_30d beta_market_90d limit_volatility limit_drawdown limit_outflow limit_beta')

_desk('advice, two stages', 'protocol.advice', 'solana', r'''
### Which per-address ratio needs work on Solana?

I compare each ratio in the last week with the same ratio in the last four weeks.

**Inputs.** Transactions 60.4M (week) and 64.1M (four weeks); addresses 4.63M and 5.18M; fees $1.39M and $1.83M; DEX volume $3.17B and $4.39B.

**Transactions per address**
week: 60.4M / 4.63M = 13.05
four weeks: 64.1M / 5.18M = 12.37
change: 13.05 / 12.37 − 1 = +5.5%, or without rounding in between, 60.4M / 4.63M × 5.18M / 64.1M − 1 = +5.4%

**Fee per address**
week: $1.39M / 4.63M = $0.300
four weeks: $1.83M / 5.18M = $0.353
change: $1.39M / 4.63M × 5.18M / $1.83M − 1 = −15.0%

**Volume per address**
week: $3.17B / 4.63M = $685
four weeks: $4.39B / 5.18M = $847
change: $3.17B / 4.63M × 5.18M / $4.39B − 1 = −19.2%

**Ranking**
tx per address change +5.4% > fee per address change −15.0% > volume per address change −19.2%

The weakest is **volume per address**. Those who remain click more than before and trade less: activity without money behind it. That is what has to improve.

**Risk:** if volume keeps leaving, market makers follow, spreads widen, and still more volume leaves.
**Action:** the foundation should shift incentives from transaction counts to liquidity (deeper pools, lower taker fees), and I would hold off buying until volume per address has stopped falling.
''', 'tx_count_mean_7d active_addresses_mean_7d active_addresses_mean_28d tx_count_mean_28d fees_usd_mean_7d fees_usd_mean_28d dex_volume_usd_mean_7d dex_volume_usd_mean_28d')

_desk('advice, consultant', 'protocol.advice', 'avalanche', r'''
Executive summary

All three productivity ratios of Avalanche improved on their own four-week level. The weakest improvement is in transactions per address (+2.6%), and this is where management attention would pay most.

Method

For each ratio we take the quotient of 7-day means and divide it by the quotient of 28-day means, less one. Figures: transactions 305k and 271k [tx_count_mean_7d, tx_count_mean_28d], active addresses 39.8k and 36.3k [active_addresses_mean_7d, active_addresses_mean_28d], fees $9.41k and $8.14k [fees_usd_mean_7d, fees_usd_mean_28d], DEX volume $74.3M and $61.8M [dex_volume_usd_mean_7d, dex_volume_usd_mean_28d].

Results

1) tx per address: (305k / 39.8k) / (271k / 36.3k) − 1 = +2.6%
2) fee per address: ($9.41k / 39.8k) / ($8.14k / 36.3k) − 1 = +5.4%
3) volume per address: ($74.3M / 39.8k) / ($61.8M / 36.3k) − 1 = +9.7%

Interpretation

The numerators all grew faster than the addresses. Volume leads, as it tends to do in a recovery of the market; fees follow at some distance because a fee depends on computation and not on the amount traded; the plain count of transactions comes last. New users are being won, but they do not yet do very much.

Principal risk

The lead of volume is cyclical. If the market turns, the strongest ratio becomes the weakest within weeks, and tx per address offers no cushion.

Recommended action

Invest in what brings users back daily (wallet prompts, payments, games), measured by transactions per address; hold the token meanwhile.
''', 'tx_count_mean_7d active_addresses_mean_7d active_addresses_mean_28d tx_count_mean_28d fees_usd_mean_7d fees_usd_mean_28d dex_volume_usd_mean_7d dex_volume_usd_mean_28d')

_desk('VaR, step by step with checks', 'risk.var', 'near', r'''
Alright, parametric VaR and expected shortfall for NEAR over the next 7 days at 95%.

Data: sigma_7d is 10.9%, trend_7d is +1.2%.

**Value at risk.** For a normal distribution the loss exceeded in one case out of twenty is 1.645 standard deviations below the mean.
1.645 × 10.9% = 17.9%
and the mean is positive, which softens the loss a bit: 17.9% − 1.2% = 16.7%.
In one line: VaR = 1.645 × 10.9% − 1.2% = 16.7%.

**Expected shortfall.** The average of the losses beyond that point lies at 2.063 standard deviations:
2.063 × 10.9% = 22.5%, and ES = 2.063 × 10.9% − 1.2% = 21.3%.

**Sanity checks.** ES must be larger than VaR: 21.3% > 16.7%, fine. The difference is 21.3% − 16.7% = 4.6%, which is what one expects of thin, normal tails. Wait, did I use the trend with the right sign? A positive drift lowers the loss, so it is subtracted. Yes.

**Final figures**
* Value at risk: 16.7%
* Expected shortfall: 21.3%

**Risk:** the normal distribution underestimates the tails of a small coin; in a crash the actual shortfall could be far larger than the formula says.

**Action:** size the position so that a loss of the expected shortfall is bearable, i.e. reduce it if it is not, and do not rely on a stop order in thin markets.
''', 'sigma_7d trend_7d')

_desk('VaR, formula sheet', 'risk.var', 'ethereum', r'''
$$\text{VaR}_{95} = z\,\sigma - \mu, \qquad \text{ES}_{95} = k\,\sigma - \mu$$

with $z = 1.645$, $k = 2.063$, $\sigma = 8.7\%$ (sigma_7d) and $\mu = +0.6\%$ (trend_7d), horizon 7 days.

Substituting,

$$\text{VaR}_{95} = 1.645 \times 8.7\% - 0.6\% = 13.7\%$$
$$\text{ES}_{95} = 2.063 \times 8.7\% - 0.6\% = 17.3\%$$

Reading. With ether as volatile as it has been, a holder must be prepared for a loss of 13.7% or more in about one week out of twenty, and when such a week comes it costs 17.3% on average. The drift of +0.6% hardly matters beside the volatility: had we left it out, the value at risk would be $1.645 \times 8.7\% = 14.3\%$.

Caveats. (i) The parametric method takes returns to be normal; those of crypto-assets are not, and their left tail is heavier. (ii) Sigma is an estimate from the past; in a downtrend it tends to be too low at the moment when it matters. (iii) Neither figure says anything about liquidity.

Answer: value at risk 13.7%, expected shortfall 17.3%.

Risk: fat tails; the true expected shortfall is probably higher than stated.

Action: keep the position, provided that a loss of the stated size would not force a sale; otherwise cut it to where it would not.
''', 'sigma_7d trend_7d')

_desk('drawdown, for a friend', 'risk.drawdown', 'near', r'''
Hey! Here is the thing about your NEAR bag, since you asked "how bad is it".

The coin is at $3.12 now. The best close of the past year (high_365d) was $8.31. So relative to the high you are at $3.12 / $8.31 = 0.375, which is to say 37.5 cents on the dollar, or a fall of 0.375 − 1 = −62.5%. Ouch, I know.

Now the part that people get wrong. To get back you do not need +62.5%. You need $8.31 / $3.12 − 1 = +166%. Losses and gains are not symmetric: the base you grow from is smaller than the base you fell from.

In dollars it's $8.31 − $3.12 = $5.19 a coin. Sounds so small when you put it that way, doesn't it.

So, the two numbers to remember:
fall from high: −62.5%
gain needed: +166%

What could go wrong from here? A coin that has fallen this far can halve again, and then the gain needed more than doubles. The risk is not that it stays down, the risk is that you average into it with money you need.

What would I do? I'd hold what's there, stop adding, and write down a price at which you'd sell even at a loss. Decide it now while you are calm :)
''', 'price_usd high_365d')

_desk('drawdown, academic', 'risk.drawdown', 'ethereum', r'''
**Drawdown and recovery of ether at the close of 2025-02-11**

*Definitions.* Let $P$ denote the closing price and $H$ the highest close of the preceding year. The fall from the high is $P/H-1$; the gain needed to regain it is $H/P-1$.

*Data.* $P$ = $2.68k [price_usd]; $H$ = $4.08k [high_365d].

*Computation.*

(1) fall from high = 2.68k / 4.08k − 1 = −34.3%
(2) gain needed = 4.08k / 2.68k − 1 = +52.2%

*Consistency.* The two satisfy (1 + fall)(1 + gain) = 1; indeed (1 − 34.3%) × (1 + 52.2%) = 1.00.

*Discussion.* A decline of about a third is not exceptional in this asset class, in which larger ones have occurred in most years. The asymmetry between (1) and (2) is moderate at this depth and becomes severe beyond one half. The gap of $1.40k per coin ($4.08k − $2.68k = $1.40k) should be read against volatility: at the pace of an ordinary month it could be closed in a quarter, and equally well be doubled.

*Risk.* The measure depends on a single observation, the high, which may have been a transient spike; the sample offers no protection against a regime in which the former high is never regained.

*Recommended action.* Hold; rebalance only if the fall from the high exceeds one half, at which point the price would have to double.
''', 'price_usd high_365d')

_desk('exposure, scenario sheet', 'risk.exposure', 'ethereum', r'''
STRESS SCENARIO: MARKET −20.0%

Position ............ $10.0k in ETH
Beta (90d) .......... 1.12
Correlation (90d) ... 0.913
Market shock ........ −20.0%

Step A, what the coin does
  chain fall = beta × shock = 1.12 × −20.0% = −22.4%

Step B, what the position does
  position change = $10.0k × 1.12 × −20.0% = −$2,240
  left over: $10.0k − $2,240 = $7,760

Step C, how far the scenario can be trusted
  systemic share = 0.913 × 0.913 = 0.834, or 83.4% of the variance

Reading: a fifth off the market takes a bit more than a fifth off the position, $2,240 of it. Because the systemic share is high, the market explains most of what the coin does, and diversifying into other coins would not help much. What is left (roughly a sixth of the variance) is specific to ether and comes on top.

Risk: in a crash correlations go to one and betas rise, so that the loss could be larger than Step B says.
Action: if a loss of this size is too much, hedge with a market future rather than by buying other coins; otherwise hold.
''', 'beta_market_90d corr_market_90d market_fall position_usd')

_desk('exposure, dialogue', 'risk.exposure', 'avalanche', r'''
**Client:** Suppose the whole market drops by thirty percent. What happens to my ten thousand dollars in AVAX?

**Adviser:** Let us see. Your coin has a beta of 0.872 with the market, measured over the past 90 days, so it tends to move by a bit less than the market does. The shock in the scenario is −30.0% [market_fall]. Multiply them: 0.872 × −30.0% = −26.2%. That is the fall of the chain to expect.

**Client:** And in money?

**Adviser:** Your position is $10.0k [position_usd]. So $10.0k × 0.872 × −30.0% = −$2.62k. You would be left with $10.0k − $2.62k = $7.38k.

**Client:** How sure are you of that?

**Adviser:** Not terribly. The correlation between the two is 0.641, and squaring it tells how much of AVAX's variance comes from the market: 0.641 × 0.641 = 41.1%. The remainder, nearly three fifths, is its own business. It might do much better than the estimate, or much worse.

**Client:** So the numbers are...

**Adviser:** Chain fall −26.2%, position change −$2.62k, systemic share 41.1%.

**Client:** What should I worry about, and what should I do?

**Adviser:** The risk I worry about is the part that no market hedge covers, for instance an exploit in one of the large applications. As to action: keep the position but put no more into this single coin, and diversify the new money, which pays here precisely because the systemic share is low.
''', 'beta_market_90d corr_market_90d market_fall position_usd')

_desk('mitigation, checklist', 'risk.mitigation', 'solana', r'''
RISK MITIGATION — SOL — 7-day horizon

[x] Loss limit: $2,000 (loss_limit_usd)
[x] Volatility: sigma_7d = 11.4%
[x] Position: $10,000 (position_usd)
[x] Beta: 1.48 (beta_market_90d)

1. Loss per dollar at the 95% point
   1.645 * 11.4% = 18.8%

2. Largest position the limit allows
   $2,000 / 1.645 / 11.4% = $10,665

3. Compare
   $10,000 is below $10,665, so the position is inside the limit, with $10,665 - $10,000 = $665 to spare. The rule says: KEEP.

4. Hedge
   $10,000 * 1.48 = $14,800 short in the market would neutralise the market part of the position.

Comment: it is a close call. A small increase of the volatility would push the maximum under the position. The hedge is larger than the position itself because the coin moves about one and a half times as much as the market.

Results
 - max position: $10,665
 - hedge: $14,800
 - decision: keep

Risk: volatility is high and may rise further; the margin of safety would be gone quickly.
Action: keep the position as it is, no additions; recompute the maximum daily and place part of the hedge if the margin shrinks to nothing.
''', 'sigma_7d beta_market_90d position_usd loss_limit_usd')

_desk('mitigation, letter', 'risk.mitigation', 'near', r'''
Dear Ms Okafor,

Thank you for your enquiry about the holding in NEAR. I have worked out the two figures you requested.

You told us that you do not wish to lose more than $1,000 in a week, save in one week out of twenty. The volatility over 7 days is 10.9%. At the usual normal quantile of 1.645 the largest holding compatible with your limit is therefore $1,000 / 1.645 / 10.9% = $5,577.

Your holding is $10,000 at present, which is well above that. I must accordingly advise you to reduce it: by $10,000 − $5,577 = $4,423, to be precise, should you wish to remain entirely within the limit.

Should you prefer not to sell, the alternative is a hedge. NEAR's beta to the market is 1.35; a short position of $10,000 × 1.35 = $13,500 in a broad index would offset the market's share of the fluctuations. I would point out, however, that it does nothing about those that are peculiar to NEAR, that it costs money to maintain, and that it is bigger than the holding it protects.

To recapitulate: maximum position $5,577, hedge $13,500, and my recommendation is to reduce.

The principal risk of delay is simply that the coin is in a downtrend, and that a loss beyond your limit is at present considerably likelier than one week in twenty.

Yours sincerely,
P. Whitcombe
''', 'sigma_7d beta_market_90d position_usd loss_limit_usd')

_desk('arbitrage, itemised bill', 'opportunity.arbitrage', 'ethereum', r'''
## ETH: uniswap (ethereum) → sushi (arbitrum), clip of $100k

The gap between the two venues is 71.9 bps. What does it leave after everybody has been paid?

**Gross**: $100k × 71.9 bps = **$719**

**Costs**

| item | rate | USD |
|---|---|---|
| fee, buying side | 5.00 bps | $100k × 5.00 bps = $50.00 |
| fee, selling side | 30.0 bps | $100k × 30.0 bps = $300 |
| slippage, buying | 15.0 bps | $100k × 15.0 bps = $150 |
| slippage, selling | 15.0 bps | $100k × 15.0 bps = $150 |
| gas, ethereum | | $6.42 |
| gas, arbitrum | | $0.184 |

**Net**: $719 − $50.00 − $300 − $150 − $150 − $6.42 − $0.184 = **+$62.4**

So nine tenths of the gap goes to the venues, the pools and the validators, and I keep the rest. It is positive, hence: **trade**.

*What could go wrong?* The legs settle on different chains. Bridging takes minutes, and the gap may close before the second leg fills; a move of 6.24 bps against me ($62.4 / $100k = 6.24 bps) wipes out the profit. That is the main risk.

*Action:* trade, but only with inventory already on both chains so that both legs go at once. Skip it if the quote on arbitrum moves first.
''', 'size_usd price_gap fee_buy fee_sell slippage gas_buy_usd gas_sell_usd')

_desk('arbitrage, quick no', 'opportunity.arbitrage', 'near', r'''
near arb, ref vs binance. $10k clip.

gap 14.4bps -> gross $10k x 14.4bps = $14.4. looks like lunch money, let's see who eats it

ref takes 20.0bps = $10k x 20.0bps = $20. already dead tbh, the buy fee alone is more than the gap
binance takes 10.0bps = $10
slippage 5.00bps each way, $5 + $5 = $10
gas: $0.0061 to buy, $0.0173 to sell, who cares

all in: $14.4 - $20 - $10 - $10 - $0.0061 - $0.0173 = -$25.6

in bps: 14.4 - 20.0 - 10.0 - 2 x 5.00 = -25.6 bps before gas, same thing

gross gain $14.4
net gain -$25.6

=> no trade. and not a close one. the gap would need to be 40 bps to break even (20.0 + 10.0 + 5.00 + 5.00 = 40.0).

risk if you did it anyway: you lose the twenty-five bucks for sure, plus leg risk while the coins are in transit between the chain and the exchange
action: no trade. set an alert at a gap of fifty bps and go do something else. a maker order on binance instead of a taker order might change the sums, ask for the fee tier first.
''', 'size_usd price_gap fee_buy fee_sell slippage gas_buy_usd gas_sell_usd')

_desk('yield, comparison in prose', 'opportunity.yield', 'solana', r'''
Three pools are on offer on Solana and the headline rates flatter all of them, because a reward paid in somebody's token is not worth what it says. We are told to count rewards at half (reward_weight 50.0%) and to deduct a haircut for risk.

Pool a, kamino USDC. Base 7.3%, reward 2.1%, haircut 0.0%. Net: 7.3% + 2.1% × 50.0% − 0.0% = 8.35%. A plain lending pool; nothing to deduct.

Pool b, marinade mSOL. Base 6.8%, reward 1.3%, no haircut. Net: 6.8% + 1.3% × 50.0% = 7.45%. Staking, with little else in it.

Pool c, orca SOL-USDC. Base 18.6%, reward 5.7%, haircut 5.0% since the two coins drift apart. Net: 18.6% + 5.7% × 50.0% − 5.0% = 16.45%. Even after the deduction it yields about twice what the others do.

So: net a 8.35%, net b 7.45%, net c 16.45%. On these terms pool c is the best, by 16.45% − 8.35% = 8.1 points over the runner-up.

I would add a word of caution. Base yields of liquidity pools are last week's trading fees annualised; they collapse when volatility does. The main risk is impermanent loss larger than the haircut allows for, if SOL makes a big move in either direction.

Action: allocate to pool c in a moderate size, keep the remainder in pool a, and review weekly.
''', 'reward_weight base_a reward_a haircut_a base_b reward_b base_c reward_c haircut_c')

_desk('yield, wide table', 'opportunity.yield', 'ethereum', r'''
**Net yield, % a year** (reward counted at 50.0%)

| pool | base | reward | half the reward | haircut | net |
|---|---:|---:|---:|---:|---:|
| a: aave USDC | 4.2% | 0.6% | 0.6% × 50.0% = 0.3% | 0.0% | **+4.5%** |
| b: curve ETH-stETH | 1.9% | 9.5% | 9.5% × 50.0% = 4.75% | 5.0% | **+1.7%** |
| c: lido stETH | 3.1% | 0.0% | 0.0% | 0.0% | **+3.1%** |

Workings:
a = 4.2% + 0.6% × 50.0% − 0.0% = 4.5%
b = 1.9% + 9.5% × 50.0% − 5.0% = 1.65%, shown as 1.7%
c = 3.1% + 0.0% × 50.0% − 0.0% = 3.1%

The best pool is **a**.

Why not b, whose advertised rate of 1.9% + 9.5% = 11.4% is the highest by far? Because five sixths of it are rewards, counted at half, and because the haircut eats what the rewards bring. Pool b is a bet on the price of the reward token and not a yield.

Pool c is the one I would choose if I wanted to own ether in any case; the yield of a is in dollars and c's is in ether, a difference that the table does not show.

Risk: aave's rate floats with the demand for borrowing and may fall quickly in a quiet market; there is smart-contract risk in all three.

Action: deposit in pool a; switch to pool c only if a's net yield falls under 3.1%.
''', 'reward_weight base_a reward_a haircut_a base_b reward_b haircut_b base_c reward_c haircut_c')

_desk('inefficiency, research note', 'opportunity.inefficiency', 'solana', r'''
**Solana: has the price run away from the chain?**

*Fee gap.* Users paid $1.41M [fees_usd] for 61.2M transactions [tx_count] on the day, that is $1.41M / 61.2M = $0.0230 each. In the average of 28 days it was $1.83M [fees_usd_mean_28d] for 64.1M [tx_count_mean_28d], that is $1.83M / 64.1M = $0.0285 each. Today's fee per transaction thus stands at $1.41M / 61.2M × 64.1M / $1.83M − 1 = −19.3% relative to its own mean. Blockspace is cheap.

*z gap.* The price is 1.27 standard deviations above its 90-day mean (z-score +1.27), transactions are 0.418 below their 28-day mean (z-score −0.418). The gap is 1.27 − (−0.418) = +1.69.

*Conclusion.* The z gap is above one, which by the rule means **price ahead of usage**. The fee gap points the same way: with demand for blockspace a fifth under its average, there is nothing in the chain's own business that would explain a price this high.

    fee gap   −19.3%
    z gap     +1.69

*Risk.* A price can stay ahead of usage for months when the market as a whole is rising. Z-scores over windows of different length are also not strictly comparable.

*Action.* Trim into strength rather than short outright; buy back if the z gap returns below one, or if fees recover to their 28-day mean.
''', 'fees_usd tx_count fees_usd_mean_28d tx_count_mean_28d price_usd_zscore_90d tx_count_zscore_28d')

_desk('inefficiency, sceptic', 'opportunity.inefficiency', 'near', r'''
I have been asked whether NEAR is mispriced relative to its use. Short version: no, and I would distrust anyone who told you otherwise on this evidence.

Longer version. There are two yardsticks.

(1) What a transaction costs today against what it usually costs. Fees are $18.8k and transactions 4.46M; the 28-day means are $20.9k and 4.74M. So the ratio of ratios is $18.8k / 4.46M * 4.74M / $20.9k - 1 = -4.4%. Four percent cheaper than usual. That is noise.

(2) How stretched the price is compared with how stretched activity is. The price z-score is -1.83; the transaction z-score is -0.942. Both are below their means, the price more so. Difference: -1.83 - (-0.942) = -0.888. The rule wants less than -1 before it calls usage ahead of price, so this falls short: in line. It falls short by little, and somebody determined to find a bargain will round -0.888 to -1 and declare one. Don't.

Fee gap: -4.4%
Z gap: -0.888
Finding: in line

The risk in acting on a gap like this one is that both scores are falling together. A cheap coin on a chain that is losing traffic is not a bargain, it is a coin on a chain that is losing traffic.

Action: none. Hold what there is and look again if the z gap drops under -1 while transactions hold up.
''', 'fees_usd tx_count fees_usd_mean_28d tx_count_mean_28d price_usd_zscore_90d tx_count_zscore_28d')

_desk('levels, plan of a swing trader', 'opportunity.levels', 'avalanche', r'''
AVAX swing plan, 7 days

Spot $25.6. Trend +2.2% for the week, range 12.3% either side.

ENTRY
 move = 2.2% - 12.3% = -10.1%
 entry = $25.6 × (1 - 10.1%) = $23.0
EXIT
 move = 2.2% + 12.3% = +14.5%
 exit = $25.6 × (1 + 14.5%) = $29.3

Same thing the long way, for whoever audits this:
 $25.6 + $25.6 × 2.2% - $25.6 × 12.3% = $23.0
 $25.6 + $25.6 × 2.2% + $25.6 × 12.3% = $29.3

If both get hit that's $29.3 / $23.0 - 1 = +27.4% on the round trip. It won't happen every week: each level sits at the edge of the usual range, so most weeks touch neither. Patience is the strategy.

Orders
 • bid $23.0, good till cancelled, one third size
 • if filled, offer everything at $29.3
 • no stop in the book; mental stop if the weekly close is under entry

Entry: $23.0
Exit: $29.3

Risk: the bid fills exactly when something is badly wrong, because that is the only time price falls ten percent in a week. Adverse selection, in a word.
Action: buy at entry with a third of normal size, take profit at exit, cancel both orders on day 7 and redo the sums.
''', 'price_usd trend_7d range_7d')

_desk('levels, cautious wealth manager', 'opportunity.levels', 'ethereum', r'''
For a client who wishes to buy ether sensibly over the coming week, two price levels matter: the one at which the purchase becomes attractive, and the one at which a prudent holder would take some profit.

We derive both from three figures. The coin closed at $2,680 [price_usd]. Our model's drift for 7 days is +0.6% [trend_7d] and the customary range around it is 11.2% [range_7d].

The level for entry lies one range below the drift. Drift contributes $2,680 × 0.6% = $16.1 and range $2,680 × 11.2% = $300; hence $2,680 + $16.1 − $300 = $2,396.

The level for exit lies one range above: $2,680 + $16.1 + $300 = $2,996.

Rounded, we would suggest an entry at $2,400 and an exit at $3,000. We are aware that round numbers attract other people's orders; moving ours a few dollars inside is no bad idea.

Some perspective. The market is in a downtrend, and the entry is some way below today's price: one may well wait in vain. That is quite in order. The cost of not buying is an opportunity forgone, whereas the cost of buying too early is money.

Risk: in a falling market the lower level may be passed without a pause, leaving the client with a loss from the first day on.

Action: place a limit order to buy at the entry level for half of the intended amount; leave the other half for later; sell a part at the exit level should it be reached.
''', 'price_usd trend_7d range_7d')

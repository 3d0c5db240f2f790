r"""Twenty long analyses written by hand in varied styles, each with the task it answers and the marks of its author.

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
from cortex.tasks import Task, task_id
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

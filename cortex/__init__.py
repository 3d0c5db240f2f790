"From cross-chain market data to a small reasoning model whose every number is checked."
__version__ = "0.1.0"

def load_ipython_extension(ipython):
    "Give a notebook `%%ask` and `%%verify`: `%load_ext cortex`."
    from .magics import load_ipython_extension as load
    load(ipython)

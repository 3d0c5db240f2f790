"From cross-chain market data to a small reasoning model whose every number is checked."
__version__ = "0.1.0"

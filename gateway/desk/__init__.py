"""The community's own server: receives, stores, gives receipts, commands."""

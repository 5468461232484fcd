"""Everything about models: catalog, clients, engines, plans, guards. It knows nothing of bots and holds no SQL."""

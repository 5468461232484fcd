"""The model wing: clients, engines, guards. It knows no bots and no SQL."""

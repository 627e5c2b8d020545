"""The contracts: the event as it is received, and every table as it is stored."""

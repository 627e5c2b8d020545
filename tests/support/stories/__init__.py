"""What the crash, rebalance, topic and replay stories share."""

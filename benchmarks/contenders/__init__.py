"""What is measured against each other: Wardlake, the stock Quix consumer, the bare client."""

"""The simulated hospital group, and its ground truth."""

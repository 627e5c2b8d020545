"""Encryption, masking policies, how identifiers are spelled, and the audit log."""

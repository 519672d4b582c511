"""Stores: the record of verifications and the register of labels."""

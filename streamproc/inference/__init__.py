"""Encoder, tagger and calibrator behind Protocols, and the bundle they are loaded from."""

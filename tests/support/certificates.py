"""Reads the certificates where runs are forked from: each recorder would take as long for them as for all else at its start."""

from evaltape.recorder.api.transport import certificates

certificates(None, None)

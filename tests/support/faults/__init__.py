"""Faults while recording: what can go wrong with a session, its disk and its API, and what has to hold afterwards.

A *campaign* is a project of its own at a server of its own: sessions that are disturbed, one that finishes with
`--record-missing` while nothing goes wrong, and a replay. `findings` says what is counted, `scene` what is checked;
`api`, `processes`, `disks` and `jobs` hold the kinds of faults.
"""

"""Faust's intake, a batch at a time.

Faust hands over one record at a time: an async generator, three futures and their cancellation in ``wait_first``, two
locks, a decoder and a turn of the event loop for each. That is more than the work this package does for a note outside
the models. Here the same parts (the consumer and its thread, the conductor, the queue between them and the agent, the
stream) pass on what one fetch brought in one step. Acks, offsets, commits, flow control and rebalancing stay Faust's;
:class:`~streamproc.streams.fast_intake.app.FastApp` is the only name that the rest needs.

Written against faust-streaming 0.15.3. Each override says what it replaces; a test holds the hashes of the replaced
methods, so that another Faust cannot slip under them.

What also changes, because at-least-once needs it:

- Records fetched for a partition that is paused meanwhile are delivered. Faust drops them; the next fetch then looks
  like a gap in the log, which counts as acknowledged: they would be lost.
- The loop that fetches seeks to the group's commits itself, until it succeeds, and hands nothing over before, nor what
  was fetched across a seek. Faust seeks in its recovery of tables, which ends for ever when a seek takes too long (a
  machine that was suspended) and resumes the flow for assignments that others have overtaken.
- A partition without a commit is sought to its begin. aiokafka leaves it behind what was fetched and then dropped in
  a rebalance: the group would begin there, and lose what came before.
- An acknowledgement from before a rebalance is ignored. Faust counts it, although the partition was rewound to its
  commit, and could commit past records that are yet to be read again.
- On a revoke, what is acknowledged is committed before it is forgotten: after the signal ``on_partitions_revoked``, in
  which an app finishes its work. Faust forgets first, and so repeats up to a commit interval at every rebalance.
- A commit never passes a record that is not acknowledged, whatever the order of acknowledgements. Faust's does when
  only the one record at the commit is missing (its issue 606). A gap of several offsets right behind offset 0 is
  a gap, as compaction leaves them; Faust overlooks it and commits nothing more.
- A queue that is full no longer stops the fetches of other agents: its partitions are left out until it drains, and
  what was fetched is queued beyond the limit, by at most one fetch a partition.
- An intake that stopped because all its queues were full goes on when the first has drained. Faust looks once a second.
- A busy partition does not wait for idle ones: see ``fetch_thread.FETCH_WAIT_MS`` and ``consumer.LEFT_OUT_SECONDS``.
"""
